"""Times as numbers, and the times at which splits begin."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values import arrays, time_fields
from kfp_tabular.components.common.values.time_patterns import ISO, pattern_of
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


def weighted_cuts(
    times: "np.ndarray[Any, np.dtype[np.float64]]",
    counts: "np.ndarray[Any, np.dtype[np.int64]]",
    shares: Sequence[float],
) -> list[float]:
    """Return what `time_cuts` does, from the distinct times and their rows.

    Args:
        times: The distinct times, ascending, none missing.
        counts: The rows with each.
        shares: The shares of the splits, earliest split first.

    Example:
        >>> weighted_cuts(np.array([1.0, 2.0]), np.array([3, 1]), [0.5, 0.5])
        [1.0]
    """
    if not times.size:
        return []
    ends = np.cumsum(counts)
    ranks = [min(int(limit * ends[-1]), int(ends[-1]) - 1) for limit in limits(shares)[:-1]]
    return [float(times[np.searchsorted(ends, rank, side="right")]) for rank in ranks]


def time_keys(
    values: pa.Array, column: str, time_format: str = ""
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """Return times as numbers of the same order.

    Args:
        values: `int64` or `float64` in any unit, or text.
        column: The column's name, for messages.
        time_format: The format of text, in `strptime` directives. ISO 8601 is always read
            (`2024-01-31`, `2024-01-31 10:00:00.5`, `2024-01-31T10:00:00+02:00`).

    Returns:
        Doubles: the numbers themselves, or for text microseconds since 1970 UTC. NaN where missing.

    Raises:
        UserError: A text is not a time.

    Example:
        >>> time_keys(pa.array(["1970-01-01 00:00:01", None]), "at").tolist()
        [1000000.0, nan]
    """
    if not pa.types.is_string(values.type):
        return arrays.to_doubles(values)
    patterns = [pattern_of(written) for written in (time_format, ISO) if written]
    if None in patterns:
        raise UserError(
            f"split_time_format: {time_format!r} is not a format of a date. It needs a year, a "
            "month and a day, in the directives %Y %y %m %b %d %H %I %M %S %f %p %z."
        )
    encoded = values.dictionary_encode()
    found = time_fields.parse(encoded.dictionary, [each for each in patterns if each])
    if not found.valid.all():
        text = encoded.dictionary[int(np.flatnonzero(~found.valid)[0])].as_py()
        expected = f"the format {time_format!r} or ISO 8601" if time_format else "ISO 8601"
        raise UserError(
            f"split_column: column {column!r}: {text!r} is not a time. Expected numbers, or "
            f"{expected} (2024-01-31 10:00:00). Set split_time_format for other text."
        )
    keys = np.full(len(values), np.nan)
    there = arrays.to_valid(values)
    micros = (found.seconds - 60 * found.offsets) * 10**6 + found.micros
    keys[there] = micros[arrays.to_integers(pc.cast(encoded.indices, pa.int64()))[there]]
    return keys
