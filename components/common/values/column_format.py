"""The format of a column, as ingestion decided it, and its document `_columns.json`."""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError

FILE_NAME = "_columns.json"
"""The underscore keeps readers of partitioned data from taking it for data."""

Kind = Literal["missing", "boolean", "integer", "number", "time", "text", "bag"]
"""What a column holds. `missing`: nothing. `bag`: any number of values per row."""


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written.

    Attributes:
        decimal: `.` or `,`.
        thousands: The character between groups of three digits: `,` `.` `'` or a blank, which
            stands for every kind of blank; empty for none.
        units: Texts before or after the number that are dropped: currency signs and codes.
        percent: Whether a `%` follows: `45.1%` is 0.451.
        parentheses: Whether parentheses mean negative: `(12.50)` is -12.5.
        limits: Whether `<0.5` and `>100` stand for the limit.
    """

    decimal: str = "."
    thousands: str = ""
    units: tuple[str, ...] = ()
    percent: bool = False
    parentheses: bool = False
    limits: bool = False


@dataclass(frozen=True)
class TimeFormat:
    """How points in time are written.

    Attributes:
        formats: The `strptime` formats of the source; empty for numbers.
        unit: The unit of numbers that count from 1970-01-01 00:00 UTC (`seconds`); empty for text.
        canonical: The `strptime` format in which the examples hold text, an ISO 8601 format.
    """

    formats: tuple[str, ...] = ()
    unit: str = ""
    canonical: str = ""


@dataclass(frozen=True)
class BooleanFormat:
    """How true and false are written, in lower case and trimmed."""

    true: tuple[str, ...] = ("true",)
    false: tuple[str, ...] = ("false",)


@dataclass(frozen=True)
class ColumnFormat:
    """The format of a column.

    Attributes:
        kind: What the column holds.
        number: How numbers are written; None for plain ones and for other kinds.
        time: How times are written; None for other kinds.
        boolean: How booleans are written; None for other kinds.
        missing: Texts that are taken as missing, in addition to the empty one and, where the
            column does not hold text, to the usual markers (`missing_markers`).
        verbatim: Whether text is taken as it is, with the blanks around it.
        derived_from: The column whose text this column is derived from; empty for a column of the
            data.
        part: What of that text it holds, see `reading.read_part`.
    """

    kind: Kind
    number: NumberFormat | None = None
    time: TimeFormat | None = None
    boolean: BooleanFormat | None = None
    missing: tuple[str, ...] = ()
    verbatim: bool = False
    derived_from: str = ""
    part: Literal["", "limit", "unit", "odd"] = ""


def write(formats: Mapping[str, ColumnFormat], directory: str | os.PathLike[str]) -> None:
    """Write `_columns.json` to an existing directory.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write({"price": ColumnFormat("number", NumberFormat(decimal=","))}, folder)
        ...     read(folder)["price"].number.decimal
        ','
    """
    document = {
        "version": 1,
        "columns": {name: as_document(given) for name, given in formats.items()},
    }
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    files.write_text(Path(directory, FILE_NAME), text)


def read(directory: str | os.PathLike[str]) -> dict[str, ColumnFormat]:
    """Return the formats that an artifact holds; none where it has no `_columns.json`.

    Raises:
        UserError: The file is not such a document.
    """
    file = Path(directory, FILE_NAME)
    if not file.exists():
        return {}
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return {name: from_document(given) for name, given in document["columns"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{file}: not a document of column formats: {error!r}") from error


def source_of(formats: Mapping[str, ColumnFormat], name: str) -> str:
    """Return the column that a column is derived from; empty where it is a column of the data.

    Example:
        >>> formats = {"price_unit": ColumnFormat("text", derived_from="price", part="unit")}
        >>> source_of(formats, "price_unit"), source_of(formats, "price")
        ('price', '')
    """
    return formats[name].derived_from if name in formats else ""


def as_document(given: ColumnFormat) -> dict[str, Any]:
    """Return a format as JSON values, without what has its default.

    Example:
        >>> as_document(ColumnFormat("number", NumberFormat(percent=True), missing=("?",)))
        {'kind': 'number', 'number': {'percent': True}, 'missing': ['?']}
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(given):
        value = getattr(given, field.name)
        if value is None or value == field.default:
            continue
        if dataclasses.is_dataclass(value):
            found[field.name] = {
                part.name: _plain(getattr(value, part.name))
                for part in dataclasses.fields(value)
                if getattr(value, part.name) != part.default
            }
        else:
            found[field.name] = _plain(value)
    return found


def from_document(document: Mapping[str, Any]) -> ColumnFormat:
    """Return the format that `as_document` described.

    Example:
        >>> from_document({"kind": "time", "time": {"formats": ["%d/%m/%Y"]}}).time.formats
        ('%d/%m/%Y',)
    """
    kinds = {"number": NumberFormat, "time": TimeFormat, "boolean": BooleanFormat}
    parts: dict[str, Any] = {
        name: kind(**{key: _frozen(value) for key, value in document[name].items()})
        for name, kind in kinds.items()
        if name in document
    }
    plain = {name: _frozen(value) for name, value in document.items() if name not in kinds}
    return ColumnFormat(**plain, **parts)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
