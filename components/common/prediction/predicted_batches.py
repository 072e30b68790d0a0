"""Predictions of exported models for the labeled rows of a split, a batch at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.common.artifacts import model_document
from kfp_tabular.components.common.artifacts.dense_columns import dense_numpy
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.prediction import label_encoding
from kfp_tabular.components.common.prediction.saved_model import Predictions, SavedModel

# Measured: throughput grows up to about 16,384 rows a batch and no further.
_MOST_ROWS = 16_384
_FEWEST_ROWS = 256
_CELLS = 4_000_000


@dataclass(frozen=True)
class PredictedBatch:
    """The rows of a batch that have a usable label, with predictions.

    Attributes:
        labels: Class indices (int64) or numbers (float64), shape `[rows]`.
        predictions: The predictions of each model for these rows, in the order of the models.
        columns: The raw columns of these rows.
        inputs: Dense inputs of the first model for the whole batch, by `ModelInput.input`.
        outputs: Outputs of the first model for the whole batch, as tensors.
        usable: Positions of these rows in `inputs` and `outputs`.
        missing: Number of rows left out because they have no label.
        unknown: Number of rows left out because the model does not know their class.
    """

    labels: npt.NDArray[Any]
    predictions: tuple[Predictions, ...]
    columns: pa.RecordBatch
    inputs: dict[str, "np.ndarray[Any, Any]"]
    outputs: dict[str, Any]
    usable: npt.NDArray[np.int64]
    missing: int
    unknown: int


def check_columns(path: Path, examples: Examples, spec: ModelSpec) -> None:
    """Check that examples hold the label and the inputs of a model.

    Args:
        path: Directory of the model, for the message.
        examples: The examples.
        spec: The model's description.

    Raises:
        UserError: If the label or an input is not a column of the examples.
    """
    columns = examples.schema.names
    if spec.label not in columns:
        raise UserError(
            f"{examples.path}: no column {spec.label!r}, the label of the model in {path}."
            f"{closest(spec.label, columns)}"
        )
    absent = [entry.name for entry in spec.inputs if entry.name not in columns]
    if absent:
        more = f" (and {len(absent) - 1} more)" if len(absent) > 1 else ""
        raise UserError(
            f"{examples.path}: no column {absent[0]!r}{more}, which the model in {path} takes."
            f"{closest(absent[0], columns)}"
        )


def predict(
    examples: Examples, split: str, models: Sequence[SavedModel], more_columns: Sequence[str] = ()
) -> Iterator[PredictedBatch]:
    """Yield the predictions of models for a split.

    Args:
        examples: The examples; they hold what the models need, see `check_columns`.
        split: The split's name.
        models: One or more models. Labels are decoded with the first one's classes.
        more_columns: Columns to read besides those that the models need.

    Raises:
        UserError: If a prediction is not finite, or its shape contradicts `model.json`.
    """
    spec = models[0].spec
    columns = [spec.label, *more_columns]
    columns += [entry.name for predictor in models for entry in predictor.spec.inputs]
    start = 0
    for batch in examples.batches(split, list(dict.fromkeys(columns)), batch_rows(models)):
        decoded = label_encoding.decode(batch.column(spec.label), spec)
        usable = np.flatnonzero(decoded.usable)
        whole = len(usable) == batch.num_rows
        predictions = []
        for position, predictor in enumerate(models):
            tensors = {
                entry.input: dense_numpy(batch.column(entry.name), entry)
                for entry in predictor.spec.inputs
            }
            outputs = predictor.predict(tensors)
            values = _values(outputs, predictor.spec)
            _check_finite(values, "baseline model" if position else "model", split, start)
            predictions.append(values if whole else values[usable])
            if position == 0:
                first_inputs, first_outputs = tensors, outputs
        yield PredictedBatch(
            labels=decoded.values,
            predictions=tuple(predictions),
            columns=batch if whole else batch.filter(pa.array(decoded.usable)),
            inputs=first_inputs,
            outputs=first_outputs,
            usable=usable,
            missing=decoded.missing,
            unknown=decoded.unknown,
        )
        start += batch.num_rows


def batch_rows(models: Sequence[SavedModel]) -> int:
    """Return how many rows to predict at once: many, but fewer if rows are wide."""
    width = max(max(len(each.spec.inputs), len(each.spec.classes), 1) for each in models)
    return int(np.clip(_CELLS // width, _FEWEST_ROWS, _MOST_ROWS))


def _values(outputs: dict[str, Any], spec: ModelSpec) -> Predictions:
    name = model_document.PREDICTION if spec.task == "regression" else model_document.PROBABILITIES
    values: Predictions = outputs[name].numpy()
    wanted = (len(values),) if spec.task == "regression" else (len(values), len(spec.classes))
    if values.shape != wanted:
        raise UserError(
            f"model: output {name!r} has shape {list(values.shape)}, but model.json describes "
            f"{list(wanted)}."
        )
    return values


def _check_finite(values: Predictions, which: str, split: str, start: int) -> None:
    finite = np.isfinite(values) if values.ndim == 1 else np.isfinite(values).all(axis=1)
    if not finite.all():
        row = start + int(np.flatnonzero(~finite)[0])
        raise UserError(
            f"{which}: its prediction is not finite for {int((~finite).sum())} of {len(values)} "
            f"rows, first for row {row} of split {split!r}. Training has probably diverged; try a "
            "lower learning rate."
        )
