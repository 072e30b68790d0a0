"""Tells codes from quantities: whole numbers without an order, such as a zip code.

A wrong guess costs unequally. A code that is taken as a number still has a bucket for each of its
values; a quantity that is taken as codes is unknown to the model beyond the values it has seen. So
numbers are quantities unless there is evidence for codes.
"""

from collections.abc import Sequence

import numpy as np

from kfp_tabular.components.common.values.column_names import suggests_code, suggests_quantity

ROWS_PER_CODE = 10
"""With fewer rows per value, the next file is likely to hold a code that this one lacks."""

_FEW = 20
_LEAST = 100
_YEARS = (1900, 2100)


def are_codes(name: str, values: Sequence[int], rows: int) -> bool:
    """Return whether whole numbers are codes rather than a quantity.

    The evidence is the name, or a few values of three digits or more at irregular distances, as
    status codes have them.

    Args:
        name: The column's name.
        values: All distinct values, ascending.
        rows: Rows with a value.

    Example:
        >>> are_codes("units", range(24), rows=3000), are_codes("product_type", [1, 2, 7], 3000)
        (False, True)
        >>> are_codes("answer", [200, 301, 404, 500], rows=3000)
        True
    """
    if not len(values) or rows < ROWS_PER_CODE * len(values):
        return False
    if suggests_code(name):
        return True
    return not suggests_quantity(name) and _are_irregular(values)


def _are_irregular(values: Sequence[int]) -> bool:
    low, high = values[0], values[-1]
    if not 3 <= len(values) <= _FEW or low < _LEAST or len(str(low)) != len(str(high)):
        return False
    if _YEARS[0] <= low and high <= _YEARS[1]:
        return False
    steps = np.diff(np.asarray(values, np.int64))
    return int(np.gcd.reduce(steps)) == 1 and high - low >= 4 * len(values)
