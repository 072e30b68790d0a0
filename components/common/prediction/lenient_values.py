"""Values as `csv.DictReader` and pandas give them, turned into those that clients send.

Both lose types: a CSV reader gives text only, and pandas numbers with a fraction where integers are
missing, NaN for what is missing, and numbers where a category is written in digits.
"""

import datetime
import math
import re
from typing import Any

from kfp_tabular.components.common.artifacts.raw_features import DType

_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "<na>", "nat"})
_WHOLE = re.compile(r"([+-]?\d+)\.0{1,2}")
"""A whole number as pandas writes those of a column with gaps; not `3.000`, which may be 3,000."""
_TRUTH = {"true": True, "false": False}


def plain(value: Any, dtype: DType, kind: str = "") -> Any:
    """Return a value as a strict client would send it; what cannot be told stays as it is.

    Args:
        value: Text, a number, a date, or a scalar of NumPy or pandas.
        dtype: The type of the feature's tensor.
        kind: The kind of its column's format, such as `boolean`; empty without a format.

    Example:
        >>> plain("12.5", "float32"), plain("", "int64"), plain("3.0", "int64")
        (12.5, None, 3)
        >>> plain(7.0, "string"), plain(float("nan"), "string"), plain("true", "int64")
        ('7', None, True)
        >>> plain("x", "float32")
        'x'
    """
    value = _scalar(value)
    if value is None or kind == "bag":
        return value
    if dtype == "string":
        return _text(value)
    if isinstance(value, str):
        return _from_text(value, dtype, kind)
    return int(value) if dtype == "float32" and isinstance(value, bool) else value


def _from_text(value: str, dtype: DType, kind: str) -> Any:
    """Return the number that a text is; none for what is missing."""
    text = value.strip()
    word = text.lower()
    if word in _MISSING:
        return None
    if kind == "boolean":
        return value
    if word in _TRUTH:
        return int(_TRUTH[word]) if dtype == "float32" else _TRUTH[word]
    if kind:
        # The column's format reads numbers: its decimal sign may be a comma.
        whole = _WHOLE.fullmatch(text) if dtype == "int64" else None
        return int(whole[1]) if whole else value
    return _number(text, value, dtype)


def _number(text: str, value: str, dtype: DType) -> Any:
    """Return the number of a text in plain notation; other text stays as it is."""
    if "_" in text:  # Python reads 1_000, no CSV does.
        return value
    try:
        if dtype == "int64":
            try:
                return int(text)
            except ValueError:
                number = float(text)
                return int(number) if number.is_integer() else value
        number = float(text)
    except (ValueError, OverflowError):
        return value
    return number if math.isfinite(number) else value


def _scalar(value: Any) -> Any:
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, datetime.datetime | datetime.date):
        return value.isoformat(*([" "] if isinstance(value, datetime.datetime) else []))
    item = getattr(value, "item", None)
    return _scalar(item()) if callable(item) and getattr(value, "shape", None) == () else value


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) else value
