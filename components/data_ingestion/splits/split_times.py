"""Times as numbers."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values import arrays, time_fields
from kfp_tabular.components.common.values.time_patterns import ISO, pattern_of


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
