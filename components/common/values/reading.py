"""Reads text in the format of its column: a column at once, or a single value.

`read` and `read_one` apply exactly the same rules: the first one in ingestion, the second one in
the endpoint. What cannot be read is *odd*: it has no value, and the caller decides what to do.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays, missing_markers, time_text
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.common.values.column_format import (
    BooleanFormat,
    ColumnFormat,
    NumberFormat,
)
from kfp_tabular.components.common.values.missing_markers import spellings

BLANKS = " \t\n\r\v\f\u00a0\u2007\u2009\u202f\u3000\ufeff"
"""The characters that are ignored around a value."""

LARGEST = float(np.finfo(np.float32).max)
"""Numbers beyond this are odd: a model computes with 32 bits, where they are infinite."""

Part = Literal["limit", "unit", "odd"]

_AS_TEXT = ("text", "bag")
_PLAIN = NumberFormat()
_PROBE = 64
# Scalars that Arrow makes of Python values import pandas.
_EMPTY, _POINT, _DASH = arrays.from_texts(["", ".", "-"])
_HUNDRED = pc.cast(arrays.from_integers(np.array([100])), pa.float64())[0]
_INT64 = (-(2**63), 2**63 - 1)
_BLANK = "[ \t\u00a0\u2007\u2009\u202f]"
_MINUS = "\\-\u2212"
_THOUSANDS = {" ": "[ \u00a0\u2007\u2009\u202f]", "'": "['\u2019]"}
_PLAIN_TEXT = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"

SAME_UNIT = {"US$": "$", "USD": "$", "EUR": "\u20ac", "GBP": "\u00a3", "JPY": "\u00a5"}
"""Codes and signs of the same currency."""


@dataclass(frozen=True)
class Readings:
    """Text that was read.

    Attributes:
        values: `int64` (integers, and booleans as 0 and 1), `float64` or `string`; missing is null.
        odd: A mask of the texts that are neither missing nor fit the format, whose value is null;
            None where there are none.
    """

    values: pa.Array
    odd: Mask | None = None


def read(text: pa.StringArray, given: ColumnFormat) -> Readings:
    """Read a column of text.

    Args:
        text: The values; null is missing.
        given: How they are written.

    Example:
        >>> price = ColumnFormat("number", NumberFormat(thousands=",", units=("$",)))
        >>> read(pa.array(["$1,234.50", "N/A", "call us"]), price)
        Readings(values=<pyarrow.lib.DoubleArray object at 0x...>
        [
          1234.5,
          null,
          null
        ], odd=array([False, False,  True]))
    """
    if (given.kind == "number" and given.number is None) or given.kind == "integer":
        plain = _read_plain(text, given)
        if plain is not None:
            return plain
    if given.kind in _AS_TEXT or (given.kind == "time" and given.time is None):
        return Readings(_without_missing(text if given.verbatim else trim(text), given))
    trimmed = _without_missing(trim(text), given)
    if given.kind == "boolean":
        return _read_booleans(trimmed, given.boolean or BooleanFormat())
    if given.kind == "missing":
        present = arrays.to_valid(trimmed)
        return Readings(pa.nulls(len(text), pa.string()), present if present.any() else None)
    if given.time is not None:
        return Readings(*time_text.read(trimmed, given.time))
    return _read_numbers(trimmed, given.number or _PLAIN, given.kind == "integer")


def read_one(  # noqa: PLR0911 - one per kind
    text: str, given: ColumnFormat
) -> tuple[int | float | str | None, bool]:
    """Read a single value.

    Returns:
        The value, None where missing; and whether the text is odd.

    Example:
        >>> share = ColumnFormat("number", NumberFormat(decimal=",", percent=True))
        >>> read_one("45,1 %", share), read_one("n/d", share), read_one("many", share)
        ((0.451, False), (None, False), (None, True))
    """
    if given.kind in _AS_TEXT or (given.kind == "time" and given.time is None):
        plain = text if given.verbatim else text.strip(BLANKS)
        return (None if plain == "" or plain in given.missing else plain), False
    trimmed = text.strip(BLANKS)
    if trimmed in missing_markers.known() or trimmed in given.missing:
        return None, False
    if given.kind == "missing":
        return None, True
    if given.kind == "boolean":
        words = given.boolean or BooleanFormat()
        if trimmed in spellings(words.true):
            return 1, False
        return (0, False) if trimmed in spellings(words.false) else (None, True)
    if given.time is not None:
        moment = time_text.read_one(trimmed, given.time)
        return moment, moment is None
    value = _number_of(trimmed, given.number or _PLAIN, given.kind == "integer")
    return value, value is None


def read_part(text: pa.StringArray, given: ColumnFormat, part: Part) -> pa.Array:
    """Return what a derived column holds of the text of its source.

    Args:
        text: The text of the source.
        given: The format of the source.
        part: `limit`: -1 for `<0.5`, 1 for `>100`, 0 for plain numbers. `unit`: the unit, such as
            `$`. `odd`: 1 for text that has no value, else 0.

    Example:
        >>> lead = ColumnFormat("number", NumberFormat(limits=True))
        >>> read_part(pa.array(["<0.5", "7", None]), lead, "limit").to_pylist()
        [-1, 0, None]
    """
    encoded = text.dictionary_encode()
    parts = [part_of_one(value, given, part) for value in encoded.dictionary.to_pylist()]
    nothing = part_of_one(None, given, part)
    kind = pa.string() if part == "unit" else pa.int64()
    distinct = _array([*parts, nothing], kind)
    positions = arrays.to_integers(pc.cast(encoded.indices, pa.int64()))
    positions[~arrays.to_valid(encoded.indices)] = len(parts)
    return distinct.take(arrays.from_integers(positions))


def part_of_one(text: str | None, given: ColumnFormat, part: Part) -> int | str | None:
    """Return what a derived column holds of a single text of its source, as `read_part` does.

    Example:
        >>> price = ColumnFormat("number", NumberFormat(units=("$", "EUR")))
        >>> part_of_one("12 EUR", price, "unit"), part_of_one("n/d", price, "odd")
        ('€', 1)
    """
    trimmed = (text or "").strip(BLANKS)
    if part == "odd":
        return int(trimmed != "" and read_one(trimmed, given)[0] is None)
    if not trimmed or read_one(trimmed, given)[0] is None:
        return None
    match = _pattern(given.number or _PLAIN).fullmatch(trimmed)
    if match is None:
        return None if part == "unit" else 0
    if part == "unit":
        unit = match["before"] or match["after"]
        return SAME_UNIT.get(unit, unit) if unit else None
    return {"": 0, "<": -1, "\u2264": -1, ">": 1, "\u2265": 1}[(match["limit"] or "")[:1]]


def trim(text: pa.StringArray) -> pa.StringArray:
    """Return text without the blanks around it.

    Example:
        >>> trim(pa.array([" Paris", "Paris "])).to_pylist()
        ['Paris', 'Paris']
    """
    return pc.utf8_trim(text, characters=BLANKS) if has_blanks_around(text).any() else text


def has_blanks_around(text: pa.StringArray) -> Mask:
    """Return a mask of the values that may start or end with a blank, from their outer bytes.

    Example:
        >>> has_blanks_around(pa.array(["Paris", "Paris ", None])).tolist()
        [False, True, False]
    """
    found = np.zeros(len(text), np.bool_)
    offsets_buffer, data_buffer = text.buffers()[1:3]
    if data_buffer is None or not data_buffer.size or not len(text):
        return found
    offsets = np.frombuffer(offsets_buffer, np.int32)[text.offset : text.offset + len(text) + 1]
    filled = np.flatnonzero(offsets[1:] > offsets[:-1])
    data = np.frombuffer(data_buffer, np.uint8)
    first, last = data[offsets[:-1][filled]], data[offsets[1:][filled] - 1]
    found[filled] = _OUTER[0][first] | _OUTER[1][last]
    return found


def _outer_bytes() -> tuple[Mask, Mask]:
    first, last = np.zeros(256, np.bool_), np.zeros(256, np.bool_)
    for blank in BLANKS:
        first[blank.encode()[0]] = last[blank.encode()[-1]] = True
    return first, last


_OUTER = _outer_bytes()


@lru_cache(maxsize=256)
def _markers(missing: tuple[str, ...], text_only: bool) -> pa.StringArray:
    return arrays.from_texts(
        sorted({"", *missing, *(() if text_only else missing_markers.known())})
    )


def _without_missing(text: pa.StringArray, given: ColumnFormat) -> pa.StringArray:
    text_only = given.kind in _AS_TEXT
    missing = arrays.to_mask(pc.is_in(text, _markers(given.missing, text_only)))
    return arrays.null_where(missing, text) if missing.any() else text


def _read_booleans(trimmed: pa.StringArray, words: BooleanFormat) -> Readings:
    true = arrays.to_mask(pc.is_in(trimmed, arrays.from_texts(sorted(spellings(words.true)))))
    false = arrays.to_mask(pc.is_in(trimmed, arrays.from_texts(sorted(spellings(words.false)))))
    values = arrays.null_where(~(true | false), arrays.from_integers(true.astype(np.int64)))
    odd = arrays.to_valid(trimmed) & ~(true | false)
    return Readings(values, odd if odd.any() else None)


def _read_plain(text: pa.StringArray, given: ColumnFormat) -> Readings | None:
    """Read plain numbers only; None where some value is anything else."""
    if arrays.has_letters(text):  # Arrow reads 0x10 as 16
        return None
    to = pa.int64() if given.kind == "integer" else pa.float64()
    try:
        # Arrow makes a message for each value that does not fit, so look at a few values first.
        pc.cast(text[:_PROBE], to)
        values = pc.cast(text, to)
    except pa.ArrowInvalid:
        return None
    if given.kind == "number":
        doubles = arrays.to_doubles(values)
        if np.isfinite(doubles).sum() + values.null_count < len(values):
            return None
        if (np.abs(doubles) > LARGEST).any():
            return None
    return None if _is_listed(text, given) else Readings(values)


def _is_listed(text: pa.StringArray, given: ColumnFormat) -> bool:
    """Return whether a value that is a number is named as missing (`-999`)."""
    return bool(given.missing) and bool(
        pc.any(pc.is_in(text, _markers(given.missing, True))).as_py()
    )


def _read_numbers(trimmed: pa.StringArray, given: NumberFormat, whole: bool) -> Readings:
    digits = _digits(trimmed, given)
    if whole:
        values = _integers(digits)
    else:
        values = _doubles(digits)
        if given.percent:
            marked = arrays.to_mask(pc.match_substring(trimmed, "%"))
            values = pc.if_else(arrays.from_mask(marked), pc.divide(values, _HUNDRED), values)
        beyond = np.abs(arrays.to_doubles(values)) > LARGEST
        if beyond.any():
            values = arrays.null_where(beyond, values)
    odd = arrays.to_valid(trimmed) & ~arrays.to_valid(values)
    return Readings(values, odd if odd.any() else None)


def _digits(trimmed: pa.StringArray, given: NumberFormat) -> pa.StringArray:
    """Return numbers in the plain notation, and null for what is none."""
    if given.decimal != ".":
        return _parsed(trimmed, given)
    # Most numbers are plain in any format with a point, and are found much faster.
    plain = arrays.to_mask(pc.match_substring_regex(trimmed, _PLAIN_TEXT))
    digits = pc.replace_substring_regex(arrays.null_where(~plain, trimmed), r"^\+", "")
    rest = arrays.to_valid(trimmed) & ~plain
    if not rest.any():
        return digits
    mask = arrays.from_mask(rest)
    return pc.replace_with_mask(digits, mask, _parsed(trimmed.filter(mask), given))


def _parsed(trimmed: pa.StringArray, given: NumberFormat) -> pa.StringArray:
    groups = pc.extract_regex(trimmed, f"^(?:{_expression(given)})$")
    found = dict(zip(_GROUPS, groups.flatten(), strict=True))
    signs = _joined(*[found[name] for name in _SIGNS])
    whole = found["whole"]
    if given.thousands:
        whole = pc.replace_substring_regex(whole, "[^0-9]", "")
    point = pc.if_else(pc.equal(found["fraction"], _EMPTY), _EMPTY, _POINT)
    digits = _joined(whole, point, found["fraction"])
    minus = pc.if_else(pc.match_substring_regex(signs, f"[({_MINUS}]"), _DASH, _EMPTY)
    fits = arrays.to_valid(groups) & ~arrays.to_mask(pc.equal(digits, _EMPTY))
    fits &= arrays.to_mask(pc.is_in(signs, arrays.from_texts(_SIGNED)))
    joined = _joined(minus, digits, found["exponent"])
    return arrays.null_where(~fits, joined)


def _joined(*parts: pa.Array) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, _EMPTY)


def _integers(digits: pa.StringArray) -> pa.Array:
    try:
        return pc.cast(digits, pa.int64())
    except pa.ArrowInvalid:
        return _array([_as_integer(text) for text in digits.to_pylist()], pa.int64())


def _doubles(digits: pa.StringArray) -> pa.Array:
    try:
        return pc.cast(digits, pa.float64())
    except pa.ArrowInvalid:  # exponents that some versions refuse
        values = [None if text is None else float(text) for text in digits.to_pylist()]
        return _array(values, pa.float64())


def _array(values: "Sequence[int | float | str | None]", kind: pa.DataType) -> pa.Array:
    """Return values as an array, without the import of pandas that `pa.array` does."""
    missing = np.array([value is None for value in values], np.bool_)
    if pa.types.is_string(kind):
        filled = arrays.from_texts([str(value or "") for value in values])
    else:
        plain = np.array([0 if value is None else value for value in values])
        if pa.types.is_int64(kind):
            filled = arrays.from_integers(plain.astype(np.int64))
        else:
            buffer = pa.py_buffer(plain.astype(np.float64))
            filled = pa.Array.from_buffers(kind, len(values), [None, buffer])
    return arrays.null_where(missing, filled) if missing.any() else filled


def _as_integer(text: str | None) -> int | None:
    if text is None:
        return None
    whole, _, fraction = text.partition(".")
    if fraction.strip("0") or not re.fullmatch(r"[+-]?[0-9]+", whole):
        return None
    value = int(whole)
    return value if _INT64[0] <= value <= _INT64[1] else None


def _number_of(trimmed: str, given: NumberFormat, whole: bool) -> int | float | None:
    match = _pattern(given).fullmatch(trimmed)
    if match is None:
        return None
    signs = "".join(match[name] for name in _SIGNS)
    digits = re.sub("[^0-9]", "", match["whole"])
    if match["fraction"]:
        digits += f".{match['fraction']}"
    if not digits or signs not in _SIGNED:
        return None
    digits += match["exponent"]
    if signs.strip("+"):
        digits = f"-{digits}"
    if whole:
        return _as_integer(digits)
    value = float(digits)
    if match["percent"]:
        value /= 100.0
    return value if abs(value) <= LARGEST else None


_GROUPS = (
    *("limit", "open", "sign", "before", "inner", "whole", "fraction", "exponent"),
    *("percent", "after", "trailing", "close"),
)
_SIGNS = ("open", "sign", "inner", "trailing", "close")
_SIGNED = ("", "+", "-", "\u2212", "()")


@lru_cache(maxsize=256)
def _expression(given: NumberFormat) -> str:
    """Return the grammar of a number with the groups of `_GROUPS`; RE2 and `re` read it alike.

    What it cannot say is checked afterwards: there is a digit, and one sign at most.
    """
    units = "|".join(re.escape(unit) for unit in sorted(given.units, key=len, reverse=True))
    unit = f"(?:{units})?" if units else ""
    opening, closing = (r"\(?", r"\)?") if given.parentheses else ("", "")
    whole = "[0-9]*"
    if given.thousands:
        separator = _THOUSANDS.get(given.thousands, re.escape(given.thousands))
        whole = f"[0-9]{{1,3}}(?:{separator}[0-9]{{3}})+|[0-9]*"
        if given.thousands == ",":  # as in India: 12,34,567
            whole = f"[0-9]{{1,2}}(?:,[0-9]{{2}})*,[0-9]{{3}}|{whole}"
    parts = {
        "limit": "(?:[<>]=?|[\u2264\u2265])?" if given.limits else "",
        "open": opening,
        "sign": f"[+{_MINUS}]?",
        "before": unit,
        "inner": f"[+{_MINUS}]?",
        "whole": whole,
        "fraction": "",
        "exponent": "(?:[eE][+-]?[0-9]+)?",
        "percent": "%?" if given.percent else "",
        "after": unit,
        "trailing": f"[{_MINUS}]?",
        "close": closing,
    }
    named = {name: f"(?P<{name}>{part})" for name, part in parts.items()}
    named["fraction"] = f"(?:{re.escape(given.decimal)}(?P<fraction>[0-9]*))?"
    before = f"{_BLANK}*".join(named[name] for name in ("limit", "open", "sign", "before", "inner"))
    number = named["whole"] + named["fraction"] + named["exponent"]
    after = f"{_BLANK}*".join(named[name] for name in ("percent", "after", "trailing", "close"))
    return f"{before}{_BLANK}*{number}{_BLANK}*{after}"


@lru_cache(maxsize=256)
def _pattern(given: NumberFormat) -> re.Pattern[str]:
    return re.compile(_expression(given))
