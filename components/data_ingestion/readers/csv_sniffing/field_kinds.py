"""Tells what a field looks like, by its shape alone."""

import re
from functools import lru_cache
from typing import Literal

Kind = Literal["empty", "number", "time", "boolean", "text"]

_SIGN = r"[-+\u2212(<>~]?"
_CURRENCY = r"(?:[$\u20ac\u00a3\u00a5\u20b9]|[A-Z]{3})?"
_BLANK = r"[ \u00a0\u202f]?"
_NUMBER = re.compile(
    rf"{_SIGN}=?{_BLANK}{_CURRENCY}{_BLANK}[-+\u2212]?[.,]?\d[\d.,'\u2019 \u00a0\u202f_]*"
    rf"(?:[eE][-+]?\d+)?{_BLANK}%?{_CURRENCY}\)?"
)
_TIME = re.compile(
    r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}(?:[ T].*)?|\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?"
    r"|\d{1,2}[- .][A-Za-z]{3,9}\.?[- ,]+\d{2,4}(?:[ T].*)?"
    r"|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}(?:[ T].*)?"
)
_BOOLEANS = frozenset(("true", "false", "yes", "no"))
MARKERS = frozenset(
    (
        "?", "-", "--", ".", "n/a", "na", "n/d", "nan", "null", "none", "nil", "unknown", "missing",
        "\\n", "#n/a", "#div/0!", "#ref!", "#value!", "#name?", "#num!", "#null!", "inf", "-inf",
        "<na>", "k.a.", "tbd",
    )
)  # fmt: skip
"""Texts that say nothing about a column's type, in lower case."""


@lru_cache(maxsize=1 << 14)
def kind(text: str) -> Kind:
    """Return what a field looks like; a missing marker looks empty.

    Example:
        >>> [kind(text) for text in ("1.234,50 EUR", "31/12/2023", "yes", "Oslo", "n/d")]
        ['number', 'time', 'boolean', 'text', 'empty']
    """
    text = text.strip()
    lower = text.lower()
    if not text or lower in MARKERS:
        return "empty"
    if lower in _BOOLEANS:
        return "boolean"
    if _TIME.fullmatch(text):
        return "time"
    if _NUMBER.fullmatch(text):
        return "number"
    return "text"
