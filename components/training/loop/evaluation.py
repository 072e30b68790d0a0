"""Metrics of a model on the rows of a split."""

from collections.abc import Callable
from typing import Any

from kfp_tabular.components.training.input import parquet_reader
from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.input.training_data import TrainingData
from kfp_tabular.components.training.model import prediction_metrics

Predict = Callable[[PackedRows], Any]


def measure(predict: Predict, data: TrainingData, rows: PackedRows) -> dict[str, float]:
    """Return the metrics of the current weights on some rows, in the label's own unit."""
    prediction, label = predict(rows), rows.label
    if data.task.kind == "regression":
        prediction = data.label_scale.restored(prediction)
        label = data.label_scale.restored(label)
    return prediction_metrics.score(data.task.kind, label, prediction)


def final_metrics(predict: Predict, data: TrainingData, eval_rows: int) -> dict[str, float]:
    """Return the metrics of the weights kept, on a sample of each split.

    Args:
        predict: Predictions of the model.
        data: The input.
        eval_rows: Largest number of rows of the train split to read.
    """
    train = parquet_reader.sample(data.reader, data.train_files, eval_rows)
    found = {f"train_{name}": value for name, value in measure(predict, data, train).items()}
    if data.held_out is not None:
        measured = measure(predict, data, data.held_out)
        found |= {f"eval_{name}": value for name, value in measured.items()}
    return found
