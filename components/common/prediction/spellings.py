"""Reads values as clients write them: in every spelling that ingestion accepted in training.

A reader takes the value of one feature in JSON terms: a number, text, true or false, or a list.
Ingestion decided the format of the feature's column; a text is read in it by the same rules.
"""

import datetime
import math
from collections.abc import Callable, Sequence
from typing import Any

from kfp_tabular.components.common.artifacts.raw_features import DType
from kfp_tabular.components.common.values import bags, reading
from kfp_tabular.components.common.values.column_format import (
    ColumnFormat,
    TimeFormat,
)

Value = float | int | bytes
Convert = Callable[[Any], Value]
Reader = Callable[[Any], Value | None]
"""Returns the value for the model, None where missing. Raises `TypeError` or `ValueError` for a
value of the wrong type, and `UnreadableError` for text of the right type."""

_CANONICAL_LENGTHS = {"%Y-%m-%d": 10, "%Y-%m-%d %H:%M:%S": 19}


class UnreadableError(ValueError):
    """Text that the format of its column cannot be read from. Its message holds no value."""


def reader(dtype: DType, given: ColumnFormat, convert: Convert) -> Reader:
    """Return the reader of a feature.

    Args:
        dtype: The type of the feature's tensor.
        given: The format of its column.
        convert: Converts a plain value; raises `TypeError` or `ValueError` where it does not fit.

    Example:
        >>> from kfp_tabular.components.common.values.column_format import NumberFormat
        >>> price = ColumnFormat("number", NumberFormat(decimal=",", units=("€",)))
        >>> read = reader("float32", price, float)
        >>> read("1,5 €"), read(1.5), read("n/a")
        (1.5, 1.5, None)
    """
    if given.kind == "bag":
        return _bag_reader(given)
    if dtype == "string":
        return _time_reader(given, given.time) if given.time is not None else _text_reader(given)

    def read(value: Any) -> Value | None:
        if not isinstance(value, str):
            return convert(value)
        found, odd = reading.read_one(value, given)
        if odd:
            raise UnreadableError
        return None if found is None else convert(found)

    return read


def expected(given: ColumnFormat) -> str:
    """Return what a format reads, for messages.

    Example:
        >>> expected(ColumnFormat("boolean"))
        'true or false as in the training data'
    """
    if given.kind == "bag":
        return "a list of numbers" if given.number is not None else "a list of texts"
    names = {"boolean": "true or false", "integer": "a whole number", "time": "a point in time"}
    return f"{names.get(given.kind, 'a number')} as in the training data"


def part(value: Any, source: ColumnFormat, given: ColumnFormat) -> Any:
    """Return the value of a column that is derived from the text of another one.

    Args:
        value: The value of the other column as the client wrote it.
        source: The format of the other column.
        given: The format of the derived column.

    Example:
        >>> from kfp_tabular.components.common.values.column_format import NumberFormat
        >>> dose = ColumnFormat("number", NumberFormat(limits=True))
        >>> limit = ColumnFormat("integer", derived_from="dose", part="limit")
        >>> part("<0.5", dose, limit), part(0.7, dose, limit)
        (-1, 0)
    """
    if value is None or isinstance(value, str):
        return reading.part_of_one(value, source, given.part or "odd")
    return None if given.part == "unit" else 0


def _text_reader(given: ColumnFormat) -> Reader:
    if given.verbatim and not given.missing:
        return lambda value: _required_text(value).encode() or None
    if not given.missing:
        return lambda value: _required_text(value).strip(reading.BLANKS).encode() or None

    def read(value: Any) -> bytes | None:
        found, _ = reading.read_one(_required_text(value), given)
        return None if found is None else str(found).encode()

    return read


def _time_reader(given: ColumnFormat, time: TimeFormat) -> Reader:
    length = _CANONICAL_LENGTHS.get(time.canonical)

    def read(value: Any) -> bytes | None:
        # Digits of dates may be numbers in the data, too.
        is_number = isinstance(value, int) and not isinstance(value, bool)
        text = str(value) if is_number else _required_text(value)
        if len(text) == length and _is_canonical(text):
            return text.encode()
        found, odd = reading.read_one(text, given)
        if odd:
            raise UnreadableError
        return None if found is None else str(found).encode()

    return read


def _is_canonical(text: str) -> bool:
    """Return whether a date, or a date and time, is written as in the examples.

    Example:
        >>> _is_canonical("2024-02-29"), _is_canonical("2024-02-30"), _is_canonical("2024-W01-1")
        (True, False, False)
    """
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return False
    return (str(moment) if len(text) > 10 else str(moment.date())) == text


def _bag_reader(given: ColumnFormat) -> Reader:
    number = None if given.number is None else ColumnFormat("number", given.number)

    def read(value: Any) -> bytes | None:
        if isinstance(value, str):
            text = value.strip(reading.BLANKS)
            if text in ("", *given.missing):
                return None
            try:
                return written(bags.read(text))
            except (ValueError, TypeError, RecursionError):
                raise UnreadableError from None
        if not isinstance(value, list | tuple):
            raise TypeError
        return written(value)

    def written(items: Sequence[Any]) -> bytes:
        return bags.write([_item(item, number) for item in items]).encode()

    return read


def _item(item: Any, number: ColumnFormat | None) -> "str | float | None":
    if item is None:
        return None
    if number is None:
        return _required_text(item)
    if isinstance(item, str):
        found, odd = reading.read_one(item, number)
        if odd:
            raise UnreadableError
        return found
    if not isinstance(item, int | float) or not math.isfinite(item):
        raise TypeError
    return item


def _required_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
