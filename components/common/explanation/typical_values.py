"""What is typical of a column: the middle of ordered values, the most frequent one of others.

A value that is not ordered is taken only if two rows have it, as vocabularies do: one that occurs
once may be an identifier, a name or an address of a single person.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.raw_features import DType

LONGEST_TEXT = 256
"""The most bytes of a text that is taken, which bounds the size of a model's description."""

_LEAST_ROWS = 2


def middle(counts: Mapping[Any, int]) -> Any:
    """Return the median, one of the values: of two in the middle, the smaller one.

    Args:
        counts: Rows by value; values have an order.

    Returns:
        The median; None without values.

    Example:
        >>> middle({7.5: 1, 1.0: 2, 2.0: 1}), middle({})
        (1.0, None)
    """
    left = (sum(counts.values()) + 1) // 2
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    return None


def most_frequent(counts: Mapping[Any, int]) -> Any:
    """Return the value of most rows, of several the smallest; None if no two rows share one.

    A text of more than `LONGEST_TEXT` bytes is passed over.

    Example:
        >>> most_frequent({"b": 2, "a": 2, "c": 1}), most_frequent({"id 1": 1, "id 2": 1})
        ('a', None)
    """
    shared = [
        (-rows, value)
        for value, rows in counts.items()
        if rows >= _LEAST_ROWS
        and not (isinstance(value, str) and len(value.encode("utf-8")) > LONGEST_TEXT)
    ]
    return min(shared)[1] if shared else None


def is_mostly_missing(present: int, rows: int) -> bool:
    """Return whether missing is what is typical.

    Example:
        >>> is_mostly_missing(5, 10), is_mostly_missing(6, 10)
        (True, False)
    """
    return 2 * present <= rows


def as_json(value: Any, dtype: DType) -> Any:
    """Return a raw value as JSON has it; a number of single precision in its shortest form.

    Example:
        >>> as_json(np.float32(0.1), "float32"), as_json(3.0, "int64"), as_json(b"a", "string")
        (0.1, 3, 'a')
    """
    if dtype == "string":
        return value.decode("utf-8") if isinstance(value, bytes) else str(value)
    if dtype == "int64":
        return int(value)
    single = np.float32(value)
    return float(str(single))
