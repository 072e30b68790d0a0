"""Reads the fields of points in time from text: over an array, and for a single text.

Both follow the same rules. A text is a point in time if a pattern matches it and the fields exist
in the calendar. A leap second (`:60`) is the second before it; digits beyond microseconds are cut.
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.arrays import Integers, Mask
from kfp_tabular.components.common.values.time_patterns import MONTHS, TimePattern, zone_minutes

DAY = 86_400
FIRST_SECOND = -719_162 * DAY
"""0001-01-01 00:00, in seconds since 1970."""
LAST_SECOND = 2_932_897 * DAY - 1
"""9999-12-31 23:59:59."""

_NUMBERS = "YymdHMS"
_PIVOT = 69  # As in strptime: 68 is 2068, 69 is 1969.
_NO_ZONE = 100_000
_BAD_ZONE = 100_001


@dataclass(frozen=True)
class Moments:
    """Points in time, an array each.

    Attributes:
        seconds: Seconds since 1970-01-01 00:00 on the clock as written, without its zone.
        micros: Microseconds in addition.
        offsets: Minutes east of UTC; 0 where the text names no zone.
        zoned: Whether the text names a zone.
        valid: Whether the text is a point in time. The other arrays hold 0 where it is not.
    """

    seconds: Integers
    micros: Integers
    offsets: Integers
    zoned: Mask
    valid: Mask


@dataclass(frozen=True)
class Moment:
    """A point in time; see `Moments`."""

    seconds: int
    micros: int
    offset: int
    zoned: bool


def parse(texts: pa.StringArray, patterns: Sequence[TimePattern]) -> Moments:
    """Read texts with the first pattern that matches each.

    Args:
        texts: Text; null is not a point in time.
        patterns: The patterns, in the order they are tried.

    Example:
        >>> from kfp_tabular.components.common.values.time_patterns import FORMS
        >>> found = parse(pa.array(["31/12/1969", "31/02/1970"]), [FORMS["%d/%m/%Y"]])
        >>> found.seconds.tolist(), found.valid.tolist()
        ([-86400, 0], [True, False])
    """
    size = len(texts)
    seconds, micros, offsets = (np.zeros(size, np.int64) for _ in range(3))
    zoned, valid = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    left = np.arange(size)
    for pattern in patterns:
        rest = texts if len(left) == size else texts.take(arrays.from_integers(left))
        found = pc.extract_regex(rest, pattern.regex)
        matched = arrays.to_valid(found)
        rows = left[matched]
        left = left[~matched]
        if rows.size:
            here = found.filter(arrays.from_mask(matched)).flatten()
            of_rows = _moments(dict(zip(pattern.fields, here, strict=True)), pattern)
            seconds[rows], micros[rows] = of_rows.seconds, of_rows.micros
            offsets[rows], zoned[rows] = of_rows.offsets, of_rows.zoned
            valid[rows] = of_rows.valid
        if not left.size:
            break
    return Moments(seconds, micros, offsets, zoned, valid)


def parse_one(text: str, patterns: Sequence[TimePattern]) -> Moment | None:
    """Read a text; None where it is not a point in time.

    Example:
        >>> from kfp_tabular.components.common.values.time_patterns import FORMS
        >>> parse_one("01/01/1970 1:30 AM +01:00", [FORMS["%d/%m/%Y"]])
        Moment(seconds=5400, micros=0, offset=60, zoned=True)
    """
    for pattern in patterns:
        found = _compiled(pattern.regex).fullmatch(text)
        if found:
            return _moment(found.groupdict())
    return None


def canonical_format(texts: pa.StringArray) -> str:
    """Return the format in which all texts are dates, or whole seconds, as Arrow writes them.

    This takes a fraction of the time that reading the fields takes.

    Example:
        >>> canonical_format(pa.array(["2024-02-29", None])), canonical_format(pa.array(["soon"]))
        ('%Y-%m-%d', '')
    """
    bounds = pc.min_max(pc.binary_length(texts)).as_py()
    length = bounds["min"] if bounds["min"] == bounds["max"] else None
    if length not in _CANONICAL:
        return ""
    written, kind = _CANONICAL[length]
    try:
        pc.cast(texts[:1], kind)
        times = pc.cast(texts, kind)
    except pa.ArrowInvalid:
        return ""
    same = pc.cast(times, pa.string()).equals(texts) and pc.min(texts).as_py() >= "0001"
    return written if same else ""


_CANONICAL = {10: ("%Y-%m-%d", pa.date32()), 19: ("%Y-%m-%d %H:%M:%S", pa.timestamp("s"))}


@functools.lru_cache(maxsize=512)
def _compiled(regex: str) -> "re.Pattern[str]":
    return re.compile(regex)


def _moment(fields: dict[str, str | None]) -> Moment | None:
    def number(field: str, default: int = 0) -> int:
        return int(fields.get(field) or default)

    if fields.get("y"):
        short = number("y")
        year = short + (2000 if short < _PIVOT else 1900)
    else:
        year = number("Y")
    name = fields.get("b")
    month = MONTHS.index(name[:3].lower()) + 1 if name else number("m")
    hour = number("H")
    half = (fields.get("p") or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    minute, second = number("M"), number("S")
    zone = fields.get("z")
    offset = zone_minutes(zone) if zone else 0
    exists = year >= 1 and 1 <= month <= 12 and 1 <= number("d") <= _days_in(year, month)
    if not exists or hour > 23 or minute > 59 or second > 60 or offset is None:
        return None
    days = days_from_civil(year, month, number("d"))
    seconds = days * DAY + hour * 3600 + minute * 60 + min(second, 59)
    if not FIRST_SECOND <= seconds - offset * 60 <= LAST_SECOND:
        return None
    micros = int((fields.get("f") or "")[:6].ljust(6, "0"))
    return Moment(seconds, micros, offset, bool(zone))


def _moments(columns: Mapping[str, pa.StringArray], pattern: TimePattern) -> Moments:
    size = len(columns[pattern.fields[0]])
    none = np.zeros(size, np.int64)

    def number(field: str) -> Integers:
        return _digits(columns[field]) if field in columns else none

    def mapped(field: str, meaning: Callable[[str], int]) -> Integers:
        if field not in columns:
            return np.full(size, meaning(""))
        encoded = columns[field].dictionary_encode()
        known = np.array([meaning(text) for text in encoded.dictionary.to_pylist()], np.int64)
        return known[arrays.to_integers(pc.cast(encoded.indices, pa.int64()))]

    year = number("Y")
    if "y" in columns:
        short = number("y")
        year = np.where(short < _PIVOT, 2000, 1900) + short
    month = mapped("b", _month) if "b" in columns else number("m")
    day, hour, minute, second = (number(field) for field in "dHMS")
    half = mapped("p", lambda text: "ap".find(text.lower()) if text else -1)
    valid = (half < 0) | ((hour >= 1) & (hour <= 12))
    hour = np.where(half < 0, hour, hour % 12 + 12 * half)
    zones = mapped("z", _zone)
    zoned = zones != _NO_ZONE
    offsets = np.where(np.abs(zones) < _NO_ZONE, zones, 0)
    valid &= (year >= 1) & (month >= 1) & (month <= 12) & (zones != _BAD_ZONE)
    valid &= (day >= 1) & (day <= _days_in(year, np.clip(month, 1, 12)))
    valid &= (hour <= 23) & (minute <= 59) & (second <= 60)
    seconds = days_from_civil(year, month, day) * DAY
    seconds += hour * 3600 + minute * 60 + np.minimum(second, 59)
    instants = seconds - offsets * 60
    valid &= (instants >= FIRST_SECOND) & (instants <= LAST_SECOND)
    micros = _digits(columns["f"], left=6) if "f" in columns else none
    return Moments(
        np.where(valid, seconds, 0),
        np.where(valid, micros, 0),
        np.where(valid, offsets, 0),
        zoned & valid,
        valid,
    )


@dataclass(frozen=True)
class Fields:
    """Texts taken apart by a pattern.

    Attributes:
        matched: A mask of the texts that match; everything else is about those.
        columns: The numbers in the text, by field: `Y y m d H M S`.
        moments: The points in time.
        texts: The texts of the fields; empty where a text lacks one.
        tee: Whether a `T` is between the date and the clock.
    """

    matched: Mask
    columns: Mapping[str, Integers]
    moments: Moments
    texts: Mapping[str, pa.StringArray]
    tee: Mask

    def given(self, field: str) -> Mask:
        """Return which texts have a field."""
        if field not in self.texts:
            return np.zeros(len(self.moments.valid), np.bool_)
        return arrays.to_mask(pc.greater(pc.binary_length(self.texts[field]), 0))

    def renamed(self, pattern: TimePattern) -> "Fields":
        """Return what a pattern finds that differs in the names of its groups only."""
        by_field = dict(zip(pattern.fields, self.texts.values(), strict=True))
        numbers = dict(
            zip(
                (name for name in pattern.fields if name in _NUMBERS),
                self.columns.values(),
                strict=True,
            )
        )
        return Fields(self.matched, numbers, _moments(by_field, pattern), by_field, self.tee)


def fields(texts: pa.StringArray, pattern: TimePattern) -> Fields:
    """Take texts apart.

    Example:
        >>> from kfp_tabular.components.common.values.time_patterns import FORMS
        >>> fields(pa.array(["31/12/1969", "?"]), FORMS["%d/%m/%Y"]).columns["d"].tolist()
        [31]
    """
    found = pc.extract_regex(texts, pattern.regex)
    matched = arrays.to_valid(found)
    here = found.filter(arrays.from_mask(matched))
    by_field = dict(zip(pattern.fields, here.flatten(), strict=True))
    numbers = {name: _digits(by_field[name]) for name in by_field if name in _NUMBERS}
    whole = texts.filter(arrays.from_mask(matched))
    tee = arrays.to_mask(pc.match_substring_regex(whole, "[0-9][Tt][0-9]"))
    return Fields(matched, numbers, _moments(by_field, pattern), by_field, tee)


def _month(name: str) -> int:
    return MONTHS.index(name[:3].lower()) + 1 if name else 0


def _zone(text: str) -> int:
    if not text:
        return _NO_ZONE
    minutes = zone_minutes(text)
    return _BAD_ZONE if minutes is None else minutes


def _digits(texts: pa.StringArray, left: int = 0) -> Integers:
    """Return texts of digits as numbers, the empty text as 0.

    Args:
        texts: Digits, at most nine, without nulls.
        left: Read this many digits from the left, as if zeros followed; 0 for all there are.
    """
    offsets_buffer, data_buffer = texts.buffers()[1:3]
    offsets = np.frombuffer(offsets_buffer, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    numbers = np.zeros(len(texts), np.int64)
    if data_buffer is None or not data_buffer.size:
        return numbers
    data = np.frombuffer(data_buffer, np.uint8)
    starts, lengths = offsets[:-1], offsets[1:] - offsets[:-1]
    for position in range(left or int(lengths.max(initial=0))):
        here = position < lengths
        digit = data[np.minimum(starts + position, data.size - 1)].astype(np.int64) - ord("0")
        numbers = np.where(here, numbers * 10 + digit, numbers * 10 if left else numbers)
    return numbers


def _days_in(year: Any, month: Any) -> Any:
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    return _MONTH_DAYS[month - 1] + (leap & (month == 2))


_MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def days_from_civil(year: Any, month: Any, day: Any) -> Any:
    """Return the days since 1970-01-01, for numbers or arrays.

    Days count from 1 March 0000, which makes the leap day the last day of a year. Month m of such
    a year starts on day (153 m + 2) / 5. Source: H. Hinnant, "chrono-Compatible Low-Level Date
    Algorithms".

    Example:
        >>> days_from_civil(1970, 3, 1)
        59
    """
    year = year - (month <= 2)
    era, of_era = year // 400, year % 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
