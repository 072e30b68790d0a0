"""Counts in how many rows n-grams occur, with the operations that the transform graph uses."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.raw_features import MISSING_STRING
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.feature_engineering import target_encoding
from kfp_tabular.components.feature_engineering.features import text_features
from kfp_tabular.components.feature_engineering.features.text_features import (
    TextColumn,
    TextFacts,
)
from kfp_tabular.components.feature_engineering.graph import text_graph
from kfp_tabular.components.feature_engineering.task_resolution import TRAIN

COUNTED_ROWS = 50_000
"""The number of rows of a column in which n-grams are counted. The standard deviation of the share
of rows with an n-gram is then at most 0.22 percentage points."""

_BATCH_ROWS = 1_024
_MOST_CLASSES = 32
_SEED = 0  # Any value works, but changing it changes which n-grams are kept.

_logger = logging.getLogger(__name__)


def collect(examples: Examples, columns: Sequence[TextColumn], task: Task) -> dict[str, TextFacts]:
    """Count n-grams of some columns of the train split, in one pass over a sample of its rows.

    Args:
        examples: The examples to read.
        columns: The text columns.
        task: The task, whose label tells which n-grams are useful.

    Returns:
        How often n-grams occur, by column.
    """
    if not columns:
        return {}
    characters = text_graph.Characters()
    classes = 0 if task.kind == "regression" else len(task.classes)
    counters = [_Counter(column, characters, classes) for column in columns]
    for batch in _sampled(examples, [*(column.name for column in columns), task.label]):
        *found, label = batch.filter(target_encoding.present(batch.columns[-1])).columns
        targets = target_encoding.encode(label, task)
        for counter, texts in zip(counters, found, strict=True):
            counter.add(texts, targets)
    for counter in counters:
        _logger.info("%s: counted n-grams of %d texts", counter.column.name, counter.rows)
    return {counter.column.name: counter.facts() for counter in counters}


def _sampled(examples: Examples, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    share = min(1.0, COUNTED_ROWS / max(1, examples.rows()[TRAIN]))
    random = np.random.default_rng(_SEED)
    for batch in examples.batches(TRAIN, names, _BATCH_ROWS):
        drawn = random.random(batch.num_rows) < share
        yield batch if share == 1.0 else batch.filter(pa.array(drawn))


class _Counter:
    """Counts the n-grams of one column.

    Args:
        column: The column.
        characters: The tables of code points.
        classes: The number of classes; 0 for a label that is a number. Many classes are counted in
            groups.
    """

    def __init__(self, column: TextColumn, characters: text_graph.Characters, classes: int) -> None:
        tf = import_tensorflow()
        self.column = column
        self.rows = 0
        names = text_graph.taken(column.ngrams)
        self._counts = {name: np.zeros(2**text_graph.HASH_BITS, np.int64) for name in names}
        self._classes = classes and min(classes, _MOST_CLASSES)
        self._by_target = {
            name: np.zeros((2**text_graph.HASH_BITS, self._classes or 1)) for name in names
        }
        # Of the label: rows by class, or sum and sum of squares.
        self._targets = np.zeros(self._classes or 2)
        self._sums = np.zeros(len(text_graph.STATISTICS))
        self._squares = np.zeros(len(text_graph.STATISTICS))

        def count(texts: Any) -> tuple[Any, Any]:
            return (
                text_graph.buckets(texts, characters, column.ngrams),
                text_graph.statistics(texts, characters, column.ngrams.length),
            )

        self._count = tf.function(
            count, autograph=False, input_signature=[tf.TensorSpec([None], tf.string)]
        )

    def add(self, column: pa.Array, targets: npt.NDArray[Any]) -> None:
        texts = pc.cast(column, pa.string())
        present = pc.fill_null(pc.not_equal(texts, MISSING_STRING), False)
        texts, targets = texts.filter(present), targets[present.to_numpy(zero_copy_only=False)]
        if not len(texts):
            return
        if self._classes:
            targets = targets % self._classes
            self._targets += np.bincount(targets, minlength=self._classes)
        else:
            targets = targets.astype(np.float64)
            self._targets += [targets.sum(), (targets**2).sum()]
        tf = import_tensorflow()
        values = texts.cast(pa.binary()).to_numpy(zero_copy_only=False)
        found, statistics = self._count(tf.constant(values))
        for name, (rows, buckets) in found.items():
            self._add(name, rows.numpy(), buckets.numpy(), targets)
        numbers = statistics.numpy().astype(np.float64)
        self._sums += numbers.sum(axis=0)
        self._squares += (numbers**2).sum(axis=0)
        self.rows += len(texts)

    def _add(
        self,
        name: str,
        rows: npt.NDArray[np.int32],
        buckets: npt.NDArray[np.int32],
        targets: npt.NDArray[Any],
    ) -> None:
        # An n-gram counts once in a row.
        pairs = np.unique(rows[rows >= 0].astype(np.int64) << 32 | buckets[rows >= 0])
        buckets, of_rows = pairs & 0xFFFFFFFF, targets[pairs >> 32]
        size = len(self._counts[name])
        self._counts[name] += np.bincount(buckets, minlength=size)
        if self._classes:
            cells = buckets * self._classes + of_rows
            found = np.bincount(cells, minlength=size * self._classes)
        else:
            found = np.bincount(buckets, of_rows, size)
        self._by_target[name] += found.reshape(size, -1)

    def _scores(self, name: str) -> npt.NDArray[np.float64]:
        sums, counts = self._by_target[name], self._counts[name].astype(np.float64)
        if self._classes:
            shares = self._targets / max(1, self.rows)
            return text_features.class_scores(sums, counts, shares)
        mean = self._targets[0] / max(1, self.rows)
        variance = max(0.0, self._targets[1] / max(1, self.rows) - mean**2)
        return text_features.number_scores(
            sums[:, 0], counts, float(mean), float(variance) ** 0.5, self.rows
        )

    def facts(self) -> TextFacts:
        means = self._sums / max(1, self.rows)
        variances = self._squares / max(1, self.rows) - means**2
        deviations = np.sqrt(np.maximum(variances, 0.0))
        return TextFacts(
            column=self.column,
            rows=self.rows,
            frequencies=self._counts,
            scores={name: self._scores(name) for name in self._counts},
            means=means.astype(np.float32),
            deviations=np.where(deviations > 1e-3, deviations, 1.0).astype(np.float32),
        )
