"""Applies a transform graph to every split and writes the transformed examples."""

import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts.dense_columns import dense_numpy
from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter
from kfp_tabular.components.common.artifacts.manifest import Shard
from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.feature_engineering import target_encoding
from kfp_tabular.components.feature_engineering.features.column_facts import batch_rows
from kfp_tabular.components.feature_engineering.features.planned_features import TransformedColumn

_BATCH_ROWS = 32_768
_VECTOR_CELLS = 4_000_000
_THREADS = 2

_logger = logging.getLogger(__name__)


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
    destination: Path,
    *,
    features: Sequence[RawFeature],
    outputs: Sequence[TransformedColumn],
    task: Task,
) -> TransformedExamples:
    """Transform all splits and write them.

    Args:
        examples: The examples to transform.
        graph: A tf.Transform output directory.
        destination: An existing directory.
        features: The raw features that the graph takes.
        outputs: The graph's outputs, in the order of the columns.
        task: The task, which defines how labels are encoded.

    Raises:
        UserError: A value does not fit its feature, or a split has no row with a label.
    """
    apply = _Transform(graph, features, outputs, task)
    schema = apply.schema
    size = batch_rows(len(features) + len(outputs), _BATCH_ROWS)
    cells = sum(output.cells for output in outputs)
    if cells > len(outputs):
        size = min(size, batch_rows(cells, _BATCH_ROWS, _VECTOR_CELLS))
    unlabelled = dict.fromkeys(examples.splits, 0)
    with (
        ExamplesWriter(destination, schema, examples.splits) as writer,
        ThreadPoolExecutor(_THREADS) as threads,
    ):
        for split in examples.splits:
            batches = examples.batches(split, apply.columns, size)
            for batch, given in _in_order(threads, apply, batches):
                unlabelled[split] += given - batch.num_rows
                writer.write(split, batch)
            _logger.info("%s: %d rows transformed", split, writer.rows[split])
        rows = dict(writer.rows)
    for split, missing in unlabelled.items():
        if missing and not rows[split]:
            raise UserError(f"label {task.label!r}: the {split} split has no value.")
        if missing:
            _logger.warning("%s: left out %d rows without a label", split, missing)
    return TransformedExamples(rows, unlabelled, writer.schema, writer.shards)


class _Transform:
    """Transforms batches with a transform graph."""

    def __init__(
        self,
        graph: Path,
        features: Sequence[RawFeature],
        outputs: Sequence[TransformedColumn],
        task: Task,
    ) -> None:
        tf = import_tensorflow()
        import tensorflow_transform as tft

        layer = tft.TFTransformOutput(str(graph)).transform_features_layer()
        self._tf = tf
        self._function = tf.function(layer.call, autograph=False, reduce_retracing=True)
        self._features = features
        self._outputs = outputs
        self._task = task

    @property
    def columns(self) -> list[str]:
        """The columns to read."""
        return [*(feature.name for feature in self._features), self._task.label]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of transformed batches."""
        label = TransformedColumn(
            self._task.label, None if self._task.kind == "regression" else len(self._task.classes)
        )
        return pa.schema([(output.name, _arrow_type(output)) for output in [*self._outputs, label]])

    def __call__(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, int]:
        """Return the transformed batch, and the number of rows before rows were left out."""
        given = batch.num_rows
        label = batch.column(batch.num_columns - 1)
        labeled = target_encoding.present(label)
        if labeled.true_count < given:
            batch = batch.filter(labeled)
            label = batch.column(batch.num_columns - 1)
        raw = {
            feature.name: self._tf.constant(dense_numpy(batch.column(index), feature))
            for index, feature in enumerate(self._features)
        }
        found = self._function(raw)
        arrays = [_array(found[output.name].numpy(), output) for output in self._outputs]
        arrays.append(pa.array(target_encoding.encode(label, self._task)))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema), given


def _arrow_type(output: TransformedColumn) -> pa.DataType:
    if output.width is not None:
        return pa.list_(pa.float16() if output.compact else pa.float32(), output.width)
    return pa.float32() if output.size is None else pa.int64()


def _array(values: "np.ndarray[Any, Any]", output: TransformedColumn) -> pa.Array:
    if output.width is None:
        return pa.array(values.reshape(-1))
    numbers = values.reshape(-1).astype(np.float16 if output.compact else np.float32, copy=False)
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers), output.width)


def _in_order(
    threads: ThreadPoolExecutor, apply: _Transform, batches: Iterator[pa.RecordBatch]
) -> Iterator[tuple[pa.RecordBatch, int]]:
    """Yield results in order, with a bounded number of batches in progress."""
    pending: deque[Future[tuple[pa.RecordBatch, int]]] = deque()
    for batch in batches:
        if len(pending) > _THREADS:
            yield pending.popleft().result()
        pending.append(threads.submit(apply, batch))
    while pending:
        yield pending.popleft().result()
