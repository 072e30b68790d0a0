"""Axes of time, with ticks at whole years, months, days, hours or minutes."""

from dataclasses import dataclass
from datetime import UTC, datetime

from kfp_tabular.components.common.html.charts.axes import Scale

FIRST, LAST = -62_135_596_800.0, 253_402_300_799.0
"""The first second of the year 1 and the last of the year 9999."""

_HOUR, _DAY = 3600, 86_400
_SECONDS = (1, 10, 60, 300, 900, 1800, *(_HOUR * n for n in (1, 3, 6, 12)), _DAY, 2 * _DAY)
_DAYS = (5, 10)  # of each month
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 6000)
_MONTH_SECONDS = 30.4 * _DAY


@dataclass(frozen=True)
class TimeScale(Scale):
    """A linear axis of seconds since 1970.

    Example:
        >>> year = TimeScale(low=1704067200, high=1735689600, start=0, end=100)
        >>> [written for _, written in year.ticks(4)]
        ['2024-01', '2024-07', '2025-01']
    """

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Return at most about `most` points in time, each with its label."""
        span = self.high - self.low
        for step in _SECONDS:
            if span <= step * most:
                return self._even(step, span)
        for days in _DAYS:
            if span <= days * _DAY * most:
                return self._within_months(days)
        for months in _MONTHS:
            if span <= months * _MONTH_SECONDS * most:
                return self._of_months(months)
        return self._of_months(12_000)

    def _even(self, step: int, span: float) -> list[tuple[float, str]]:
        first, last = -int(-self.low // step), int(self.high // step)
        form = "%H:%M:%S" if step < 60 else "%H:%M" if span <= _DAY else "%m-%d %H:%M"
        form = "%Y-%m-%d" if step >= _DAY else form
        return [
            (float(index * step), _moment(index * step).strftime(form))
            for index in range(first, last + 1)
        ]

    def _within_months(self, days: int) -> list[tuple[float, str]]:
        ticks = []
        for month in self._months():
            for day in range(1, 30, days):
                at = month.replace(day=day).timestamp() if day < 29 else None
                if at is not None and self.low <= at <= self.high:
                    ticks.append((at, _moment(at).strftime("%Y-%m-%d")))
        return ticks

    def _of_months(self, months: int) -> list[tuple[float, str]]:
        form = "%Y" if months >= 12 else "%Y-%m"
        return [
            (month.timestamp(), f"{month.year:04}" if form == "%Y" else month.strftime(form))
            for month in self._months()
            if (month.year * 12 + month.month - 1) % months == 0
            and self.low <= month.timestamp() <= self.high
        ]

    def _months(self) -> list[datetime]:
        first, last = _moment(self.low), _moment(self.high)
        counts = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
        return [datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC) for count in counts]


def written(seconds: float) -> str:
    """Return a point in time for readers, without the time of day at midnight.

    Args:
        seconds: Seconds since 1970.

    Example:
        >>> written(1704067200), written(1704067200 + 5400)
        ('2024-01-01', '2024-01-01 01:30')
    """
    moment = _moment(round(seconds))
    day = f"{moment.year:04}-{moment:%m-%d}"
    if not round(seconds) % _DAY:
        return day
    return f"{day} {moment:%H:%M}" if not round(seconds) % 60 else f"{day} {moment:%H:%M:%S}"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, FIRST), LAST), UTC)
