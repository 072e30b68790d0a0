"""TensorFlow operations that read points in time and take them apart."""

from typing import Any

from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.feature_engineering.features.feature_config import CalendarPart
from kfp_tabular.components.feature_engineering.features.timestamp_formats import TextFormat

_PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_DAY = 86_400
_YEAR_2000 = 10_957 * _DAY
_YEAR = 365.25 * _DAY
_MOST_YEARS = 1_000.0  # Bounds the effect of an absurd time on a prediction.


def from_text(text: Any, written: TextFormat) -> tuple[Any, Any]:
    """Read points in time from text.

    Args:
        text: string, any shape.
        written: The format of the text.

    Returns:
        Seconds since 1970-01-01 00:00 (int64), in UTC if the text names a zone and as written
        otherwise, and which of them are valid (bool); both in the shape of the text. Text that
        does not match the format or is not a calendar date is not valid.

    Example:
        >>> from kfp_tabular.components.feature_engineering.features import timestamp_formats
        >>> texts = import_tensorflow().constant(["02/01/1970", "30/02/1970"])
        >>> seconds, valid = from_text(texts, timestamp_formats.read_format("%d/%m/%Y"))
        >>> int(seconds[0]), valid.numpy().tolist()
        (86400, [True, False])
    """
    tf = import_tensorflow()
    matches = tf.strings.regex_full_match(text, written.pattern)

    # A valid default keeps every conversion below from failing.
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
    # 30 February converts back to 1 or 2 March.
    valid &= _civil_from_days(tf, days)[1] == month
    seconds = days * _DAY + hour * 3600 + minute * 60 + second
    if "z" in written.groups:
        seconds -= _offset(tf, group("z", "Z"))
    return seconds, valid


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
    return numbers // _PER_SECOND[unit]


def parts(seconds: Any, wanted: tuple[CalendarPart, ...]) -> dict[CalendarPart, Any]:
    """Take points in time apart.

    Args:
        seconds: Seconds since 1970-01-01 00:00, int64, any shape.
        wanted: The parts to return.

    Returns:
        By part, ids from 0 as int64 (weekday 0 is Monday; months and days count from 0). For
        `elapsed`, the years since 2000-01-01 as float32, clipped to 1000 either way.

    Example:
        >>> found = parts(import_tensorflow().constant([0], "int64"), ("weekday", "hour"))
        >>> {part: int(ids[0]) for part, ids in found.items()}
        {'weekday': 3, 'hour': 0}
    """
    tf = import_tensorflow()
    days, clock = seconds // _DAY, seconds % _DAY
    _, month, day = _civil_from_days(tf, days)
    elapsed = (tf.cast(seconds, tf.float64) - _YEAR_2000) / _YEAR
    found: dict[CalendarPart, Any] = {
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


# Days count from 1 March 0000, which makes the leap day the last day of a year. Month m of such a
# year starts on day (153 m + 2) / 5. Source: H. Hinnant, "chrono-Compatible Low-Level Date
# Algorithms".
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
