"""Times as numbers, and the times at which splits begin."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.data_ingestion.splits.split_names import limits


def time_cuts(
    keys: "np.ndarray[Any, np.dtype[np.float64]]", shares: Sequence[float]
) -> list[float]:
    """Return the earliest time of each split but the first.

    Args:
        keys: The times of all rows; NaN where missing.
        shares: The shares of the splits, earliest split first.

    Returns:
        For each split but the first, the time at its rank. Rows of the same time stay together, in
        the later split.

    Example:
        >>> time_cuts(np.array([4.0, 1.0, 3.0, 2.0]), [0.5, 0.5])
        [3.0]
    """
    known = keys[~np.isnan(keys)]
    if not known.size:
        return []
    ranks = [min(int(limit * known.size), known.size - 1) for limit in limits(shares)[:-1]]
    known.partition(ranks) if ranks else None
    return [float(known[rank]) for rank in ranks]


def time_keys(
    values: pa.Array, column: str, time_format: str = ""
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return times as numbers of the same order.

    Args:
        values: `int64` or `float64` in any unit, or text.
        column: The column's name, for messages.
        time_format: The format of text, in `strptime` directives; empty for ISO 8601
            (`2024-01-31`, `2024-01-31 10:00:00.5`, `2024-01-31T10:00:00+02:00`).

    Returns:
        Doubles: the numbers themselves, or for text microseconds since 1970. NaN where missing.

    Raises:
        UserError: A text is not a time.

    Example:
        >>> time_keys(pa.array(["1970-01-01 00:00:01", None]), "at").tolist()
        [1000000.0, nan]
    """
    if pa.types.is_string(values.type):
        values = pc.cast(_timestamps(values, column, time_format), pa.int64())
    return arrays.to_doubles(values)


def _timestamps(text: pa.StringArray, column: str, time_format: str) -> pa.Array:
    if time_format:
        times = pc.strptime(text, format=time_format, unit="us", error_is_null=True)
        if times.null_count > text.null_count:
            raise UserError(_no_time(text, times.is_valid(), column, f"format {time_format!r}"))
        return times
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return pc.cast(text, kind)
        except pa.ArrowInvalid:
            continue
    fits = arrays.from_mask(
        np.array([value is None or _is_iso(value) for value in text.to_pylist()], np.bool_)
    )
    raise UserError(_no_time(text, fits, column, "ISO 8601 (2024-01-31 10:00:00)"))


def _is_iso(value: str) -> bool:
    try:
        pc.cast(arrays.from_texts([value]), pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    return True


def _no_time(text: pa.StringArray, fits: pa.Array, column: str, expected: str) -> str:
    strange = text.filter(pc.and_(pc.invert(fits), text.is_valid()))
    return (
        f"split_column: column {column!r}: {strange[0].as_py()!r} is not a time. Expected numbers "
        f"or {expected}. Set split_time_format for other text."
    )
