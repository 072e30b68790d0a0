"""The label: which task it makes, and how it is encoded."""

import logging
from collections.abc import Sequence, Set
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.supervised_task import TASK_KINDS, Task, TaskKind
from kfp_tabular.components.common.errors import UserError, closest

_logger = logging.getLogger(__name__)

TRAIN = "train"

AUTO = "auto"

MOST_INTEGER_CLASSES = 20
"""Whole numbers with more distinct values are a quantity, not classes, where the task is `auto`."""

MOST_CLASSES = 1_000
"""A text label with more is taken for a mistake."""


def resolve(examples: Examples, label: str, task: str) -> Task:
    """Finds the task that a label makes.

    A class so rare that no row of it fell into the train split is a class all the same: the model
    cannot learn it, and the evaluation counts that.

    With `auto`: two distinct values make a binary task; text, or at most `MOST_INTEGER_CLASSES`
    distinct whole numbers, a multiclass one; everything else regression. Missing labels, NaN and
    infinite ones do not count.

    Args:
        examples: Where to read.
        label: The label's column.
        task: `auto`, or the task to check the label against.

    Raises:
        UserError: Where there is no such column or task, the label is missing or constant in the
            train split, or does not fit the task.
    """
    if task != AUTO and task not in TASK_KINDS:
        kinds = (AUTO, *TASK_KINDS)
        raise UserError(
            f"task: unknown {task!r}; there are {', '.join(kinds)}.{closest(task, kinds)}"
        )
    names = examples.schema.names
    if label not in names:
        raise UserError(f"label: there is no column {label!r}.{closest(label, names)}")
    counts = _counts(examples, label, TRAIN)
    if not counts:
        raise UserError(f"label {label!r}: no value in the train split; choose another column.")
    if len(counts) == 1:
        (value,) = counts
        raise UserError(
            f"label {label!r}: constant, always {value!r} in the train split; there is nothing to "
            "learn. Choose another column, or other splits."
        )
    values = set(counts).union(*(_counts(examples, label, split) for split in examples.splits))
    kind = _kind(label, values, examples.schema.field(label).type, task)
    if kind == "regression":
        return Task(kind, label)
    if len(values) > MOST_CLASSES:
        raise UserError(
            f"label {label!r}: more than {MOST_CLASSES} distinct values are too many classes. "
            "Choose another column, or task=regression for a number."
        )
    unseen = sorted(values - set(counts))
    if unseen:
        _logger.warning(
            "label %r: no row of the train split has the class %s", label, _listed(unseen)
        )
    classes = sorted(values)
    return Task(
        kind,
        label,
        tuple(class_text(value) for value in classes),
        tuple(counts.get(value, 0) for value in classes),
    )


def class_text(value: Any) -> str:
    """Gives a class as text: a whole number without a fraction, even where it is a float."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def present(column: pa.Array) -> pa.Array:
    """Tells which labels there are: neither missing nor NaN nor infinite.

    Args:
        column: The label's column, `int64`, `float64` or `string`.

    Returns:
        A boolean array without nulls.
    """
    if pa.types.is_floating(column.type):
        return pc.fill_null(pc.is_finite(column), False)
    if pa.types.is_string(column.type):
        return pc.fill_null(pc.not_equal(column, ""), False)
    return column.is_valid()


def encode(column: pa.Array, task: Task) -> "np.ndarray[Any, Any]":
    """Encodes labels.

    Args:
        column: Labels that are all present.
        task: The task.

    Returns:
        Class indices (int64), or float32 targets for regression, shape `[rows]`.

    Raises:
        UserError: For a class that the task does not have.
    """
    if task.kind == "regression":
        return np.asarray(column.to_numpy(zero_copy_only=False)).astype(np.float32)
    index = pc.index_in(column, value_set=_class_values(task, column.type))
    if index.null_count:
        unknown = column.filter(index.is_null())
        name = class_text(unknown[0].as_py())
        raise UserError(
            f"label {task.label!r}: class {name!r} in {len(unknown)} rows is none of the task's; "
            "transform the data anew."
        )
    return np.asarray(index.to_numpy(zero_copy_only=False)).astype(np.int64)


def _class_values(task: Task, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array(task.classes, kind)
    number = float if pa.types.is_floating(kind) else int
    return pa.array([number(name) for name in task.classes], kind)


def _kind(label: str, values: Set[Any], kind: pa.DataType, task: str) -> TaskKind:
    text = pa.types.is_string(kind)
    if task == "binary":
        if len(values) != 2:
            raise UserError(
                f"label {label!r}: task=binary needs 2 distinct values, not "
                f"{_listed(sorted(values))}."
            )
        return "binary"
    if task == "multiclass":
        return "multiclass"
    if task == "regression":
        if text:
            raise UserError(f"label {label!r}: task=regression needs numbers, this is text.")
        return "regression"
    if len(values) == 2:
        return "binary"
    if text or (pa.types.is_integer(kind) and len(values) <= MOST_INTEGER_CLASSES):
        return "multiclass"
    return "regression"


def _counts(examples: Examples, label: str, split: str) -> dict[Any, int]:
    """Rows by value. Gives up soon after `MOST_CLASSES`: so many values are no classes."""
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
