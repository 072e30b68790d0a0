"""What the label of the train split says before training: classes, weights, prior, moments."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.task import TaskKind
from kfp_tabular.components.training import inputs


def moments(files: Sequence[Path], label: str) -> tuple[float, float]:
    """Gives mean and standard deviation of a regression label, in one pass over that column.

    Args:
        files: The train split's files.
        label: The label's column.

    Returns:
        The mean and the (population) standard deviation; 1 in place of a deviation of 0.

    Raises:
        UserError: Where a label is missing or not finite.
    """
    count, mean, squares = 0, 0.0, 0.0
    for file, column in _labels(files, label):
        values = column.astype(np.float64)
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise UserError(
                f"{file}: label {label!r} is not finite in {bad} rows. Drop these rows before "
                "training."
            )
        # Chan's update of the moments: plain sums of squares cancel for labels far from 0.
        rows, here = len(values), float(values.mean())
        total = count + rows
        squares += float(((values - here) ** 2).sum()) + (here - mean) ** 2 * count * rows / total
        mean += (here - mean) * rows / total
        count = total
    deviation = float(np.sqrt(squares / count)) if count else 0.0
    return mean, deviation or 1.0


def class_counts(files: Sequence[Path], label: str, classes: int) -> list[int]:
    """Counts the rows of each class, in one pass over the label's column.

    Args:
        files: The train split's files.
        label: The label's column.
        classes: Number of classes.

    Raises:
        UserError: Where a label is no class index.
    """
    counts = np.zeros(classes, np.int64)
    for file, values in _labels(files, label):
        inputs.require_class(values, classes, label, file)
        counts += np.bincount(values.astype(np.int64), minlength=classes)
    return [int(count) for count in counts]


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """Weighs classes so that each counts the same in sum, and the mean weight of a row is 1.

    Args:
        counts: Rows by class. A class without rows has weight 0.
    """
    present = sum(count > 0 for count in counts)
    total = sum(counts)
    return [total / (present * count) if count else 0.0 for count in counts]


def prior(kind: TaskKind, counts: Sequence[int], *, balanced: bool) -> tuple[float, ...]:
    """Gives the logits of the class shares, where the output's bias best starts.

    Without it, the first steps on rare classes go into learning that they are rare.

    Args:
        kind: The task's kind.
        counts: Rows by class.
        balanced: Whether rows are weighted, which makes the shares equal.

    Returns:
        A bias for each unit of the output. A class without rows counts as one row.
    """
    if kind == "regression":
        return (0.0,)
    known = [1] * len(counts) if balanced else [max(1, count) for count in counts]
    if kind == "binary":
        return (math.log(known[1] / known[0]),)
    return tuple(math.log(count / sum(known)) for count in known)


def _labels(files: Sequence[Path], label: str) -> Iterator[tuple[Path, "np.ndarray[Any, Any]"]]:
    for file in files:
        with pq.ParquetFile(file, memory_map=True) as parquet:
            inputs.require_columns(parquet, [label], file)
            for batch in parquet.iter_batches(batch_size=inputs.READ_ROWS, columns=[label]):
                if batch.num_rows:
                    yield file, inputs.dense(batch, label, file)
