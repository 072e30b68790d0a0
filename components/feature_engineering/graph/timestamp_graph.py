"""TensorFlow operations that read points in time and take them apart."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.values import time_fields
from kfp_tabular.components.common.values.time_patterns import MONTHS, ZONE_NAMES, TimePattern
from kfp_tabular.components.common.values.time_text import PER_SECOND

_DAY = 86_400
_YEAR_2000 = 10_957 * _DAY
_YEAR = 365.25 * _DAY
_MOST_YEARS = 1_000.0  # Bounds the effect of an absurd time on a prediction.
_FIELDS = "YymbdHMSpz"


def from_text(text: Any, patterns: Sequence[TimePattern]) -> tuple[Any, Any, Any]:
    """Read points in time from text, by the rules of `time_fields`.

    Args:
        text: string, of shape `[batch]`.
        patterns: The patterns, in the order they are tried.

    Returns:
        Seconds since 1970-01-01 00:00 on the clock as written (int64), the minutes of that clock
        east of UTC (int64, 0 where the text names no zone), and which texts are points in time
        (bool); each of shape `[batch]`.

    Example:
        >>> from kfp_tabular.components.common.values.time_patterns import FORMS
        >>> texts = import_tensorflow().constant(["02/01/1970 01:00 +01:00", "30/02/1970"])
        >>> seconds, offsets, valid = from_text(texts, [FORMS["%d/%m/%Y"]])
        >>> int(seconds[0]), int(offsets[0]), valid.numpy().tolist()
        (90000, 60, [True, False])
    """
    tf = import_tensorflow()
    fields = _fields(tf, text, patterns)

    def number(field: str) -> Any:
        digits = fields[field]
        return tf.strings.to_number(tf.where(digits == "", "0", digits), tf.int64)

    used = {field for pattern in patterns for field in pattern.fields}
    year, month, day = number("Y"), number("m"), number("d")
    if "y" in used:
        short = number("y")
        two_digits = tf.where(short < 69, 2000 + short, 1900 + short)  # As strptime does.
        year = tf.where(fields["y"] == "", year, two_digits)
    if "b" in used:
        named = tf.strings.lower(tf.strings.substr(fields["b"], 0, 3))
        place = tf.argmax(named[:, tf.newaxis] == tf.constant(MONTHS), axis=1, output_type=tf.int64)
        month = tf.where(fields["b"] == "", month, place + 1)
    hour, minute, second = number("H"), number("M"), number("S")
    half = tf.strings.lower(fields["p"])
    twelve = half != ""
    valid = ~twelve | ((hour >= 1) & (hour <= 12))
    hour = tf.where(twelve, hour % 12 + 12 * tf.cast(half == "p", tf.int64), hour)
    offset, exists = _offset(tf, fields["z"])
    valid &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    valid &= (hour <= 23) & (minute <= 59) & (second <= 60) & exists
    days = _days_from_civil(tf, year, month, day)
    # 30 February converts back to 1 or 2 March.
    valid &= _civil_from_days(tf, days)[1] == month
    seconds = days * _DAY + hour * 3600 + minute * 60 + tf.minimum(second, 59)
    instant = seconds - offset * 60
    valid &= (instant >= time_fields.FIRST_SECOND) & (instant <= time_fields.LAST_SECOND)
    return tf.where(valid, seconds, 0), tf.where(valid, offset, 0), valid


def from_numbers(numbers: Any, unit: str) -> Any:
    """Return seconds since 1970 (int64) for whole numbers in a unit.

    Args:
        numbers: int64, any shape.
        unit: One of `timestamp_formats.UNITS`.

    Example:
        >>> from_numbers(import_tensorflow().constant([1, 365], "int64"), "days").numpy().tolist()
        [86400, 31536000]
    """
    if unit == "days":
        return numbers * _DAY
    return numbers // PER_SECOND[unit]


def parts(seconds: Any, wanted: Sequence[str], instants: Any = None) -> dict[str, Any]:
    """Take points in time apart.

    Args:
        seconds: Seconds since 1970-01-01 00:00, int64, any shape.
        wanted: The parts to return.
        instants: The same in UTC, for `utc_hour`; the seconds by default.

    Returns:
        By part: ids from 0 as int64 (weekday 0 is Monday; months and days count from 0); for
        `hour_sin`, `hour_cos` and so on, the position in its cycle as float32; for `elapsed`, the
        years since 2000-01-01 as float32, clipped to 1000 either way.

    Example:
        >>> found = parts(import_tensorflow().constant([0], "int64"), ("weekday", "hour"))
        >>> {part: int(ids[0]) for part, ids in found.items()}
        {'weekday': 3, 'hour': 0}
    """
    tf = import_tensorflow()
    days, clock = seconds // _DAY, seconds % _DAY
    year, month, day = _civil_from_days(tf, days)
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday.
    elapsed = (tf.cast(seconds, tf.float64) - _YEAR_2000) / _YEAR
    found = {
        "month": month - 1,
        "day": day - 1,
        "weekday": weekday,
        "hour": clock // 3600,
        "minute": clock // 60 % 60,
        "utc_hour": (seconds if instants is None else instants) % _DAY // 3600,
        "elapsed": tf.cast(tf.clip_by_value(elapsed, -_MOST_YEARS, _MOST_YEARS), tf.float32),
    }
    of_year = days - _days_from_civil(tf, year, tf.ones_like(year), tf.ones_like(year))
    cycles = {
        "hour": (clock, _DAY),
        "weekday": (weekday, 7),
        "month": (month - 1, 12),
        "year": (of_year, 365.25),
    }
    for cycle, (position, period) in cycles.items():
        if f"{cycle}_sin" in wanted:
            angle = tf.cast(position, tf.float64) * (2 * math.pi / period)
            found[f"{cycle}_sin"] = tf.cast(tf.sin(angle), tf.float32)
            found[f"{cycle}_cos"] = tf.cast(tf.cos(angle), tf.float32)
    return {part: found[part] for part in wanted}


def is_holiday(seconds: Any, days: Sequence[int], yearly: Sequence[int]) -> Any:
    """Return which times are holidays, as bool.

    Args:
        seconds: Seconds since 1970-01-01 00:00, int64, of shape `[batch]`.
        days: Holidays, as days since 1970.
        yearly: Holidays of every year, as 100 times the month plus the day.

    Example:
        >>> christmas = import_tensorflow().constant([359 * 86400, 0], "int64")
        >>> is_holiday(christmas, [], [1226]).numpy().tolist()
        [True, False]
    """
    tf = import_tensorflow()
    numbers = seconds // _DAY
    _, month, day = _civil_from_days(tf, numbers)

    def among(values: Any, known: Sequence[int]) -> Any:
        equal = values[:, tf.newaxis] == tf.constant(known, tf.int64, [len(known)])
        return tf.reduce_any(equal, axis=1)

    return among(numbers, days) | among(100 * month + day, yearly)


def _fields(tf: Any, text: Any, patterns: Sequence[TimePattern]) -> dict[str, Any]:
    """Return the text of each field; empty where the text lacks it, or no pattern matches."""
    rest = text
    joined = tf.fill(tf.shape(text), "|" * (len(_FIELDS) - 1))
    for pattern in patterns:
        matches = tf.strings.regex_full_match(rest, pattern.regex)
        groups = {field: f"\\{place}" for place, field in enumerate(pattern.fields, 1)}
        order = "|".join(groups.get(field, "") for field in _FIELDS)
        found = tf.strings.regex_replace(rest, pattern.regex, order)
        joined = tf.where(matches, found, joined)
        rest = tf.where(matches, "", rest)
    separate = tf.strings.split(joined, "|").to_tensor(default_value="", shape=[None, len(_FIELDS)])
    return dict(zip(_FIELDS, tf.unstack(separate, len(_FIELDS), axis=1), strict=True))


def _offset(tf: Any, zone: Any) -> tuple[Any, Any]:
    """Return minutes east of UTC, and whether such a zone exists; see `zone_minutes`."""
    zone = tf.strings.lower(zone)
    by_minutes = defaultdict(list)
    for name, minutes in ZONE_NAMES.items():
        by_minutes[minutes].append(name)
    named = tf.zeros_like(zone, tf.int64)
    is_name = zone == ""
    for minutes, names in by_minutes.items():
        here = tf.reduce_any(zone[:, tf.newaxis] == tf.constant(names), axis=1)
        named = tf.where(here, tf.constant(minutes, tf.int64), named)
        is_name |= here
    signed = tf.strings.regex_replace(tf.where(is_name, "+0", zone), "utc|gmt|:", "")
    digits = tf.strings.substr(signed, 1, 4)
    # "+2" and "+02" are hours; "+230" and "+0230" end in minutes.
    digits = tf.where(tf.strings.length(digits) <= 2, tf.strings.join([digits, "00"]), digits)
    number = tf.strings.to_number(digits, tf.int64)
    hours, minutes = number // 100, number % 100
    east = hours * 60 + minutes
    east = tf.where(tf.strings.substr(signed, 0, 1) == "-", -east, east)
    exists = (hours <= 18) & (minutes <= 59)
    return tf.where(is_name, named, east), exists


# The algorithms of `time_fields.days_from_civil`, and back.
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
