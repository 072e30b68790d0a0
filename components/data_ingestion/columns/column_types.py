"""What a column of text holds: decided over all of its values, whatever order they come in.

A column is given the narrowest kind that all of its values fit. Kinds only ever widen:

    nothing -> integer -> number -> text
    nothing -> boolean -> text
    nothing -> time -> time with fractions -> text

So the result is the same however the input is cut into blocks. A value fits

- `integer`: a decimal integer of 64 bits;
- `number`: what a double can be parsed from. An integer of 2^53 or more does not fit, because two
  of them could become the same double: they are identifiers;
- neither, where it has a leading zero (`00123`): that is a code, and `123` is another one;
- `boolean`: `true` or `false` in lower case, upper case or capitalised;
- `time`: only what its file says is a timestamp; text that looks like one stays text.

In columns of these kinds blanks around a value do not count, and what pandas reads as missing
(`NA`, `NULL`, `nan`, ...) is missing. In a text column only the empty string is.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.data_ingestion.columns import arrays
from kfp_tabular.components.data_ingestion.columns.arrays import Mask

MISSING_MARKERS = (
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
    "NAN",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
)
"""Missing in columns that are not text: what `pandas.read_csv` takes as missing, and `NAN`."""

_MARKERS = arrays.from_texts(MISSING_MARKERS)
_BOOLEANS = arrays.from_texts(["true", "True", "TRUE", "false", "False", "FALSE"])
_TRUE = _BOOLEANS[:3]
_EXACT_DOUBLE = 2.0**53
_PROBE = 64
_INTEGER_TEXT = r"^[+-]?[0-9]+$"
_NUMBER_TEXT = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


class Kind(enum.Enum):
    """What the values of a column are."""

    NOTHING = "all missing"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TIME = "time"
    FRACTIONAL_TIME = "time with fractions of a second"
    TEXT = "text"

    @property
    def arrow(self) -> pa.DataType:
        """The type of such a column in the examples."""
        if self in (Kind.INTEGER, Kind.BOOLEAN):
            return pa.int64()
        return pa.float64() if self is Kind.NUMBER else pa.string()


_ALIASES = {
    "integer": Kind.INTEGER,
    "int": Kind.INTEGER,
    "int64": Kind.INTEGER,
    "number": Kind.NUMBER,
    "float": Kind.NUMBER,
    "float64": Kind.NUMBER,
    "double": Kind.NUMBER,
    "text": Kind.TEXT,
    "string": Kind.TEXT,
    "str": Kind.TEXT,
}

_LADDERS = {
    Kind.NOTHING: tuple(Kind),
    Kind.INTEGER: (Kind.INTEGER, Kind.NUMBER, Kind.TEXT),
    Kind.NUMBER: (Kind.NUMBER, Kind.TEXT),
    Kind.BOOLEAN: (Kind.BOOLEAN, Kind.TEXT),
    Kind.TIME: (Kind.TIME, Kind.FRACTIONAL_TIME, Kind.TEXT),
    Kind.FRACTIONAL_TIME: (Kind.FRACTIONAL_TIME, Kind.TEXT),
    Kind.TEXT: (Kind.TEXT,),
}


@dataclass(frozen=True)
class Converted:
    """A column in one of the three types of the examples.

    Attributes:
        values: `int64`, `float64` or `string`; missing is null. May hold infinities.
        kind: What the values turned out to be.
        misfits: Which rows do not fit the kind that was asked for (boolean, by row; their value
            is null), or None where all do.
    """

    values: pa.Array
    kind: Kind
    misfits: "Mask | None" = None


def parse_kinds(column_types: Mapping[str, str]) -> dict[str, Kind]:
    """Reads the `column_types` argument.

    Args:
        column_types: Kinds by column: `integer`, `number`, `text`, or a common synonym.

    Raises:
        UserError: Where a kind is unknown.
    """
    found = {}
    for column, name in column_types.items():
        kind = _ALIASES.get(str(name).lower())
        if kind is None:
            raise UserError(
                f"column_types: {column!r} is to be {name!r}; give integer, number or text."
                + closest(str(name), _ALIASES)
            )
        found[column] = kind
    return found


def join(one: Kind, other: Kind) -> Kind:
    """Gives the narrowest kind that holds the values of both."""
    if other in _LADDERS[one]:
        return other
    return one if one in _LADDERS[other] else Kind.TEXT


def infer(text: pa.StringArray, least: Kind) -> Converted:
    """Converts a piece of a column to the narrowest kind that it fits.

    Args:
        text: The values as text; null or empty is missing.
        least: The kind that the rest of the column is known to need at least.
    """
    if text.null_count == len(text):
        return Converted(pa.nulls(len(text), least.arrow), least)
    if least is Kind.NOTHING and len(text) > 2 * _PROBE:
        # What the first values need is needed in any case; it spares attempts on all of them.
        least = infer(text[:_PROBE], least).kind
    return _convert(text, least)


def force(text: pa.StringArray, kind: Kind) -> Converted:
    """Converts a piece of a column to a given kind, whatever it looks like.

    Args:
        text: The values as text; null or empty is missing.
        kind: `INTEGER`, `NUMBER` or `TEXT`. Leading zeros are dropped from numbers.
    """
    if kind is Kind.TEXT:
        return Converted(text, kind)
    values = _cleaned(text)
    pattern = _INTEGER_TEXT if kind is Kind.INTEGER else _NUMBER_TEXT
    fits = arrays.to_mask(pc.match_substring_regex(values, pattern)) | ~arrays.to_valid(values)
    values = pc.replace_substring_regex(values, r"^\+", "")
    if kind is Kind.INTEGER:
        fits &= _within_int64(values)
    numbers = pc.cast(arrays.null_where(~fits, values), kind.arrow)
    return Converted(numbers, kind, None if fits.all() else ~fits)


def _within_int64(digits: pa.StringArray) -> Mask:
    """Marks what 64 bits hold; digits that may be too many are rare and counted one by one."""
    within = np.ones(len(digits), np.bool_)
    lengths = arrays.to_integers(pc.cast(pc.utf8_length(digits), pa.int64()))
    for row in np.flatnonzero(lengths > 18):
        text = digits[row].as_py()
        within[row] = text.lstrip("-").isdecimal() and -(2**63) <= int(text) < 2**63
    return within


def _convert(text: pa.StringArray, least: Kind) -> Converted:
    if least is Kind.TEXT:
        return Converted(text, Kind.TEXT)
    allowed = _LADDERS[least]
    # Cleaning costs more than parsing and is rarely needed.
    if Kind.NUMBER in allowed:
        numeric = _numeric(text, Kind.INTEGER in allowed)
        if numeric is not None:
            return numeric
    cleaned = _cleaned(text)
    if Kind.NOTHING in allowed and cleaned.null_count == len(cleaned):
        return Converted(pa.nulls(len(text), Kind.NOTHING.arrow), Kind.NOTHING)
    if Kind.NUMBER in allowed:
        numeric = _numeric(cleaned, Kind.INTEGER in allowed)
        if numeric is not None:
            return numeric
    if Kind.BOOLEAN in allowed:
        values = _booleans(cleaned)
        if values is not None:
            return Converted(values, Kind.BOOLEAN)
    return Converted(text, Kind.TEXT)


def _numeric(text: pa.StringArray, may_be_integer: bool) -> Converted | None:
    """Converts to integers or numbers; None where that is not possible without cleaning."""
    if may_be_integer:
        integers = _cast(text, pa.int64())
        if integers is not None:
            return None if has_leading_zero(text) else Converted(integers, Kind.INTEGER)
    numbers = _cast(text, pa.float64())
    if numbers is None or has_leading_zero(text):
        return None
    plain = arrays.to_doubles(numbers)
    if np.isnan(plain).sum() > numbers.null_count:
        return None
    large = np.abs(plain) >= _EXACT_DOUBLE
    if large.any():
        suspects = text.filter(arrays.from_mask(large))
        if pc.any(pc.match_substring_regex(suspects, _INTEGER_TEXT)).as_py():
            return None
    return Converted(numbers, Kind.NUMBER)


def _cast(text: pa.StringArray, to: pa.DataType) -> pa.Array | None:
    try:
        return pc.cast(text, to)
    except pa.ArrowInvalid:
        return None


def _booleans(values: pa.StringArray) -> pa.Array | None:
    if not pc.all(pc.or_(pc.is_in(values, _BOOLEANS), pc.is_null(values))).as_py():
        return None
    truth = pc.cast(pc.is_in(values, _TRUE), pa.int64())
    return arrays.null_where(~arrays.to_valid(values), truth)


def _cleaned(text: pa.StringArray) -> pa.StringArray:
    trimmed = pc.utf8_trim_whitespace(text)
    return arrays.null_where(arrays.to_mask(pc.is_in(trimmed, _MARKERS)), trimmed)


def misfit(column: str, kind: Kind) -> str:
    """Gives the reason why rows are rejected whose value is not of the kind asked for."""
    return f"column {column!r}: the value is not of type {kind.value}, as column_types asks"


def has_leading_zero(text: pa.StringArray) -> bool:
    """Whether a value starts with a zero that another digit (or an `x`) follows.

    Args:
        text: Values that parse as numbers.
    """
    offsets_buffer, data_buffer = text.buffers()[1:3]
    if data_buffer is None or data_buffer.size == 0:
        return False
    offsets = np.frombuffer(offsets_buffer, np.int32)[text.offset : text.offset + len(text) + 1]
    data = np.frombuffer(data_buffer, np.uint8)
    starts = offsets[:-1][offsets[1:] > offsets[:-1]]
    if not starts.size:
        return False
    signed = np.isin(data[starts], (ord("-"), ord("+")))
    first = starts + signed
    # The byte after a lone "0" belongs to the next value: the ends rule it out.
    ends = offsets[1:][offsets[1:] > offsets[:-1]]
    zero = np.flatnonzero((ends - first > 1) & (data[np.minimum(first, data.size - 1)] == ord("0")))
    if not zero.size:
        return False
    return bool((~np.isin(data[first[zero] + 1], (ord("."), ord("e"), ord("E")))).any())
