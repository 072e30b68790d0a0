"""Trains a library on a table, in the libraries' environment; run by its path.

The settings are the libraries' own but for the length of training: up to 2,000 trees (CatBoost:
1,000), the eval split decides how many (50 without improvement end it, the best number is used).
The order of the test rows is that of the CSV file.
"""

import importlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import row_losses
import scores
import splits

SPLIT = "benchmark_split"
TREES, PATIENCE, RATE = 2000, 50, 0.05
CATBOOST_TREES = 1000
"""Its own default, which its learning rate follows."""

_MODULES = {
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "hist-gradient-boosting": "sklearn.ensemble",
}
_PACKAGES = _MODULES | {"hist-gradient-boosting": "scikit-learn"}
_MOST_CATEGORIES = 254
_ROWS_AT_A_TIME, _SINGLE_ROWS = 8192, 50

Predict = Callable[[pd.DataFrame], Any]


def main(folder: Path, document: str) -> None:
    """Print a JSON line for each `[model, name, table, seed]`."""
    warnings.simplefilter("ignore")
    for model, name, table, seed in json.loads(document):
        place = folder / name / f"seed{seed}"
        parts = _parts(place / "data.csv", table)
        values, losses = _measure(model, parts, table, seed)
        row_losses.write(place, model, parts[splits.TEST][1], losses)
        line = {"model": model, "table": name, "seed": seed, "values": values}
        print(json.dumps(line | {"made_with": _version(model)}), flush=True)


def _version(model: str) -> str:
    package = _PACKAGES[model]
    return f"{package} {metadata.version(package)}"


def _parts(file: Path, table: dict[str, Any]) -> dict[str, tuple[pd.DataFrame, Any]]:
    """Return features and labels by split: dates as numbers, text as categories."""
    frame = pd.read_csv(file, low_memory=False)
    split = frame.pop(SPLIT)
    label = frame.pop(table["label"])
    if table["task"] != "regression":
        label = label.astype(str)
        label = pd.Series(label.map({name: at for at, name in enumerate(sorted(set(label)))}))
    for date in table["dates"]:
        frame = _with_date_parts(frame, date)
    for name in frame.select_dtypes(exclude="number"):
        if name in table["text"]:
            frame[name] = frame[name].astype("object").fillna("")
            continue
        values = frame[name].astype("str")
        known = sorted(set(values[split == splits.TRAIN].dropna()))
        frame[name] = pd.Categorical(values, categories=known)
    return {
        part: (frame[split == part], label[split == part].to_numpy())
        for part in (splits.TRAIN, splits.EVAL, splits.TEST)
    }


def _with_date_parts(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    when = pd.to_datetime(frame[name], utc=True)
    return frame.drop(columns=name).assign(
        **{
            f"{name}_days": (when - pd.Timestamp("1970-01-01", tz="UTC")).dt.total_seconds()
            / 86400,
            f"{name}_month": when.dt.month,
            f"{name}_weekday": when.dt.weekday,
            f"{name}_hour": when.dt.hour,
            f"{name}_day_of_year": when.dt.dayofyear,
        }
    )


def _measure(
    model: str, parts: dict[str, Any], table: dict[str, Any], seed: int
) -> tuple[dict[str, float], Any]:
    """Return the measures and the loss of each test row."""
    importlib.import_module(_MODULES[model])
    with scores.Stopwatch() as training:
        predict, test, trees = _TRAINERS[model](parts, table, seed)
    labels, predictions = parts[splits.TEST][1], predict(test)
    rows = [test.iloc[[row % len(test)]] for row in range(_SINGLE_ROWS)]
    many = test.iloc[np.resize(np.arange(len(test)), _ROWS_AT_A_TIME)]
    values = {
        **scores.measure(table["task"], labels, predictions),
        "trees": float(trees),
        **training.values("train"),
        **scores.speed(predict, rows, many, len(many)),
    }
    return values, scores.losses(table["task"], labels, predictions)


def _lightgbm(parts: Any, table: Any, seed: int) -> tuple[Predict, pd.DataFrame, int]:
    import lightgbm

    train, held_out, test = _without_text(parts, table)
    kind = lightgbm.LGBMRegressor if _regression(table) else lightgbm.LGBMClassifier
    model = kind(
        n_estimators=TREES, learning_rate=RATE, random_state=seed, n_jobs=_threads(), verbose=-1
    )
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    model.fit(train[0], train[1], eval_set=[held_out], callbacks=[stop])
    predict = model.predict if _regression(table) else model.predict_proba
    return predict, test[0], model.best_iteration_


def _catboost(parts: Any, table: Any, seed: int) -> tuple[Predict, pd.DataFrame, int]:
    import catboost

    def prepared(frame: pd.DataFrame) -> pd.DataFrame:
        categories = frame.select_dtypes("category").columns
        texts = {name: frame[name].astype("object").fillna("missing") for name in categories}
        return frame.assign(**texts)

    train, held_out, test = (parts[name] for name in (splits.TRAIN, splits.EVAL, splits.TEST))
    categories = list(train[0].select_dtypes("category"))
    kind = catboost.CatBoostRegressor if _regression(table) else catboost.CatBoostClassifier
    model = kind(
        iterations=CATBOOST_TREES,
        od_type="Iter",
        od_wait=PATIENCE,
        random_seed=seed,
        thread_count=_threads(),
        cat_features=categories,
        text_features=list(table["text"]) or None,
        verbose=False,
        allow_writing_files=False,
    )
    model.fit(prepared(train[0]), train[1], eval_set=(prepared(held_out[0]), held_out[1]))
    predict = model.predict if _regression(table) else model.predict_proba
    return predict, prepared(test[0]), model.tree_count_


def _hist_gradient_boosting(parts: Any, table: Any, seed: int) -> tuple[Predict, pd.DataFrame, int]:
    from sklearn import ensemble

    train, held_out, test = (
        (_frequent(frame, parts[splits.TRAIN][0]), labels)
        for frame, labels in _without_text(parts, table)
    )
    kind = (
        ensemble.HistGradientBoostingRegressor
        if _regression(table)
        else ensemble.HistGradientBoostingClassifier
    )
    settings = {"learning_rate": RATE, "categorical_features": "from_dtype", "random_state": seed}
    stopping = {"early_stopping": True, "n_iter_no_change": PATIENCE, "tol": 0.0}
    model = kind(max_iter=TREES, **settings, **stopping)
    model.fit(train[0], train[1], X_val=held_out[0], y_val=held_out[1])
    # It keeps all iterations, and has no option to predict with the best number on eval.
    best = int(np.argmax(model.validation_score_[1:])) + 1
    del model._predictors[best:]
    predict = model.predict if _regression(table) else model.predict_proba
    return predict, test[0], best


def _threads() -> int:
    # What OpenMP, and with it HistGradientBoosting, goes by.
    return int(os.environ["OMP_NUM_THREADS"])


def _regression(table: dict[str, Any]) -> bool:
    return bool(table["task"] == "regression")


def _without_text(parts: Any, table: Any) -> list[tuple[pd.DataFrame, Any]]:
    return [
        (parts[name][0].drop(columns=list(table["text"])), parts[name][1])
        for name in (splits.TRAIN, splits.EVAL, splits.TEST)
    ]


def _frequent(frame: pd.DataFrame, train: pd.DataFrame) -> pd.DataFrame:
    """Keep as many categories as the library takes, the most frequent; others are missing."""
    kept = {
        name: frame[name].cat.set_categories(
            train[name].value_counts().index[:_MOST_CATEGORIES].tolist()
        )
        for name in frame.select_dtypes("category")
    }
    return frame.assign(**kept)


_TRAINERS: dict[str, Callable[[Any, Any, int], tuple[Predict, pd.DataFrame, int]]] = {
    "lightgbm": _lightgbm,
    "catboost": _catboost,
    "hist-gradient-boosting": _hist_gradient_boosting,
}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
