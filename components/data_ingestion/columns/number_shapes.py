"""What a text that looks like a number can mean: in which notations it is one, with what around it.

Texts are first reduced to masks, whose digits are all `9` (a leading zero stays `0`): a column of
numbers has few of them, however many values it has.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.values.arrays import Mask

LONGEST = 40
"""Bytes. A longer text is not a number."""

MOST_LETTERS = 5


class Notation(NamedTuple):
    """A decimal sign and what separates groups of three digits, as in `NumberFormat`."""

    decimal: str
    thousands: str


NOTATIONS = (
    Notation(".", ""),
    Notation(".", ","),
    Notation(",", ""),
    Notation(",", "."),
    Notation(".", " "),
    Notation(",", " "),
    Notation(".", "'"),
    Notation(",", "'"),
)
"""In order of preference: a column is read in the first one that fits as many values as any."""

CURRENCIES = {
    **dict.fromkeys(("$", "US$", "USD", "U$"), "$"),
    **dict.fromkeys(("\u20ac", "EUR", "euro", "euros"), "\u20ac"),
    **dict.fromkeys(("\u00a3", "GBP"), "\u00a3"),
    **dict.fromkeys(("\u00a5", "JPY", "\uffe5"), "\u00a5"),
    **dict.fromkeys(("\u20b9", "INR", "Rs", "Rs."), "\u20b9"),
    **dict.fromkeys(("R$", "BRL"), "R$"),
    **dict.fromkeys(("CHF", "Fr.", "SFr."), "CHF"),
    **dict.fromkeys(("C$", "CA$", "CAD"), "CAD"),
    **dict.fromkeys(("A$", "AU$", "AUD"), "AUD"),
    **dict.fromkeys(("z\u0142", "PLN"), "PLN"),
    **dict.fromkeys(("K\u010d", "CZK"), "CZK"),
    **dict.fromkeys(("\u20bd", "RUB"), "RUB"),
    **dict.fromkeys(("\u20a9", "KRW"), "KRW"),
    **dict.fromkeys(("\u20ba", "TRY", "TL"), "TRY"),
    **dict.fromkeys(("kr", "kr."), "kr"),
    **{code: code for code in ("CNY", "RMB", "HKD", "SGD", "NZD", "MXN", "ZAR", "SEK", "NOK")},
    **{code: code for code in ("DKK", "HUF", "ILS", "AED", "THB", "UAH", "BTC", "\u20bf")},
    **{
        sign: sign
        for sign in ("\u20ab", "\u20aa", "\u0e3f", "\u20b4", "\u20a6", "\u20b1", "\u00a2")
    },
}
"""The currency that a sign or code stands for."""

_UNITS = frozenset(
    [
        *("kg", "g", "mg", "lb", "lbs", "oz", "km", "m", "cm", "mm", "mi", "ft", "in", "l", "ml"),
        *("ha", "sqm", "h", "hr", "hrs", "min", "s", "sec", "ms", "days", "years", "yrs", "kWh"),
        *("kW", "MW", "Hz", "kHz", "MHz", "GHz", "kB", "KB", "MB", "GB", "TB", "bar", "psi", "ppm"),
        *("\u00b0", "\u00b0C", "\u00b0F", "m\u00b2", "m\u00b3", "mph", "km/h", "bpm", "kcal"),
    ]
)


class Shape(NamedTuple):
    """How a number is written.

    Attributes:
        fits: The notations in which it is a number, as bits by their place in `NOTATIONS`.
        fractions: Those in which it has a fraction or an exponent.
        unit: What stands before or after it; empty for nothing.
        code: Whether it is an integer with an exponent (`1E5`), as codes have it.
        percent: Whether a percent sign follows.
        parentheses: Whether it stands in parentheses.
        minus: Whether its minus is U+2212 or follows it.
        limit: Whether it is a limit (`<0.5`).
        zero_led: Whether a digit follows a leading zero (`007`).
        digits: The number of digits, where nothing separates them; otherwise 0.
        grouped: With a leading zero, or nine digits and more in groups, the mask: codes and phone
            numbers are alike in it.
    """

    fits: int
    fractions: int
    unit: str = ""
    code: bool = False
    percent: bool = False
    parentheses: bool = False
    minus: bool = False
    limit: bool = False
    zero_led: bool = False
    digits: int = 0
    grouped: str = ""

    @property
    def plain(self) -> bool:
        """Whether it is a number in the usual notation, with nothing around it."""
        return bool(self.fits & 1) and not (
            self.unit
            or self.code
            or self.percent
            or self.parentheses
            or self.minus
            or self.limit
            or self.zero_led
        )


_BLANK = "[ \t\u00a0\u2007\u2009\u202f]"
_UNIT = r"(?:[^\W\d_]|[$\u00a2-\u00a5\u0e3f\u20a0-\u20cf\uffe5\u00b0/\u00b2\u00b3])+\.?"
_NUMBER = re.compile(
    rf"(?P<limit>(?:[<>]=?|[\u2264\u2265])?){_BLANK}*(?P<open>\(?){_BLANK}*(?P<sign>[+\-\u2212]?)"
    rf"{_BLANK}*(?P<before>(?:{_UNIT})?){_BLANK}*(?P<inner>[+\-\u2212]?){_BLANK}*"
    rf"(?P<body>[09.,'\u2019](?:(?:{_BLANK}(?=[09]))?[09.,'\u2019])*)(?P<exponent>(?:[eE][+-]?[09]+)?)"
    rf"{_BLANK}*(?P<percent>%?){_BLANK}*(?P<after>(?:{_UNIT})?){_BLANK}*(?P<trailing>[-\u2212]?)"
    r"(?P<close>\)?)"
)


def _body(notation: Notation) -> re.Pattern[str]:
    decimal, thousands = map(re.escape, notation)
    groups = f"9{{1,3}}(?:{thousands}9{{3}})+|" if thousands else ""
    if notation.thousands == ",":  # as in India: 12,34,567
        groups += f"9{{1,2}}(?:{thousands}9{{2}})*{thousands}9{{3}}|"
    return re.compile(f"(?:{groups}[09]*)(?P<fraction>{decimal}9*)?")


_BODIES = tuple(_body(notation) for notation in NOTATIONS)


@lru_cache(maxsize=1 << 16)
def classify(mask: str) -> Shape | None:  # noqa: PLR0911 - a check each
    """Return the shape of a mask; None where it is no number.

    Example:
        >>> shape = classify("$9,999.99")
        >>> [NOTATIONS[bit] for bit in range(len(NOTATIONS)) if shape.fits >> bit & 1], shape.unit
        ([Notation(decimal='.', thousands=',')], '$')
        >>> classify("99-99") is None
        True
    """
    match = _NUMBER.fullmatch(mask)
    if match is None or (match["open"] == "(") != (match["close"] == ")"):
        return None
    signs = match["open"] + match["sign"] + match["inner"] + match["trailing"]
    if len(signs) > 1 or (match["before"] and match["after"]):
        return None
    unit = match["before"] or match["after"]
    if unit and not (unit in CURRENCIES or (unit == match["after"] and unit in _UNITS)):
        return None
    if unit and match["percent"]:
        return None
    body = re.sub(_BLANK, " ", match["body"]).replace("\u2019", "'")
    if not body.strip(".,' "):
        return None
    exponent = match["exponent"]
    fits = fractions = 0
    for number, pattern in enumerate(_BODIES):
        found = pattern.fullmatch(body)
        if found is not None:
            fits |= 1 << number
            fractions |= (1 << number) * bool(found["fraction"] or exponent)
    if not fits:
        return None
    digits = sum(character in "09" for character in body)
    separated = not body.isdigit() and "." not in body[-3:] and "," not in body[-3:]
    zero_led = len(body) > 1 and body[0] == "0" and body[1] in "09"
    return Shape(
        fits,
        fractions,
        unit,
        code=bool(exponent) and body.isdigit() and exponent[1:].isdigit(),
        percent=bool(match["percent"]),
        parentheses=bool(match["open"]),
        minus="\u2212" in signs or bool(match["trailing"]),
        limit=bool(match["limit"]),
        zero_led=zero_led,
        digits=digits if body.isdigit() and not exponent else 0,
        grouped=body if zero_led or (separated and digits >= 9) else "",
    )


def masks(text: pa.StringArray) -> pa.StringArray:
    """Return texts without nulls as masks.

    Example:
        >>> masks(pa.array(["$1,050.20", "007"])).to_pylist()
        ['$9,999.99', '099']
    """
    offsets_buffer, data_buffer = text.buffers()[1:3]
    offsets = np.frombuffer(offsets_buffer, np.int32)[text.offset : text.offset + len(text) + 1]
    data = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    found = _NINES[data]
    zeros = np.flatnonzero(data == ord("0"))
    before = _CONTINUES[data[zeros - 1]]
    begins = np.zeros(len(data) + 1, np.bool_)
    begins[offsets[:-1] - offsets[0]] = True
    found[zeros[before & ~begins[zeros]]] = ord("9")
    moved = np.ascontiguousarray(offsets - offsets[0])
    return pa.Array.from_buffers(
        pa.string(), len(text), [None, pa.py_buffer(moved), pa.py_buffer(found)]
    )


def candidates(text: pa.StringArray) -> Mask:
    """Return a mask of the texts, without nulls, that may be numbers: short, with digits.

    Example:
        >>> candidates(pa.array(["12 EUR", "Main Street 12", "n/d"])).tolist()
        [True, False, False]
    """
    offsets_buffer, data_buffer = text.buffers()[1:3]
    offsets = np.frombuffer(offsets_buffer, np.int32)[text.offset : text.offset + len(text) + 1]
    if data_buffer is None or offsets[-1] == offsets[0]:
        return np.zeros(len(text), np.bool_)
    data = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    bounds = offsets.astype(np.int64) - offsets[0]

    def count(table: Mask) -> Any:
        total = np.zeros(len(data) + 1, np.int32)
        np.cumsum(table[data], out=total[1:], dtype=np.int32)
        return np.diff(total[bounds])

    found: Mask = np.diff(bounds) <= LONGEST
    found &= count(_DIGITS) > 0
    found &= count(_LETTERS) <= MOST_LETTERS
    return found


def _table(characters: bytes) -> Mask:
    found = np.zeros(256, np.bool_)
    found[list(characters)] = True
    return found


_DIGITS = _table(b"0123456789")
_LETTERS = _table(bytes([*range(ord("A"), ord("Z") + 1), *range(ord("a"), ord("z") + 1)]))
# The last bytes of the blanks and of the apostrophe between groups of digits are among them.
_CONTINUES = _table(b"0123456789.,' " + bytes([0xA0, 0xAF, 0x87, 0x89, 0x99]))
_NINES = np.arange(256, dtype=np.uint8)
_NINES[ord("1") : ord("9") + 1] = ord("9")
