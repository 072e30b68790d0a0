"""Predictions of exported models for the labeled rows of pieces of a split, batch by batch."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kfp_tabular.components.common.artifacts import example_pieces, model_document
from kfp_tabular.components.common.artifacts.dense_columns import dense_numpy
from kfp_tabular.components.common.artifacts.example_pieces import PieceReader
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.examples.shard_file import check_rows
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.artifacts.sent_directory import SentDirectory
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.prediction import label_encoding, saved_model
from kfp_tabular.components.common.prediction.saved_model import Predictions, SavedModel
from kfp_tabular.components.common.process.tensorflow import use_one_thread_per_operation
from kfp_tabular.components.common.processing import row_keys
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.processing.row_keys import Keys

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
        first: Position of the batch's first row in the split.
    """

    labels: npt.NDArray[Any]
    predictions: tuple[Predictions, ...]
    columns: pa.RecordBatch
    inputs: dict[str, "np.ndarray[Any, Any]"]
    outputs: dict[str, Any]
    usable: npt.NDArray[np.int64]
    missing: int
    unknown: int
    first: int = 0

    def keys(self, seed: int) -> Keys:
        """Return the random key of each of these rows; see `row_keys`."""
        rows = len(self.labels) + self.missing + self.unknown
        return row_keys.keys(self.first, rows, seed)[self.usable]


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


@dataclass(frozen=True)
class PredictedReader:
    """Reads pieces of examples with the predictions of models. Made by `reader`.

    Each process loads the models once, when it reads its first piece.

    Attributes:
        models: The directories of the models. They go along to other processes.
        rows: Reads the columns.
        ranges: The positions of the rows to predict for, as ascending ranges; empty for all.
    """

    models: tuple[SentDirectory, ...]
    rows: PieceReader
    ranges: tuple[tuple[int, int], ...] = ()

    def __call__(self, piece: Piece) -> Iterator[PredictedBatch]:
        """Yield the rows of a piece, in order.

        Raises:
            UserError: If a prediction is not finite, or its shape contradicts `model.json`; if a
                shard is damaged, or not that of the manifest.
        """
        use_one_thread_per_operation()
        models = [saved_model.loaded_from(model) for model in self.models]
        first = piece.first_row
        # Each row group by itself: which rows are predicted together does not depend on the pieces,
        # so that predictions are the same to the last bit.
        for group in range(piece.start, piece.stop):
            part = replace(piece, start=group, stop=group + 1, first_row=first, rows=0)
            for rows in self.rows(part):
                first = rows.first + rows.batch.num_rows
                for wanted in self._wanted(rows):
                    yield _predicted(wanted, models)
        groups = range(piece.start, piece.stop)
        check_rows(piece.uri, groups, first - piece.first_row, piece.rows)

    def pieces(self, examples: Examples, split: str) -> list[Piece]:
        """Cut a split into pieces; those without rows to predict for are left out."""
        if not self.ranges:
            return example_pieces.pieces(examples, split)
        return [
            piece
            for piece in example_pieces.pieces(examples, split, rows=1)
            if any(
                start < piece.first_row + piece.rows and piece.first_row < stop
                for start, stop in self.ranges
            )
        ]

    def _wanted(self, rows: Rows) -> Iterator[Rows]:
        if not self.ranges:
            yield rows
        for start, stop in self.ranges:
            low = max(start - rows.first, 0)
            length = min(stop - rows.first, rows.batch.num_rows) - low
            if length > 0:
                yield Rows(rows.batch.slice(low, length), rows.first + low, rows.split)


def reader(
    examples: Examples,
    models: Sequence[str | os.PathLike[str]],
    more_columns: Sequence[str] = (),
    ranges: Sequence[tuple[int, int]] = (),
) -> PredictedReader:
    """Return what reads the pieces of examples with predictions.

    Args:
        examples: The examples; they hold what the models need, see `check_columns`.
        models: Directories of one or more models. Labels are decoded with the first one's classes.
        more_columns: Columns to read besides those that the models need.
        ranges: The positions of the rows to predict for, as ascending ranges; empty for all.
    """
    paths = tuple(os.fspath(path) for path in models)
    specs = [ModelSpec.load(path) for path in paths]
    columns = [specs[0].label, *more_columns]
    columns += [entry.name for spec in specs for entry in spec.inputs]
    rows = example_pieces.reader(examples, list(dict.fromkeys(columns)), batch_rows(specs))
    return PredictedReader(tuple(map(SentDirectory, paths)), rows, tuple(ranges))


def _predicted(rows: Rows, models: Sequence[SavedModel]) -> PredictedBatch:
    spec, batch = models[0].spec, rows.batch
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
        _check_finite(values, "baseline model" if position else "model", rows)
        predictions.append(values if whole else values[usable])
        if position == 0:
            first_inputs, first_outputs = tensors, outputs
    return PredictedBatch(
        labels=decoded.values,
        predictions=tuple(predictions),
        columns=batch if whole else batch.filter(pa.array(decoded.usable)),
        inputs=first_inputs,
        outputs=first_outputs,
        usable=usable,
        missing=decoded.missing,
        unknown=decoded.unknown,
        first=rows.first,
    )


def batch_rows(specs: Sequence[ModelSpec]) -> int:
    """Return how many rows to predict at once: many, but fewer if rows are wide."""
    width = max(max(len(spec.inputs), len(spec.classes), 1) for spec in specs)
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


def _check_finite(values: Predictions, which: str, rows: Rows) -> None:
    finite = np.isfinite(values) if values.ndim == 1 else np.isfinite(values).all(axis=1)
    if not finite.all():
        row = rows.first + int(np.flatnonzero(~finite)[0])
        raise UserError(
            f"{which}: its prediction is not finite for {int((~finite).sum())} of {len(values)} "
            f"rows, first for row {row} of split {rows.split!r}. Training has probably diverged; "
            "try a lower learning rate."
        )
