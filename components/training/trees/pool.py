"""Packed rows as CatBoost's pool."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.trees.export.tree_columns import TreeColumns


def build(
    rows: PackedRows, columns: TreeColumns, class_weights: Sequence[float] | None = None
) -> Any:
    """Return a `catboost.Pool` of some columns.

    An id is the category of its decimal text, as `TreeColumns` says.

    Args:
        rows: The rows.
        columns: The columns.
        class_weights: Weight of the rows of each class; None for equal weights.

    Example:
        >>> numbers = np.array([[1.5, 0], [2.5, 0]], np.float32)
        >>> rows = PackedRows(numbers, np.array([[0], [1]], np.int32), np.array([0, 1]))
        >>> build(rows, TreeColumns((0,), (0,), (2,)), class_weights=[1, 3]).get_weight()
        [1.0, 3.0]
    """
    import catboost
    import pandas as pd

    # The names say where a column is; the data's own are not needed. CatBoost would put a border at
    # infinity, which its JSON, and so the export, cannot hold.
    largest = np.finfo(np.float32).max
    frame: dict[str, Any] = {
        f"number_{index}": rows.numeric[:, index].clip(-largest, largest)
        for index in columns.numeric
    }
    # Ids are whole numbers far below 2**24, which float32 holds.
    frame |= {
        f"ordered_{index}": rows.categorical[:, index].astype(np.float32)
        for index in columns.ordered
    }
    categorical = []
    for index, size in zip(columns.categorical, columns.sizes, strict=True):
        name = f"ids_{index}"
        categorical.append(name)
        # CatBoost hashes each category of such a column once, not once per row.
        frame[name] = pd.Categorical.from_codes(
            rows.categorical[:, index], categories=[str(id_) for id_ in range(size)]
        )
    weights = None if class_weights is None else np.asarray(class_weights)[rows.label]
    return catboost.Pool(
        pd.DataFrame(frame, copy=False), rows.label, cat_features=categorical, weight=weights
    )
