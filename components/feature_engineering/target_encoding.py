"""Encodes labels as training targets: class indices, or numbers for regression."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError


def class_text(value: Any) -> str:
    """Return a class as text: a whole number without a fraction, even if it is a float.

    Example:
        >>> class_text(3.0), class_text("yes")
        ('3', 'yes')
    """
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def present(column: pa.Array) -> pa.Array:
    """Return which labels are present: neither missing nor NaN nor infinite.

    Args:
        column: The label's column, `int64`, `float64` or `string`.

    Returns:
        A boolean array without nulls.

    Example:
        >>> present(pa.array([1.5, None, float("nan")])).to_pylist()
        [True, False, False]
    """
    if pa.types.is_floating(column.type):
        return pc.fill_null(pc.is_finite(column), False)
    if pa.types.is_string(column.type):
        return pc.fill_null(pc.not_equal(column, ""), False)
    return column.is_valid()


def encode(column: pa.Array, task: Task) -> "np.ndarray[Any, Any]":
    """Encode labels.

    Args:
        column: Labels, all of them present.
        task: The task.

    Returns:
        Class indices (int64), or float32 targets for regression, shape `[rows]`.

    Raises:
        UserError: The task lacks a class.

    Example:
        >>> encode(pa.array(["yes", "no"]), Task("binary", "tip", classes=("no", "yes"))).tolist()
        [1, 0]
    """
    if task.kind == "regression":
        return np.asarray(column.to_numpy(zero_copy_only=False)).astype(np.float32)
    index = pc.index_in(column, value_set=_class_values(task, column.type))
    if index.null_count:
        unknown = column.filter(index.is_null())
        name = class_text(unknown[0].as_py())
        raise UserError(
            f"label {task.label!r}: {len(unknown)} rows have a class that the task lacks, such as "
            f"{name!r}. Transform the data again."
        )
    return np.asarray(index.to_numpy(zero_copy_only=False)).astype(np.int64)


def _class_values(task: Task, kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        return pa.array(task.classes, kind)
    number = float if pa.types.is_floating(kind) else int
    return pa.array([number(name) for name in task.classes], kind)
