"""Points in time: how they are written, and how a graph reads them.

`read_format` and `unit_seconds` are pure; `from_text` and `from_numbers` build TensorFlow graph.
"""

import re
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.feature_engineering.features.feature_config import Part

SIZES: dict[Part, int] = {"month": 12, "day": 31, "weekday": 7, "hour": 24, "minute": 60}
"""The number of ids of each calendar part; `elapsed` is a number and has none."""

UNITS = {
    "days": 86_400.0,
    "seconds": 1.0,
    "milliseconds": 1e-3,
    "microseconds": 1e-6,
    "nanoseconds": 1e-9,
}
"""Seconds per unit of a whole number that counts from 1970-01-01 00:00 UTC."""

_PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_DAY = 86_400
_YEAR_2000 = 10_957 * _DAY
_YEAR = 365.25 * _DAY
_MOST_YEARS = 1_000.0  # A wild number is no reason for a wild prediction.

_SHORTHANDS = {"%T": "%H:%M:%S", "%F": "%Y-%m-%d", "%R": "%H:%M", "%D": "%m/%d/%y"}
_FIELDS = {
    "Y": r"([0-9]{4})",
    "y": r"([0-9]{2})",
    "m": r"([0-9]{1,2})",
    "d": r"([0-9]{1,2})",
    "H": r"([0-9]{1,2})",
    "M": r"([0-9]{1,2})",
    "S": r"([0-9]{1,2})",
    "z": r"(Z|[+-][0-9]{2}:?[0-9]{2})",
}
_SECONDS_WITH_FRACTION = r"([0-9]{1,2})(?:\.[0-9]{1,9})?"


@dataclass(frozen=True)
class TextFormat:
    """A way to write a point in time, for RE2.

    Attributes:
        pattern: Matches the whole text, with a group per field.
        groups: The number of the group that holds a field (`Y y m d H M S z`).
    """

    pattern: str
    groups: dict[str, int]

    @property
    def has_clock(self) -> bool:
        """Whether the time of day is written."""
        return "H" in self.groups

    def fits(self, text: str) -> bool:
        """Tells whether a text is written so."""
        return re.search(self.pattern, text) is not None


def read_format(written: str) -> TextFormat | None:
    """Reads a `strptime` format.

    Args:
        written: Of the directives, `%Y %y %m %d %H %M %S %f %z %%` and the shorthands
            `%F %T %R %D` are understood. Fractions of a second (`.%f`) may be absent from the
            text, and are not used.

    Returns:
        None where there is another directive, or no year, month or day.
    """
    for shorthand, meaning in _SHORTHANDS.items():
        written = written.replace(shorthand, meaning)
    groups: dict[str, int] = {}
    pattern, position = "^", 0
    while position < len(written):
        rest = written[position:]
        if rest.startswith("%S.%f"):
            pattern += _SECONDS_WITH_FRACTION
            groups["S"] = len(groups) + 1
            position += 5
        elif rest.startswith("%%"):
            pattern += "%"
            position += 2
        elif rest[0] == "%":
            directive = rest[1:2]
            if directive not in _FIELDS or directive in groups:
                return None
            pattern += _FIELDS[directive]
            groups[directive] = len(groups) + 1
            position += 2
        else:
            pattern += re.escape(rest[0])
            position += 1
    if not {"m", "d"} <= set(groups) or ("Y" in groups) == ("y" in groups):
        return None
    return TextFormat(pattern + "$", groups)


def from_text(text: Any, written: TextFormat) -> tuple[Any, Any]:
    """Reads points in time from text.

    Args:
        text: string, any shape.
        written: How they are written.

    Returns:
        Seconds since 1970-01-01 00:00, in UTC where the text names a zone and as written
        otherwise (int64), and which of them are valid (bool); both of the text's shape. What does
        not match, or is no date of the calendar, is not valid.
    """
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow

    tf = import_tensorflow()
    matches = tf.strings.regex_full_match(text, written.pattern)

    # One safe text keeps every conversion below from failing.
    def group(name: str, default: str) -> Any:
        if name not in written.groups:
            return tf.fill(tf.shape(text), default)
        found = tf.strings.regex_replace(text, written.pattern, f"\\{written.groups[name]}")
        return tf.where(matches, found, default)

    def number(name: str, default: str) -> Any:
        if name not in written.groups:
            return tf.fill(tf.shape(text), tf.constant(int(default), tf.int64))
        return tf.strings.to_number(group(name, default), tf.int64)

    if "Y" in written.groups:
        year = number("Y", "1970")
    else:
        short = number("y", "70")
        year = tf.where(short < 69, 2000 + short, 1900 + short)  # As strptime does.
    month, day = number("m", "1"), number("d", "1")
    hour, minute, second = number("H", "0"), number("M", "0"), number("S", "0")
    valid = matches & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    valid &= (hour < 24) & (minute < 60) & (second <= 60)
    days = _days_from_civil(tf, year, month, day)
    # 30 February comes back as 1 or 2 March.
    valid &= _civil_from_days(tf, days)[1] == month
    seconds = days * _DAY + hour * 3600 + minute * 60 + second
    if "z" in written.groups:
        seconds -= _offset(tf, group("z", "Z"))
    return seconds, valid


def from_numbers(numbers: Any, unit: str) -> Any:
    """Gives seconds since 1970 (int64) for whole numbers in one of `UNITS`.

    Args:
        numbers: int64, any shape.
        unit: What they count.
    """
    if unit == "days":
        return numbers * _DAY
    return numbers // _PER_SECOND[unit]


def parts(seconds: Any, wanted: tuple[Part, ...]) -> dict[Part, Any]:
    """Takes points in time apart.

    Args:
        seconds: Since 1970-01-01 00:00, int64, any shape.
        wanted: Which parts.

    Returns:
        By part, ids from 0 as int64 (Monday is weekday 0; months and days count from 0), and for
        `elapsed` the years since 2000-01-01 as float32, at most a thousand either way.
    """
    from kfp_tabular.components.common.process.tensorflow import import_tensorflow

    tf = import_tensorflow()
    days, clock = seconds // _DAY, seconds % _DAY
    _, month, day = _civil_from_days(tf, days)
    elapsed = (tf.cast(seconds, tf.float64) - _YEAR_2000) / _YEAR
    found: dict[Part, Any] = {
        "month": month - 1,
        "day": day - 1,
        "weekday": (days + 3) % 7,  # 1970-01-01 was a Thursday.
        "hour": clock // 3600,
        "minute": clock // 60 % 60,
        "elapsed": tf.cast(tf.clip_by_value(elapsed, -_MOST_YEARS, _MOST_YEARS), tf.float32),
    }
    return {part: found[part] for part in wanted}


def _offset(tf: Any, zone: Any) -> Any:
    zone = tf.where(zone == "Z", "+0000", tf.strings.regex_replace(zone, ":", ""))
    hours = tf.strings.to_number(tf.strings.substr(zone, 1, 2), tf.int64)
    minutes = tf.strings.to_number(tf.strings.substr(zone, 3, 2), tf.int64)
    east = hours * 3600 + minutes * 60
    return tf.where(tf.strings.substr(zone, 0, 1) == "-", -east, east)


# The calendar is counted from 1 March 0000, so that the leap day is a year's last. The month's
# position in such a year follows from its first day by (153 m + 2) / 5. Source: H. Hinnant,
# "chrono-Compatible Low-Level Date Algorithms".
def _days_from_civil(tf: Any, year: Any, month: Any, day: Any) -> Any:
    year = year - tf.cast(month <= 2, tf.int64)
    era, of_era = year // 400, year % 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def _civil_from_days(tf: Any, days: Any) -> tuple[Any, Any, Any]:
    days = days + 719_468
    era, of_era = days // 146_097, days % 146_097
    years = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * years + years // 4 - years // 100)
    shifted = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted + 2) // 5 + 1
    month = tf.where(shifted < 10, shifted + 3, shifted - 9)
    return years + era * 400 + tf.cast(month <= 2, tf.int64), month, day
