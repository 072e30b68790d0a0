"""Parts of points in time, units of numbers, and the formats that a schema or the user names."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from kfp_tabular.components.common.values import time_fields
from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.common.values.time_patterns import (
    canonical_format,
    pattern_of,
    patterns_of,
)
from kfp_tabular.components.feature_engineering.features.feature_config import CalendarPart

SIZES: Mapping[str, int] = {
    "month": 12,
    "day": 31,
    "weekday": 7,
    "hour": 24,
    "minute": 60,
    "utc_hour": 24,
}
"""The number of ids of each part that has ids; the others are numbers."""

CYCLES: Mapping[CalendarPart, str] = {
    "hour_cycle": "hour",
    "weekday_cycle": "weekday",
    "month_cycle": "month",
    "year_cycle": "year",
}
"""The parts that become a sine and a cosine, with the first part of their columns' names."""

OF_CLOCK = ("hour", "minute", "utc_hour", "hour_cycle")
"""The parts that a date without a clock does not have."""

UNITS = {
    "days": 86_400.0,
    "seconds": 1.0,
    "milliseconds": 1e-3,
    "microseconds": 1e-6,
    "nanoseconds": 1e-9,
}
"""Seconds per unit of a whole number that counts from 1970-01-01 00:00 UTC."""

READABLE = 0.5
"""The share of texts that a format must fit for a column to be a timestamp."""


def time_format(written: str) -> TimeFormat | None:
    """Return a format as a schema or the user writes it; None where it cannot be read.

    Args:
        written: A `strptime` format, or one of `UNITS`.

    Example:
        >>> time_format("%d/%m/%Y %H:%M").canonical, time_format("seconds").unit
        ('%Y-%m-%d %H:%M:%S', 'seconds')
    """
    if written in UNITS:
        return TimeFormat(unit=written)
    if pattern_of(written) is None:
        return None
    return TimeFormat((written,), canonical=canonical_format([written]))


def share_of(texts: Sequence[str], given: TimeFormat) -> float:
    """Return the share of texts that have a format, from 0 to 1.

    Example:
        >>> share_of(["31/01/2024", "soon"], time_format("%d/%m/%Y"))
        0.5
    """
    if not texts:
        return 0.0
    found = time_fields.parse(pa.array(texts, pa.string()), patterns_of(given))
    return float(found.valid.mean())
