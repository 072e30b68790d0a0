"""Counts in how many rows n-grams occur, with the operations that the transform graph uses."""

import functools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.raw_features import MISSING_STRING
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import total_rows
from kfp_tabular.components.feature_engineering import target_encoding
from kfp_tabular.components.feature_engineering.features import text_features
from kfp_tabular.components.feature_engineering.features.text_features import (
    Ngrams,
    TextColumn,
    TextFacts,
)
from kfp_tabular.components.feature_engineering.graph import text_graph
from kfp_tabular.components.feature_engineering.task_resolution import TRAIN

COUNTED_ROWS = 50_000
"""The number of rows of a column in which n-grams are counted. The standard deviation of the share
of rows with an n-gram is then at most 0.22 percentage points."""

_COUNTED_AT_ONCE = 1_024
_MOST_READ_AT_ONCE = 65_536
_MOST_CLASSES = 32
_SEED = 0  # Any value works, but changing it changes which n-grams are kept.

Count = Callable[[Any], tuple[Mapping[str, tuple[Any, Any]], Any]]
"""From texts to the buckets of their n-grams, with rows, and to statistics."""

_logger = logging.getLogger(__name__)
_tracing = threading.Lock()


def collect(
    examples: Examples,
    columns: Sequence[TextColumn],
    task: Task,
    engine: Engine | None = None,
    piece_rows: int = 0,
) -> dict[str, TextFacts]:
    """Count n-grams of some columns of the train split, in one pass over a sample of its rows.

    Args:
        examples: The examples to read.
        columns: The text columns.
        task: The task, whose label tells which n-grams are useful.
        engine: What runs the fold; None for threads of this process.
        piece_rows: The wanted number of rows of a piece; 0 for the usual one.

    Returns:
        How often n-grams occur, by column.
    """
    if not columns:
        return {}
    pieces = example_pieces.pieces(examples, TRAIN, piece_rows)
    total = total_rows(pieces)
    size = round(min(_MOST_READ_AT_ONCE, _COUNTED_AT_ONCE / _share(total)))
    names = [*(column.name for column in columns), task.label]
    found = (engine or LocalEngine()).fold(
        pieces,
        functools.partial(NgramFold, tuple(columns), task, total),
        example_pieces.reader(examples, names, size),
        what="n-grams of texts",
    )
    for name, facts in found.items():
        _logger.info("%s: counted n-grams of %d texts", name, facts.rows)
    return found


def _share(total: int) -> float:
    return min(1.0, COUNTED_ROWS / max(1, total))


class NgramFold:
    """Counts n-grams of some columns in a sample of rows, which depends on their positions.

    Args:
        columns: The text columns.
        task: The task, whose label is the column after them.
        total: The rows of the whole split, which the sample depends on.
    """

    def __init__(self, columns: Sequence[TextColumn], task: Task, total: int) -> None:
        self._columns = columns
        self._task = task
        self._total = total
        self._share = _share(total)
        classes = 0 if task.kind == "regression" else len(task.classes)
        self._counters = [_Counter(column, classes) for column in columns]

    def add(self, batch: Rows) -> None:
        """Add rows; the columns are those of the texts, then the label."""
        rows = batch.batch
        if self._share < 1.0:
            # One stream of random numbers for the whole split, from the position of the batch on.
            stream = np.random.Generator(np.random.PCG64(_SEED).advance(batch.first))
            rows = rows.filter(pa.array(stream.random(rows.num_rows) < self._share))
        *found, label = rows.filter(target_encoding.present(rows.columns[-1])).columns
        targets = target_encoding.encode(label, self._task)
        for counter, texts in zip(self._counters, found, strict=True):
            # The memory that counting takes is many times that of the texts.
            for start in range(0, len(texts), 2 * _COUNTED_AT_ONCE):
                part = slice(start, start + 2 * _COUNTED_AT_ONCE)
                counter.add(texts[part], targets[part])

    def merge(self, other: "NgramFold") -> None:
        """Add what another accumulator has seen."""
        for counter, more in zip(self._counters, other._counters, strict=True):
            counter.merge(more)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({counter.column.name: counter.state() for counter in self._counters})

    def from_state(self, state: bytes) -> "NgramFold":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = NgramFold(self._columns, self._task, self._total)
        for counter in found._counters:
            counter.restore(parts[counter.column.name])
        return found

    def result(self) -> dict[str, TextFacts]:
        """Return the facts by column."""
        return {counter.column.name: counter.facts() for counter in self._counters}


def _counting(ngrams: Ngrams) -> Count:
    """Return the operations that count n-grams; each process traces them once."""
    with _tracing:
        return _traced(ngrams)


@functools.lru_cache(maxsize=64)
def _traced(ngrams: Ngrams) -> Count:
    tf = import_tensorflow()
    characters = _characters()

    def count(texts: Any) -> tuple[Any, Any]:
        return (
            text_graph.buckets(texts, characters, ngrams),
            text_graph.statistics(texts, characters, ngrams.length),
        )

    found: Count = tf.function(
        count, autograph=False, input_signature=[tf.TensorSpec([None], tf.string)]
    )
    return found


@functools.cache
def _characters() -> text_graph.Characters:
    return text_graph.Characters()


class _Counter:
    """Counts the n-grams of one column.

    Args:
        column: The column.
        classes: The number of classes; 0 for a label that is a number. Many classes are counted in
            groups.
    """

    def __init__(self, column: TextColumn, classes: int) -> None:
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
        found, statistics = _counting(self.column.ngrams)(tf.constant(values))
        for name, (rows, buckets) in found.items():
            self._add(name, rows.numpy(), buckets.numpy(), targets)
        numbers = statistics.numpy().astype(np.float64)
        self._sums += numbers.sum(axis=0)
        self._squares += (numbers**2).sum(axis=0)
        self.rows += len(texts)

    def merge(self, other: "_Counter") -> None:
        self.rows += other.rows
        self._targets += other._targets
        self._sums += other._sums
        self._squares += other._squares
        for name, counts in other._counts.items():
            self._counts[name] += counts
            self._by_target[name] += other._by_target[name]

    def state(self) -> bytes:
        parts: dict[str, Any] = {
            "rows": self.rows,
            "targets": self._targets,
            "sums": self._sums,
            "squares": self._squares,
        }
        for name, counts in self._counts.items():
            (seen,) = np.nonzero(counts)
            parts |= {
                f"{name} buckets": seen.astype(np.int32),
                f"{name} counts": counts[seen],
                f"{name} by target": self._by_target[name][seen],
            }
        return states.pack(parts)

    def restore(self, state: bytes) -> None:
        parts = states.unpack(state)
        self.rows = parts["rows"]
        self._targets, self._sums = parts["targets"], parts["sums"]
        self._squares = parts["squares"]
        for name in self._counts:
            seen = parts[f"{name} buckets"]
            self._counts[name][seen] = parts[f"{name} counts"]
            self._by_target[name][seen] = parts[f"{name} by target"]

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
