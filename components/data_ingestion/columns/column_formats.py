"""The formats of columns that the options give, and the decisions about all others."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.values import time_patterns
from kfp_tabular.components.common.values.column_format import (
    BooleanFormat,
    ColumnFormat,
    Kind,
    NumberFormat,
    TimeFormat,
)
from kfp_tabular.components.common.values.time_text import PER_SECOND
from kfp_tabular.components.data_ingestion.columns import column_decision
from kfp_tabular.components.data_ingestion.columns.column_decision import Decision, Wishes
from kfp_tabular.components.data_ingestion.columns.column_evidence import ColumnEvidence

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("integer", "int", "int64"), "integer"),
    **dict.fromkeys(("number", "float", "float64", "double"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("time", "date", "datetime", "timestamp"), "time"),
    **dict.fromkeys(("text", "string", "str"), "text"),
}
_NUMBER_KEYS = ("decimal", "thousands", "units", "percent")
_TIME_KEYS = ("format", "unit", "day_first")
_BOOLEAN_KEYS = ("true", "false")
_KIND_KEYS: dict[Kind, tuple[str, ...]] = {
    "number": _NUMBER_KEYS,
    "time": _TIME_KEYS,
    "boolean": _BOOLEAN_KEYS,
}
_KEYS = ("type", *_NUMBER_KEYS, *_TIME_KEYS, *_BOOLEAN_KEYS, "missing")
_THOUSANDS = ("", ",", ".", "'", " ")


@dataclass(frozen=True)
class GivenFormat:
    """What the options say about a column.

    Attributes:
        format: Its format; None to decide it. What a format leaves open is decided, too.
        missing: Texts that mean missing.
        day_first: Whether the day comes before the month in dates; None to decide it.
    """

    format: ColumnFormat | None = None
    missing: tuple[str, ...] = ()
    day_first: bool | None = None


@dataclass(frozen=True)
class Decider:
    """Decides how to read columns.

    Attributes:
        label: The label's column; empty for none.
        odd_values: What happens to values that do not fit.
        given: What the options say, by column.
        missing_values: Texts that mean missing in every column.
        columns: The names of all columns of the data.
    """

    label: str = ""
    odd_values: str = "missing"
    given: Mapping[str, GivenFormat] = field(default_factory=dict)
    missing_values: Sequence[str] = ()
    columns: Collection[str] = ()

    def decide(self, name: str, evidence: ColumnEvidence) -> Decision:
        """Decide how to read a column."""
        given = self.given.get(name, GivenFormat())
        wishes = Wishes(
            self.odd_values,
            given.format,
            name == self.label,
            (*given.missing, *self.missing_values),
            given.day_first,
            self.columns,
        )
        return column_decision.decide(name, evidence, wishes)

    def missing(self, name: str) -> tuple[str, ...]:
        """Return the texts that mean missing in a column."""
        return self.given.get(name, GivenFormat()).missing

    def is_as_given(self, name: str) -> bool:
        """Return whether the values of a column are text that nothing needs to be known about."""
        given = self.given.get(name, GivenFormat()).format
        return given is not None and given.kind in ("text", "bag")


def parse(
    column_types: Mapping[str, str], column_formats: Mapping[str, Any]
) -> dict[str, GivenFormat]:
    """Parse the options `column_types` and `column_formats`.

    Args:
        column_types: A type by column, or a common synonym of one.
        column_formats: By column, an object with some of the keys `type`, `decimal`, `thousands`,
            `units`, `percent`, `format`, `unit`, `day_first`, `true`, `false` and `missing`.

    Raises:
        UserError: A type, a key or a value is wrong.

    Example:
        >>> parse({"zip": "string"}, {"price": {"decimal": ","}})["price"].format.number.decimal
        ','
    """
    found = {
        column: GivenFormat(_plain(_kind("column_types", column, name)))
        for column, name in column_types.items()
    }
    for column, given in column_formats.items():
        if not isinstance(given, Mapping):
            raise _wrong(column, f"expected an object, found {given!r}.")
        if column in column_types and "type" in given:
            raise _wrong(column, "its type is also in column_types. Remove one of them.")
        found[column] = _parse_one(column, {"type": column_types.get(column), **given})
    return found


def bags(
    given: Mapping[str, GivenFormat], found: Mapping[str, ColumnFormat]
) -> dict[str, GivenFormat]:
    """Return what the options say about columns that are read as bags.

    Args:
        given: What `parse` returned.
        found: The formats of the bags.

    Raises:
        UserError: A type is given for a bag.
    """
    for name in found:
        if name in given:
            raise UserError(f"column_types: column {name!r} is read as bags, so it takes no type.")
    return {name: GivenFormat(bag) for name, bag in found.items()}


def _parse_one(column: str, given: Mapping[str, Any]) -> GivenFormat:
    for key in given:
        if key not in _KEYS:
            raise _wrong(column, f"{key!r} is no key of a format.{closest(key, _KEYS)}")
    missing = _texts(column, "missing", given.get("missing", ()))
    day_first = given.get("day_first")
    if day_first not in (None, True, False):
        raise _wrong(column, f"day_first: expected true or false, found {day_first!r}.")
    kind = _kind_of(column, given)
    return GivenFormat(None if kind is None else _written(column, kind, given), missing, day_first)


def _kind_of(column: str, given: Mapping[str, Any]) -> Kind | None:
    found: Kind | None = None
    if given["type"] is not None:
        found = _kind("column_formats", column, given["type"])
    for kind, keys in _KIND_KEYS.items():
        if any(key in given for key in keys):
            if found not in (None, kind) and (found, kind) != ("integer", "number"):
                raise _wrong(column, f"its keys are those of a {found} and of a {kind}.")
            found = found or kind
    return found


def _written(column: str, kind: Kind, given: Mapping[str, Any]) -> ColumnFormat:
    if kind in ("integer", "number"):
        return ColumnFormat(kind, number=_number(column, given))
    if kind == "time" and ("format" in given or "unit" in given):
        return ColumnFormat(kind, time=_time(column, given))
    if kind == "boolean" and (given.get("true") or given.get("false")):
        true, false = (_texts(column, key, given.get(key, ())) for key in _BOOLEAN_KEYS)
        if not true or not false:
            raise _wrong(column, "a boolean needs both true and false.")
        return ColumnFormat(kind, boolean=BooleanFormat(true, false))
    return _plain(kind)


def _plain(kind: Kind) -> ColumnFormat:
    return ColumnFormat(kind, verbatim=kind == "text")


def _kind(option: str, column: str, name: Any) -> Kind:
    kind = _KINDS.get(str(name).lower())
    if kind is None:
        raise UserError(
            f"{option}: column {column!r}: expected integer, number, boolean, time or text, found "
            f"{name!r}.{closest(str(name), _KINDS)}"
        )
    return kind


def _number(column: str, given: Mapping[str, Any]) -> NumberFormat | None:
    if not any(key in given for key in _NUMBER_KEYS):
        return None
    decimal, thousands = given.get("decimal", "."), given.get("thousands", "")
    if decimal not in (".", ","):
        raise _wrong(column, f"decimal: expected '.' or ',', found {decimal!r}.")
    if thousands not in _THOUSANDS or thousands == decimal:
        raise _wrong(column, f"thousands: expected one of , . ' or a blank, found {thousands!r}.")
    if given.get("percent", False) not in (True, False):
        raise _wrong(column, f"percent: expected true or false, found {given['percent']!r}.")
    return NumberFormat(
        decimal,
        thousands,
        _texts(column, "units", given.get("units", ())),
        bool(given.get("percent", False)),
        parentheses=True,
    )


def _time(column: str, given: Mapping[str, Any]) -> TimeFormat:
    unit = given.get("unit", "")
    if unit:
        if unit not in PER_SECOND:
            expected = ", ".join(PER_SECOND)
            raise _wrong(column, f"unit: expected one of {expected}, found {unit!r}.")
        return TimeFormat(unit=unit)
    formats = _texts(column, "format", given["format"])
    for written in formats:
        if time_patterns.pattern_of(written) is None:
            raise _wrong(column, f"format: {written!r} is no strptime format.")
    return TimeFormat(formats, canonical=time_patterns.canonical_format(formats))


def _texts(column: str, key: str, value: Any) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(text, str) for text in texts):
        raise _wrong(column, f"{key}: expected text or a list of texts, found {value!r}.")
    return texts


def _wrong(column: str, why: str) -> UserError:
    return UserError(f"column_formats: column {column!r}: {why}")
