"""Random tables and models of CatBoost, and what CatBoost itself predicts."""

from dataclasses import dataclass
from typing import Any

import catboost
import numpy as np
import pandas as pd

from kfp_tabular.components.training.trees.export import TreeColumns

KINDS = ("binary", "multiclass", "regression")
SIZES = (4, 600, 12)
COLUMNS = TreeColumns(numeric=(0, 1, 2), categorical=(0, 1, 2), sizes=SIZES)


@dataclass(frozen=True)
class Rows:
    """Packed rows."""

    numeric: np.ndarray
    categorical: np.ndarray

    def take(self, count: int) -> "Rows":
        return Rows(self.numeric[:count], self.categorical[:count])

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return {"numeric": self.numeric, "categorical": self.categorical}

    def pool(self, label: np.ndarray | None = None, weight: Any = None) -> catboost.Pool:
        numbers = {f"n{i}": column for i, column in enumerate(self.numeric.T)}
        ids = {f"c{i}": column for i, column in enumerate(self.categorical.T)}
        table = pd.DataFrame({**numbers, **ids})
        return catboost.Pool(table, label, cat_features=list(ids), weight=weight)


def rows(count: int, seed: int, *, missing: float = 0.1) -> Rows:
    """Return rows with missing values; every second id of a column never occurs."""
    random = np.random.default_rng(seed)
    numeric = random.normal(size=(count, 3)).astype(np.float32)
    numeric[random.random(numeric.shape) < missing] = np.nan
    columns = [random.integers(0, size, count) for size in SIZES]
    columns[1] -= columns[1] % 2
    return Rows(numeric, np.stack(columns, axis=1).astype(np.int32))


def strange_rows(count: int, seed: int) -> Rows:
    """Return rows with infinities and ids that training has not seen, some out of range."""
    random = np.random.default_rng(seed)
    found = rows(count, seed)
    for infinity in (np.inf, -np.inf):
        found.numeric[random.random(found.numeric.shape) < 0.03] = infinity
    ids = found.categorical
    ids[:, 1] = random.integers(0, SIZES[1], count)
    outside = random.random(ids.shape) < 0.1
    ids[outside] = random.choice([-1, -(2**31), 600, 601, 2**31 - 1], outside.sum())
    return found


def labels(kind: str, table: Rows, seed: int) -> np.ndarray:
    """Return labels that follow from all columns."""
    random = np.random.default_rng(seed)
    numbers = np.nan_to_num(table.numeric, nan=1.0, posinf=2.0, neginf=-2.0)
    ids = table.categorical
    score = numbers[:, 0] + np.abs(numbers[:, 1]) + (ids[:, 1] % 7 == 0) * 2
    score = score + (ids[:, 0] == 2) * (ids[:, 2] % 3) + random.normal(size=len(score))
    if kind == "regression":
        return score
    cuts = [1] if kind == "binary" else [0.5, 1.5, 2.5]
    return np.digitize(score, cuts)


def fit(kind: str, pool: catboost.Pool, **parameters: Any) -> catboost.CatBoost:
    """Return a trained model."""
    given: dict[str, Any] = {
        "loss_function": {"binary": "Logloss", "multiclass": "MultiClass"}.get(kind, "RMSE"),
        "iterations": 40,
        "depth": 5,
        "learning_rate": 0.3,
        "thread_count": 1,
        "allow_writing_files": False,
        "logging_level": "Silent",
        **parameters,
    }
    return catboost.CatBoost(given).fit(pool)


def raw_predictions(model: catboost.CatBoost, table: Rows) -> np.ndarray:
    """Return CatBoost's own predictions, shape `[rows, units]`."""
    found = model.predict(table.pool(), prediction_type="RawFormulaVal")
    return found.reshape(len(table.numeric), -1)
