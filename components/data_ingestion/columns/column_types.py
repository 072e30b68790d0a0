"""The type of a column of text, inferred from all of its values.

A column gets the narrowest type that all of its values fit. A type only ever widens:

    nothing -> integer -> number -> text
    nothing -> boolean -> text
    nothing -> time -> time with fractions -> text

So the result does not depend on how the input is cut into blocks. The values that fit:

- `integer`: decimal integers of 64 bits;
- `number`: everything that parses as a double, except integers of 2^53 or more. Two of those could
  become the same double, and they are usually identifiers;
- `boolean`: `true` or `false` in lower case, upper case or capitalized;
- `time`: timestamps of files with types; text that looks like a time stays text.

A value with a leading zero (`00123`) is neither an integer nor a number: it is a code, and `123` is
a different code. In columns other than text, blanks around a value are ignored and missing markers
(`missing_values`) are missing.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.data_ingestion.columns.missing_values import without_markers

_BOOLEANS = arrays.from_texts(["true", "True", "TRUE", "false", "False", "FALSE"])
_TRUE = _BOOLEANS[:3]
_EXACT_DOUBLE = 2.0**53
_PROBE = 64
_INTEGER_TEXT = r"^[+-]?[0-9]+$"
_NUMBER_TEXT = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


class ColumnType(enum.Enum):
    """The type of a column."""

    NOTHING = "all missing"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    TIME = "time"
    FRACTIONAL_TIME = "time with fractions of a second"
    TEXT = "text"

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type of such a column in the examples."""
        if self in (ColumnType.INTEGER, ColumnType.BOOLEAN):
            return pa.int64()
        return pa.float64() if self is ColumnType.NUMBER else pa.string()


_ALIASES = {
    "integer": ColumnType.INTEGER,
    "int": ColumnType.INTEGER,
    "int64": ColumnType.INTEGER,
    "number": ColumnType.NUMBER,
    "float": ColumnType.NUMBER,
    "float64": ColumnType.NUMBER,
    "double": ColumnType.NUMBER,
    "text": ColumnType.TEXT,
    "string": ColumnType.TEXT,
    "str": ColumnType.TEXT,
}

_LADDERS = {
    ColumnType.NOTHING: tuple(ColumnType),
    ColumnType.INTEGER: (ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.TEXT),
    ColumnType.NUMBER: (ColumnType.NUMBER, ColumnType.TEXT),
    ColumnType.BOOLEAN: (ColumnType.BOOLEAN, ColumnType.TEXT),
    ColumnType.TIME: (ColumnType.TIME, ColumnType.FRACTIONAL_TIME, ColumnType.TEXT),
    ColumnType.FRACTIONAL_TIME: (ColumnType.FRACTIONAL_TIME, ColumnType.TEXT),
    ColumnType.TEXT: (ColumnType.TEXT,),
}


@dataclass(frozen=True)
class Converted:
    """A column in one of the three types of the examples.

    Attributes:
        values: `int64`, `float64` or `string`; missing is null. May hold infinities.
        column_type: The type of the values.
        misfits: A mask of the rows that do not fit the requested type, whose value is null; None
            where all rows fit.
    """

    values: pa.Array
    column_type: ColumnType
    misfits: "Mask | None" = None


def parse_column_types(column_types: Mapping[str, str]) -> dict[str, ColumnType]:
    """Parse the option `column_types`.

    Args:
        column_types: By column, `integer`, `number`, `text` or a common synonym.

    Raises:
        UserError: A type is unknown.

    Example:
        >>> parse_column_types({"zip": "string"})
        {'zip': <ColumnType.TEXT: 'text'>}
    """
    found = {}
    for column, name in column_types.items():
        column_type = _ALIASES.get(str(name).lower())
        if column_type is None:
            raise UserError(
                f"column_types: column {column!r}: expected integer, number or text, found "
                f"{name!r}.{closest(str(name), _ALIASES)}"
            )
        found[column] = column_type
    return found


def join(one: ColumnType, other: ColumnType) -> ColumnType:
    """Return the narrowest type that holds the values of both.

    Example:
        >>> join(ColumnType.INTEGER, ColumnType.NUMBER)
        <ColumnType.NUMBER: 'number'>
    """
    if other in _LADDERS[one]:
        return other
    return one if one in _LADDERS[other] else ColumnType.TEXT


def infer(text: pa.StringArray, least: ColumnType) -> Converted:
    """Convert part of a column to the narrowest type that its values fit.

    Args:
        text: The values as text; null or empty is missing.
        least: The narrowest type that the rest of the column is known to fit.

    Example:
        >>> converted = infer(pa.array(["1", "2.5"]), ColumnType.NOTHING)
        >>> converted.column_type, converted.values.to_pylist()
        (<ColumnType.NUMBER: 'number'>, [1.0, 2.5])
    """
    if text.null_count == len(text):
        return Converted(pa.nulls(len(text), least.arrow), least)
    if least is ColumnType.NOTHING and len(text) > 2 * _PROBE:
        # The first values rule types out, which saves attempts on all values.
        least = infer(text[:_PROBE], least).column_type
    return _convert(text, least)


def force(text: pa.StringArray, column_type: ColumnType) -> Converted:
    """Convert part of a column to a given type.

    Args:
        text: The values as text; null or empty is missing.
        column_type: `INTEGER`, `NUMBER` or `TEXT`. Numbers lose their leading zeros.

    Example:
        >>> converted = force(pa.array(["007", "x"]), ColumnType.INTEGER)
        >>> converted.values.to_pylist(), converted.misfits.tolist()
        ([7, None], [False, True])
    """
    if column_type is ColumnType.TEXT:
        return Converted(text, column_type)
    values = without_markers(text)
    pattern = _INTEGER_TEXT if column_type is ColumnType.INTEGER else _NUMBER_TEXT
    fits = arrays.to_mask(pc.match_substring_regex(values, pattern)) | ~arrays.to_valid(values)
    values = pc.replace_substring_regex(values, r"^\+", "")
    if column_type is ColumnType.INTEGER:
        fits &= _within_int64(values)
    numbers = pc.cast(arrays.null_where(~fits, values), column_type.arrow)
    return Converted(numbers, column_type, None if fits.all() else ~fits)


def _within_int64(digits: pa.StringArray) -> Mask:
    """Return a mask of the integers that fit 64 bits. Long ones are rare and checked one by one."""
    within = np.ones(len(digits), np.bool_)
    lengths = arrays.to_integers(pc.cast(pc.utf8_length(digits), pa.int64()))
    for row in np.flatnonzero(lengths > 18):
        text = digits[row].as_py()
        within[row] = text.lstrip("-").isdecimal() and -(2**63) <= int(text) < 2**63
    return within


def _convert(text: pa.StringArray, least: ColumnType) -> Converted:
    if least is ColumnType.TEXT:
        return Converted(text, ColumnType.TEXT)
    allowed = _LADDERS[least]
    # Removing markers costs more than parsing and is rarely needed.
    if ColumnType.NUMBER in allowed:
        numeric = _numeric(text, ColumnType.INTEGER in allowed)
        if numeric is not None:
            return numeric
    cleaned = without_markers(text)
    if ColumnType.NOTHING in allowed and cleaned.null_count == len(cleaned):
        return Converted(pa.nulls(len(text), ColumnType.NOTHING.arrow), ColumnType.NOTHING)
    if ColumnType.NUMBER in allowed:
        numeric = _numeric(cleaned, ColumnType.INTEGER in allowed)
        if numeric is not None:
            return numeric
    if ColumnType.BOOLEAN in allowed:
        values = _booleans(cleaned)
        if values is not None:
            return Converted(values, ColumnType.BOOLEAN)
    return Converted(text, ColumnType.TEXT)


def _numeric(text: pa.StringArray, may_be_integer: bool) -> Converted | None:
    """Convert to integers or numbers; None where a value is neither."""
    if may_be_integer:
        integers = _cast(text, pa.int64())
        if integers is not None:
            return None if has_leading_zero(text) else Converted(integers, ColumnType.INTEGER)
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
    return Converted(numbers, ColumnType.NUMBER)


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


def misfit(column: str, column_type: ColumnType) -> str:
    """Return the reason for rejecting rows whose value does not fit the requested type.

    Example:
        >>> misfit("zip", ColumnType.INTEGER)
        "column 'zip': the value does not fit column_types: integer"
    """
    return f"column {column!r}: the value does not fit column_types: {column_type.value}"


def has_leading_zero(text: pa.StringArray) -> bool:
    """Return whether a value starts with a zero that another digit (or an `x`) follows.

    Args:
        text: Values that parse as numbers.

    Example:
        >>> has_leading_zero(pa.array(["7", "-07"])), has_leading_zero(pa.array(["0", "0.5"]))
        (True, False)
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
    # The byte after a single "0" belongs to the next value; `ends` excludes it.
    ends = offsets[1:][offsets[1:] > offsets[:-1]]
    zero = np.flatnonzero((ends - first > 1) & (data[np.minimum(first, data.size - 1)] == ord("0")))
    if not zero.size:
        return False
    return bool((~np.isin(data[first[zero] + 1], (ord("."), ord("e"), ord("E")))).any())
