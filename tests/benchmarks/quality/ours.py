"""Trains with kfp-tabular on transformed tables, in the environment of TensorFlow.

What is measured is what users get: the exported SavedModel's answers to the raw test rows.
"""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction import predicted_batches
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.training import train
from kfp_tabular.components.training.options import TrainingOptions
from kfp_tabular.components.training.training_request import TrainingRequest
from tests.benchmarks.quality import scores, splits

_ROWS_AT_A_TIME, _SINGLE_ROWS = 8192, 200


def main(folder: Path, document: str) -> None:
    """Print a JSON line for each `[model type, name, seed]`; an empty type is the default one."""
    for model_type, name, seed in json.loads(document):
        table = folder / name / f"seed{seed}"
        line: dict[str, object] = {"model": model_type, "table": name, "seed": seed}
        try:
            line["values"] = run(
                table, table / f"model-{model_type or 'default'}", model_type, seed
            )
        except UserError as error:
            line["error"] = str(error)
        print(json.dumps(line), flush=True)


def run(table: Path, output: Path, model_type: str, seed: int) -> dict[str, float]:
    """Train and measure.

    Args:
        table: The folder with `examples`, `transformed_examples` and `transform_graph`.
        output: The folder for model, logs and report.
        model_type: The hyperparameter; empty for its default.
        seed: The training's seed.
    """
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    request = TrainingRequest(
        options=TrainingOptions(model_type=model_type or Hyperparameters().model_type, seed=seed),
        transformed_examples=table / "transformed_examples",
        transform_graph=table / "transform_graph",
        model=output / "model",
        training_logs=output / "logs",
        report=output / "report.html",
    )
    started = time.perf_counter()
    train.run(request)
    seconds = time.perf_counter() - started
    return {**measure(output / "model", table), "train_seconds": seconds}


def measure(path: Path, table: Path) -> dict[str, float]:
    """Return the scores of a model on the raw test rows of a table, and its speed.

    Args:
        path: The model artifact.
        table: The folder with `examples`.
    """
    model = SavedModel(path)
    examples = Examples(table / "examples")
    batches = list(predicted_batches.predict(examples, splits.TEST, [model]))
    labels = np.concatenate([batch.labels for batch in batches])
    predictions = np.concatenate([batch.predictions[0] for batch in batches])
    left_out = sum(batch.missing + batch.unknown for batch in batches)
    if left_out:
        raise UserError(f"{table}: {left_out} test rows have a label that the model does not know.")
    return {
        **scores.measure(model.spec.task, labels, np.asarray(predictions, np.float64)),
        **_speed(model, batches[0].inputs),
        "test_rows": float(len(labels)),
        "megabytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6,
    }


def _speed(model: SavedModel, inputs: dict[str, Any]) -> dict[str, float]:
    rows = len(next(iter(inputs.values())))
    single = []
    for row in range(_SINGLE_ROWS):
        at = [row % rows]
        started = time.perf_counter()
        model.predict({name: values[at] for name, values in inputs.items()})
        single.append(time.perf_counter() - started)
    chosen = np.resize(np.arange(rows), _ROWS_AT_A_TIME)
    many = {name: values[chosen] for name, values in inputs.items()}
    model.predict(many)
    started = time.perf_counter()
    model.predict(many)
    return {
        "row_ms": 1000 * float(np.median(single)),
        "rows_per_second": _ROWS_AT_A_TIME / (time.perf_counter() - started),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
