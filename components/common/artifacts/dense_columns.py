"""Columns of examples as dense values of raw features: for the transform, and for predictions."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.errors import UserError


def dense_column(column: pa.Array | pa.ChunkedArray, feature: RawFeature) -> pa.Array:
    """Return a column of examples as values of a raw feature, with missing values filled in.

    Args:
        column: An `int64`, `float64` or `string` column, or one that casts safely.
        feature: The raw feature.

    Returns:
        An Arrow array without nulls: `float32`, `int64` or `string`.

    Raises:
        UserError: If a value does not fit the feature's type; an infinite value does not.

    Example:
        >>> rooms = RawFeature(name="rooms", dtype="int64", required=False)
        >>> dense_column(pa.array([3, None]), rooms).to_pylist()
        [3, -9223372036854775808]
    """
    arrow_types = {"float32": pa.float32(), "int64": pa.int64(), "string": pa.string()}
    wanted = arrow_types[feature.dtype]
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if column.type != wanted:
        try:
            # Rounding a double to float32 is accepted; cutting it to int64 is not.
            column = pc.cast(column, wanted, safe=feature.dtype != "float32")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UserError(
                f"column {feature.name!r}: {column.type} values do not fit the schema's "
                f"{feature.dtype}: {error}"
            ) from error
    if feature.dtype == "float32":
        infinite = pc.sum(pc.is_inf(column)).as_py()
        if infinite:
            raise UserError(
                f"column {feature.name!r}: {infinite} values are infinite, or beyond the largest "
                "float32 (3.4e38). Exclude or rescale the column."
            )
    if column.null_count:
        column = pc.fill_null(column, pa.scalar(feature.missing, type=wanted))
    return column


def dense_numpy(column: pa.Array | pa.ChunkedArray, feature: RawFeature) -> "np.ndarray[Any, Any]":
    """Return `dense_column` as numpy, shape `[rows]`; strings are objects of type `bytes`.

    `tf.constant` accepts the result.

    Example:
        >>> payment = RawFeature(name="payment", dtype="string", required=False)
        >>> dense_numpy(pa.array(["cash", None]), payment)
        array([b'cash', b''], dtype=object)
    """
    dense = dense_column(column, feature)
    if feature.dtype == "string":
        return np.asarray(dense.cast(pa.binary()).to_numpy(zero_copy_only=False), dtype=object)
    return np.asarray(dense.to_numpy(zero_copy_only=False))
