"""Which packed columns trees are grown on."""

from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.training.input.packed_rows import (
    ColumnLayout,
    PackedRows,
    bucket_copies,
)
from kfp_tabular.components.training.trees.export.tree_columns import TreeColumns

WIDEST_WHOLE = 64
"""All numbers of a vector of at most this width are used, and as many of a wider one."""

_BLOCK = 64  # Columns in double precision at a time.


def choose(layout: ColumnLayout, kind: TaskKind, train: PackedRows) -> TreeColumns:
    """Return the columns that trees see.

    Columns with one value in all rows are left out, and so is the bucket of a number that is there
    itself: a tree makes its own buckets. Ids with an order, such as hours, are numbers, too: one
    question divides the early from the late ones. Of a wide vector, such as the n-grams of a text,
    the numbers that go with the label most are used, because each costs as much time as a column.

    Args:
        layout: The packed columns.
        kind: The task's kind.
        train: The rows to train on.

    Example:
        >>> from kfp_tabular.components.training.input.packed_rows import Categorical
        >>> ids = (Categorical("fare__bucket", 0, 2), Categorical("city", 0, 2))
        >>> layout = ColumnLayout("tip", ("fare", "always_zero"), ids)
        >>> numbers = np.array([[1.5, 0], [2.5, 0]], np.float32)
        >>> rows = PackedRows(numbers, np.array([[0, 1], [1, 0]]), np.array([0, 1]))
        >>> choose(layout, "binary", rows)
        TreeColumns(numeric=(0,), categorical=(1,), sizes=(2,), ordered=())
    """
    numeric = list(range(len(layout.numeric)))
    for vector, part in layout.vector_slices():
        chosen: Any = np.arange(vector.width)
        if vector.width > WIDEST_WHOLE and len(train):
            relevance = _relevance(train.numeric[:, part], train.label, kind)
            # Stable, so that equal numbers are chosen in their order.
            chosen = np.sort(np.argsort(-relevance, kind="stable")[:WIDEST_WHOLE])
        numeric += [part.start + int(index) for index in chosen]
    categorical = [
        index for index in without_copies(layout) if _varies(train.categorical[:, index])
    ]
    return TreeColumns(
        numeric=tuple(index for index in numeric if _varies(train.numeric[:, index])),
        categorical=tuple(categorical),
        sizes=tuple(layout.categorical[index].size for index in categorical),
        ordered=tuple(index for index in categorical if layout.categorical[index].is_ordered),
    )


def without_copies(layout: ColumnLayout) -> list[int]:
    """Return the categorical columns but the buckets of numbers that are there themselves.

    Example:
        >>> from kfp_tabular.components.training.input.packed_rows import Categorical
        >>> ids = (Categorical("fare__bucket", 0, 2), Categorical("city", 0, 2))
        >>> without_copies(ColumnLayout("tip", ("fare",), ids))
        [1]
    """
    copies = bucket_copies(layout.numeric, layout.categorical)
    return [index for index in range(len(layout.categorical)) if index not in copies]


def number_count(layout: ColumnLayout) -> int:
    """Return how many columns of numbers trees see at most.

    Example:
        >>> from kfp_tabular.components.training.input.packed_rows import Vector
        >>> number_count(ColumnLayout("tip", ("fare",), (), (Vector("note", 1024),)))
        65
    """
    return len(layout.numeric) + sum(min(v.width, WIDEST_WHOLE) for v in layout.vectors)


def _varies(values: "np.ndarray[Any, Any]") -> bool:
    return bool(len(values)) and bool(values.min() != values.max())


def _relevance(
    numbers: "np.ndarray[Any, Any]", label: "np.ndarray[Any, Any]", kind: TaskKind
) -> "np.ndarray[Any, Any]":
    """Return the largest absolute correlation of each column with the label or one class of it."""
    if kind == "regression":
        targets = label.astype(np.float64)[:, None]
    else:
        targets = (label[:, None] == np.unique(label)).astype(np.float64)
    targets -= targets.mean(axis=0)
    found = np.zeros(numbers.shape[1])
    for start in range(0, numbers.shape[1], _BLOCK):
        block = numbers[:, start : start + _BLOCK].astype(np.float64)
        block -= block.mean(axis=0)
        spread = np.sqrt((block**2).sum(axis=0))[:, None] * np.sqrt((targets**2).sum(axis=0))
        covariance = np.abs(block.T @ targets)
        correlation = np.divide(covariance, spread, out=np.zeros_like(covariance), where=spread > 0)
        found[start : start + _BLOCK] = correlation.max(axis=1)
    # Rounded, so that the order does not depend on how a processor adds.
    return found.round(6)
