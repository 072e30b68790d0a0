"""Finds the supervised task that a label defines."""

import logging
from collections.abc import Sequence, Set
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.supervised_task import Task, TaskKind
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.feature_engineering.target_encoding import class_text, present

_logger = logging.getLogger(__name__)

TRAIN = "train"

MOST_INTEGER_CLASSES = 20
"""With `auto`, whole numbers with more distinct values are a quantity rather than classes."""

MOST_CLASSES = 1_000
"""A text label with more distinct values is rejected as a mistake."""


def resolve(examples: Examples, label: str, task: str) -> Task:
    """Find the task that a label defines.

    A class that is too rare to occur in the train split is still a class: the model cannot learn
    it, and the evaluation counts it.

    With `auto`, two distinct values define a binary task; text, or at most `MOST_INTEGER_CLASSES`
    distinct whole numbers, a multiclass one; everything else regression. Missing, NaN and infinite
    labels do not count.

    Args:
        examples: The examples to read.
        label: The label's column.
        task: `auto`, or the task to check the label against.

    Raises:
        UserError: The column or the task does not exist, or the label is missing or constant in
            the train split or does not fit the task.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import pyarrow.parquet as pq
        >>> table = pa.table({"tip": ["no", "yes", "no"]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "split=train").mkdir()
        ...     pq.write_table(table, f"{folder}/split=train/0.parquet")
        ...     resolve(Examples(Path(folder)), "tip", "auto")
        Task(kind='binary', label='tip', classes=('no', 'yes'), class_counts=(2, 1))
    """
    names = examples.schema.names
    if label not in names:
        raise UserError(f"label: the data have no column {label!r}.{closest(label, names)}")
    counts = _counts(examples, label, TRAIN)
    if not counts:
        raise UserError(f"label {label!r}: the train split has no value. Choose another column.")
    if len(counts) == 1:
        (value,) = counts
        raise UserError(
            f"label {label!r}: always {value!r} in the train split, so there is nothing to learn. "
            "Choose another column, or other splits."
        )
    values = set(counts).union(*(_counts(examples, label, split) for split in examples.splits))
    kind = _kind(label, values, examples.schema.field(label).type, task)
    if kind == "regression":
        return Task(kind, label)
    if len(values) > MOST_CLASSES:
        raise UserError(
            f"label {label!r}: more than {MOST_CLASSES} distinct values are too many classes. "
            "Choose another column, or task=regression for numbers."
        )
    unseen = sorted(values - set(counts))
    if unseen:
        _logger.warning("label %r: the train split has no row of class %s", label, _listed(unseen))
    classes = sorted(values)
    return Task(
        kind,
        label,
        tuple(class_text(value) for value in classes),
        tuple(counts.get(value, 0) for value in classes),
    )


def _kind(label: str, values: Set[Any], kind: pa.DataType, task: str) -> TaskKind:
    text = pa.types.is_string(kind)
    if task == "binary":
        if len(values) != 2:
            raise UserError(
                f"label {label!r}: task=binary needs 2 distinct values, found "
                f"{_listed(sorted(values))}."
            )
        return "binary"
    if task == "multiclass":
        return "multiclass"
    if task == "regression":
        if text:
            raise UserError(f"label {label!r}: task=regression needs numbers, found text.")
        return "regression"
    if len(values) == 2:
        return "binary"
    if text or (pa.types.is_integer(kind) and len(values) <= MOST_INTEGER_CLASSES):
        return "multiclass"
    return "regression"


def _counts(examples: Examples, label: str, split: str) -> dict[Any, int]:
    """Return rows by value. Stops soon after `MOST_CLASSES` values, which are too many."""
    counts: dict[Any, int] = {}
    for batch in examples.batches(split, [label]):
        column = batch.column(0)
        for pair in pc.value_counts(column.filter(present(column))).to_pylist():
            counts[pair["values"]] = counts.get(pair["values"], 0) + pair["counts"]
        if len(counts) > MOST_CLASSES:
            break
    return counts


def _listed(values: Sequence[Any], most: int = 5) -> str:
    names = [repr(value) for value in values[:most]]
    more = len(values) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
