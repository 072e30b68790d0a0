"""Applies a transform graph to every split and writes the transformed examples.

A map: a piece of the examples becomes a shard of the transformed ones.
"""

import functools
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.dense_columns import dense_numpy
from kfp_tabular.components.common.artifacts.example_pieces import PieceReader
from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    PieceWriter,
    ShardDestination,
    gather,
)
from kfp_tabular.components.common.artifacts.examples.piece_writer import Shards
from kfp_tabular.components.common.artifacts.manifest import Shard
from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.artifacts.sent_directory import SentDirectory
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.feature_engineering import target_encoding
from kfp_tabular.components.feature_engineering.features.column_facts import batch_rows
from kfp_tabular.components.feature_engineering.features.planned_features import TransformedColumn

_BATCH_ROWS = 32_768
_VECTOR_CELLS = 4_000_000

Transform = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""A transform graph: from raw features to transformed columns, both as tensors by name."""

_logger = logging.getLogger(__name__)
_loading = threading.Lock()


@dataclass(frozen=True)
class TransformedRows:
    """The numbers of rows that were transformed.

    Attributes:
        rows: Rows by split.
        unlabelled: Rows left out because they have no label, by split.
    """

    rows: Mapping[str, int]
    unlabelled: Mapping[str, int]


@dataclass(frozen=True)
class TransformedExamples(TransformedRows):
    """What was written.

    Attributes:
        schema: The schema of the transformed examples.
        shards: Their shards by split.
    """

    schema: pa.Schema
    shards: Mapping[str, Sequence[Shard]]


def write(
    examples: Examples,
    graph: Path,
    destination: ShardDestination,
    *,
    features: Sequence[RawFeature],
    outputs: Sequence[TransformedColumn],
    task: Task,
    engine: Engine | None = None,
    piece_rows: int = 0,
) -> TransformedExamples:
    """Transform all splits and write them.

    Args:
        examples: The examples to transform.
        graph: A tf.Transform output directory.
        destination: Where the shards are written.
        features: The raw features that the graph takes.
        outputs: The graph's outputs, in the order of the columns.
        task: The task, which defines how labels are encoded.
        engine: What runs the map; None for threads of this process.
        piece_rows: The wanted number of rows of a piece; 0 for the usual one.

    Raises:
        UserError: A value does not fit its feature, or a split has no row with a label.
    """
    sent = SentDirectory(str(graph))
    apply = ApplyGraph(sent, tuple(features), tuple(outputs), task, destination)
    # Names the columns that are missing.
    example_pieces.reader(examples, apply.columns)
    pieces = [
        piece
        for split in examples.splits
        for piece in example_pieces.pieces(examples, split, piece_rows)
    ]
    unlabelled = dict.fromkeys(examples.splits, 0)

    def shards() -> Iterator[Shards]:
        done = (engine or LocalEngine()).map(pieces, apply, what="transforming")
        for piece, made in done:
            unlabelled[piece.split] += made.unlabelled
            yield made.shards

    gathered = gather(destination, apply.schema, examples.splits, shards())
    for split, missing in unlabelled.items():
        if missing and not gathered.rows[split]:
            raise UserError(f"label {task.label!r}: the {split} split has no value.")
        if missing:
            _logger.warning("%s: left out %d rows without a label", split, missing)
    return TransformedExamples(gathered.rows, unlabelled, gathered.schema, gathered.shards)


@dataclass(frozen=True)
class TransformedPiece:
    """What was made of a piece.

    Attributes:
        shards: The shards of its split; none without rows.
        unlabelled: Rows left out because they have no label.
    """

    shards: Shards
    unlabelled: int


@dataclass(frozen=True)
class ApplyGraph:
    """Makes a shard of a piece. It can be sent to other processes.

    Attributes:
        graph: A tf.Transform output directory.
        features: The raw features that the graph takes.
        outputs: The graph's outputs, in the order of the columns.
        task: The task, which defines how labels are encoded.
        destination: Where the shards are written.
    """

    graph: SentDirectory
    features: tuple[RawFeature, ...]
    outputs: tuple[TransformedColumn, ...]
    task: Task
    destination: ShardDestination

    @property
    def columns(self) -> list[str]:
        """The columns to read."""
        return [*(feature.name for feature in self.features), self.task.label]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of transformed batches."""
        label = TransformedColumn(
            self.task.label, None if self.task.kind == "regression" else len(self.task.classes)
        )
        return pa.schema([(output.name, _arrow_type(output)) for output in [*self.outputs, label]])

    def __call__(self, piece: Piece) -> TransformedPiece:
        """Transform a piece, write it, and return what was written."""
        transform, schema = _loaded(self.graph), self.schema
        read = PieceReader(tuple(self.columns), self.batch_rows(piece.rows))
        unlabelled = 0
        with PieceWriter(self.destination, piece.number, schema) as writer:
            for rows in read(piece):
                batch = self._transformed(rows.batch, transform, schema)
                unlabelled += rows.batch.num_rows - batch.num_rows
                writer.write(piece.split, batch)
        return TransformedPiece(writer.shards, unlabelled)

    def batch_rows(self, rows: int) -> int:
        """Return the size of batches, each of which becomes a row group: nearly equal ones."""
        size = batch_rows(len(self.features) + len(self.outputs), _BATCH_ROWS)
        cells = sum(output.cells for output in self.outputs)
        if cells > len(self.outputs):
            size = min(size, batch_rows(cells, _BATCH_ROWS, _VECTOR_CELLS))
        return -(-rows // max(1, -(-rows // size))) or size

    def _transformed(
        self, batch: pa.RecordBatch, transform: Transform, schema: pa.Schema
    ) -> pa.RecordBatch:
        """Return the rows with a label, transformed."""
        tf = import_tensorflow()
        label = batch.column(batch.num_columns - 1)
        labeled = target_encoding.present(label)
        if labeled.true_count < batch.num_rows:
            batch = batch.filter(labeled)
            label = batch.column(batch.num_columns - 1)
        raw = {
            feature.name: tf.constant(dense_numpy(batch.column(index), feature))
            for index, feature in enumerate(self.features)
        }
        found = transform(raw)
        arrays = [_array(found[output.name].numpy(), output) for output in self.outputs]
        arrays.append(pa.array(target_encoding.encode(label, self.task)))
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _loaded(graph: SentDirectory) -> Transform:
    """Return a transform graph; each process loads it once."""
    with _loading:
        return _load(graph)


@functools.lru_cache(maxsize=1)
def _load(graph: SentDirectory) -> Transform:
    tf = import_tensorflow()
    import tensorflow_transform as tft

    with graph.opened() as directory:
        layer = tft.TFTransformOutput(str(directory)).transform_features_layer()
    found: Transform = tf.function(layer.call, autograph=False, reduce_retracing=True)
    return found


def _arrow_type(output: TransformedColumn) -> pa.DataType:
    if output.width is not None:
        return pa.list_(pa.float16() if output.compact else pa.float32(), output.width)
    return pa.float32() if output.size is None else pa.int64()


def _array(values: "np.ndarray[Any, Any]", output: TransformedColumn) -> pa.Array:
    if output.width is None:
        return pa.array(values.reshape(-1))
    numbers = values.reshape(-1).astype(np.float16 if output.compact else np.float32, copy=False)
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers), output.width)
