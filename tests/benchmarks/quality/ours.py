"""Trains with kfp-tabular on transformed tables, in the environment of TensorFlow.

What is measured is what users get: the exported SavedModel's answers to the raw test rows.
"""

import json
import shutil
import sys
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
from tests.benchmarks.quality import row_losses, scores, splits

_ROWS_AT_A_TIME, _SINGLE_ROWS = 8192, 100


def main(folder: Path, document: str) -> None:
    """Print a JSON line for each `[model type, name, seed]`; an empty type is the default one."""
    for model_type, name, seed in json.loads(document):
        table = folder / name / f"seed{seed}"
        line: dict[str, object] = {"model": model_type, "table": name, "seed": seed}
        output = table / f"model-{model_type or 'default'}"
        try:
            line["values"] = run(table, output, model_type, seed)
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
    with scores.Stopwatch() as training:
        train.run(request)
    name = f"kfp-tabular {model_type}".strip()
    return {**measure(output / "model", table, name), **training.values("train")}


def measure(path: Path, table: Path, name: str = "") -> dict[str, float]:
    """Return the scores of a model on the raw test rows of a table, and its speed.

    Args:
        path: The model artifact.
        table: The folder with `examples`.
        name: Under which the rows' losses are kept; empty not to keep them.
    """
    model = SavedModel(path)
    examples = Examples(table / "examples")
    read = predicted_batches.reader(examples, [path])
    pieces = read.pieces(examples, splits.TEST)
    batches = [batch for piece in pieces for batch in read(piece)]
    labels = np.concatenate([batch.labels for batch in batches])
    predictions = np.concatenate([batch.predictions[0] for batch in batches])
    left_out = sum(batch.missing + batch.unknown for batch in batches)
    if left_out:
        raise UserError(f"{table}: {left_out} test rows have a label that the model does not know.")
    if name:
        losses = scores.losses(model.spec.task, labels, predictions)
        row_losses.write(table, name, labels, losses)
    return {
        **scores.measure(model.spec.task, labels, np.asarray(predictions, np.float64)),
        **_speed(model, batches[0].inputs),
        "test_rows": float(len(labels)),
        "megabytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6,
    }


def _speed(model: SavedModel, inputs: dict[str, Any]) -> dict[str, float]:
    def take(rows: Any) -> dict[str, Any]:
        return {name: values[rows] for name, values in inputs.items()}

    count = len(next(iter(inputs.values())))
    rows = [take([row % count]) for row in range(_SINGLE_ROWS)]
    many = take(np.resize(np.arange(count), _ROWS_AT_A_TIME))
    return scores.speed(model.predict, rows, many, _ROWS_AT_A_TIME)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
