"""Statistics of the train split's label: class counts, weights, prior, mean and deviation."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.artifacts.examples import RowRange, ShardFile
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.folds.number_counts import NumberCounts
from kfp_tabular.components.training.input import parquet_reader
from kfp_tabular.components.training.input.label_scale import AS_IT_IS, LabelScale


@dataclass(frozen=True)
class LabelMoments:
    """Count, mean and sum of squared deviations of some numbers."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def plus(self, other: "LabelMoments") -> "LabelMoments":
        """Join two groups by Chan's update; plain sums of squares cancel for labels far from 0."""
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        squares = self.squares + other.squares + apart**2 * self.count * other.count / count
        return LabelMoments(count, self.mean + apart * other.count / count, squares)

    @property
    def deviation(self) -> float:
        """The population standard deviation; 1 instead of 0."""
        return math.sqrt(self.squares / self.count) or 1.0 if self.count else 1.0


def moments(share: Sequence[RowRange], label: str, scale: LabelScale = AS_IT_IS) -> LabelMoments:
    """Return the moments of a regression label, transformed, in one pass over that column.

    Args:
        share: Row ranges of the train split.
        label: The label's column.
        scale: Says how the label is transformed.

    Raises:
        UserError: If a label is missing or not finite.

    Example:
        >>> import tempfile, pyarrow as pa, pyarrow.parquet as pq
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "train.parquet"
        ...     pq.write_table(pa.table({"price": [1.0, 3.0]}), file)
        ...     moments(parquet_reader.worker_share([ShardFile.of(file)]), "price")
        LabelMoments(count=2, mean=2.0, squares=2.0)
    """
    found = LabelMoments()
    for numbers in _numbers(share, label):
        values = scale.transformed(numbers)
        mean = float(values.mean())
        found = found.plus(LabelMoments(len(values), mean, float(((values - mean) ** 2).sum())))
    return found


def quantiles(share: Sequence[RowRange], label: str, count: int) -> list[float]:
    """Return evenly spaced quantiles of a regression label, the smallest and the largest included.

    Labels of more than 16,384 distinct values are counted in bins, so the last digits differ.

    Args:
        share: Row ranges of the train split.
        label: The label's column.
        count: How many.

    Raises:
        UserError: If a label is missing or not finite.
    """
    counted = NumberCounts()
    for values in _numbers(share, label):
        counted.add(pa.array(values))
    up_to = np.cumsum(counted.counts())
    wanted = np.linspace(0, up_to[-1] - 1, count)
    found = counted.values()[np.searchsorted(up_to, wanted, side="right")]
    return [float(value) for value in found]


def class_counts(share: Sequence[RowRange], label: str, classes: int) -> list[int]:
    """Return the row count of each class, in one pass over the label's column.

    Args:
        share: Pieces of the train split.
        label: The label's column.
        classes: Number of classes.

    Raises:
        UserError: If a label is not a class index.

    Example:
        >>> import tempfile, pyarrow as pa, pyarrow.parquet as pq
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "train.parquet"
        ...     pq.write_table(pa.table({"species": [2, 0, 2]}), file)
        ...     share = parquet_reader.worker_share([ShardFile.of(file)])
        ...     class_counts(share, "species", classes=3)
        [1, 0, 2]
    """
    counts = np.zeros(classes, np.int64)
    for file, values in _labels(share, label):
        parquet_reader.require_class(values, classes, label, file)
        counts += np.bincount(values.astype(np.int64), minlength=classes)
    return [int(count) for count in counts]


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """Return class weights that give all classes the same total and rows a mean weight of 1.

    Args:
        counts: Rows by class. A class without rows has weight 0.

    Example:
        >>> balanced_weights([75, 25])
        [0.6666666666666666, 2.0]
    """
    present = sum(count > 0 for count in counts)
    total = sum(counts)
    return [total / (present * count) if count else 0.0 for count in counts]


def prior(kind: TaskKind, counts: Sequence[int], *, balanced: bool) -> tuple[float, ...]:
    """Return the logits of the class shares, as the initial bias of the output.

    Without it, the first steps only learn which classes are rare.

    Args:
        kind: The task's kind.
        counts: Rows by class.
        balanced: Whether rows are weighted, which makes the shares equal.

    Returns:
        A bias for each unit of the output. A class without rows counts as one row.

    Example:
        >>> prior("binary", [75, 25], balanced=True)
        (0.0,)
    """
    if kind == "regression":
        return (0.0,)
    known = [1] * len(counts) if balanced else [max(1, count) for count in counts]
    if kind == "binary":
        return (math.log(known[1] / known[0]),)
    return tuple(math.log(count / sum(known)) for count in known)


def _numbers(share: Sequence[RowRange], label: str) -> Iterator["np.ndarray[Any, Any]"]:
    for file, column in _labels(share, label):
        values = column.astype(np.float64)
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise UserError(
                f"{file}: label {label!r} is NaN or infinite in {bad} rows. Drop these rows before "
                "training."
            )
        yield values


def _labels(
    share: Sequence[RowRange], label: str
) -> Iterator[tuple[ShardFile, "np.ndarray[Any, Any]"]]:
    for file, batch in parquet_reader.batches(share, [label]):
        if batch.num_rows:
            yield file, parquet_reader.dense(batch, label, file)
