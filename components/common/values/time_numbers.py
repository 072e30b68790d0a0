"""Recognizes points in time in whole numbers: counts since 1970, and dates such as 20231231.

The values decide, together with the column's name. A name such as `created_at` is a hint that lets
counts from 1990 to 2100 pass. Without one, they must lie from 2000 to 2035, span at least a day,
and not be a dense sequence, as identifiers are. Dates in digits need no name: of random numbers of
eight digits in the range, one in 27 is a date.
"""

import math
import re
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.arrays import Integers
from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.common.values.time_evidence import TimeDecision, TimeEvidence
from kfp_tabular.components.common.values.time_text import PER_SECOND

NEARLY_ALL = 0.95
"""The share of the numbers that must be dates for the others to be odd."""

_TIME_WORD = re.compile(
    r"(^|[^a-z])(t|ts|epoch|at|when|created|updated|modified|ordered|started|ended|birth|dob"
    r"|times?|timestamps?|datetime|dates?)([^a-z]|$)"
)
_NAMED = (631_152_000, 4_102_444_800)  # 1990 and 2100 in seconds since 1970
_UNNAMED = (946_684_800, 2_051_222_400)  # 2000 and 2035
_DAY = 86_400
_FEWEST = 10
_DIGITS = (
    (19_000_101, 21_001_231),
    (190_001_010_000, 210_012_312_359),
    (19_000_101_000_000, 21_001_231_235_959),
)


@dataclass
class TimeNumbers:
    """Counts of what the whole numbers of a column fit, which merge in any order.

    Attributes:
        rows: Rows with a value.
        sentinels: Rows by 0 and -1, which often stand for missing, if any number is large.
        low: The smallest number other than those.
        high: The largest number.
        digits: What the numbers in the range of dates in digits show, read as text.

    Example:
        >>> numbers = pa.array([20230101 + day for day in range(28)])
        >>> days = TimeNumbers.of(numbers, counts=None, bounds=(20230101, 20230128))
        >>> days.decide("d").format
        TimeFormat(formats=('%Y%m%d',), unit='', canonical='%Y-%m-%d')
    """

    rows: int = 0
    sentinels: dict[int, int] = field(default_factory=dict)
    low: float = math.inf
    high: float = -math.inf
    digits: TimeEvidence = field(default_factory=TimeEvidence)

    @classmethod
    def of(
        cls, values: pa.Array, counts: Integers | None, bounds: tuple[int, int] | None
    ) -> "TimeNumbers":
        """Return the evidence of some `int64` values; costs little where all are small.

        Args:
            values: The numbers.
            counts: The rows of each; None for one row each.
            bounds: What `arrays.bounds` returns for the values.
        """
        found = cls()
        if bounds is None:
            return found
        low, high = bounds
        found.rows = len(values) - values.null_count if counts is None else int(counts.sum())
        if low > 0 and high < _DIGITS[0][0]:
            found.low, found.high = low, high
            return found
        plain = arrays.to_integers(values)
        weights = np.ones(len(plain), np.int64) if counts is None else counts
        if values.null_count:
            there = arrays.to_valid(values)
            plain, weights = plain[there], weights[there]
        usual = np.ones(len(plain), np.bool_)
        if low <= 0:
            for sentinel in (0, -1):
                here = plain == sentinel
                rows = int(weights[here].sum())
                if rows:
                    found.sentinels[sentinel] = rows
                    usual &= ~here
            plain, weights = plain[usual], weights[usual]
        if not plain.size:
            return found
        found.low, found.high = int(plain.min()), int(plain.max())
        within = np.zeros(len(plain), np.bool_)
        for first, last in _DIGITS:
            if found.high >= first:
                within |= (plain >= first) & (plain <= last)
        if within.any():
            distinct, places = np.unique(plain[within], return_inverse=True)
            texts = pc.cast(arrays.from_integers(distinct), pa.string())
            totals = np.bincount(places, weights[within]).astype(np.int64)
            found.digits = TimeEvidence.of(texts, totals)
        return found

    def merge(self, other: "TimeNumbers") -> None:
        """Add the evidence of other rows of the column."""
        self.rows += other.rows
        for sentinel, rows in other.sentinels.items():
            self.sentinels[sentinel] = self.sentinels.get(sentinel, 0) + rows
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.digits.merge(other.digits)

    def decide(self, name: str) -> TimeDecision | None:
        """Return how the times are written; None where the numbers are no times.

        Args:
            name: The column's name.
        """
        sentinels = sum(self.sentinels.values())
        counted = self.rows - sentinels
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
        named = bool(_TIME_WORD.search(words))
        if counted < (1 if named else _FEWEST) or counted < NEARLY_ALL * self.rows:
            return None
        odd = tuple((str(number), rows) for number, rows in sorted(self.sentinels.items()))
        if self.digits.dates >= NEARLY_ALL * counted:
            found = self.digits.decide()
            return TimeDecision(
                found.format,
                self.rows,
                found.fits,
                found.dates,
                (*found.odd, *odd),
                notes=("dates in digits, not numbers",),
            )
        unit = self._unit(named)
        if not unit:
            return None
        return TimeDecision(
            TimeFormat(unit=unit),
            self.rows,
            counted,
            counted,
            odd,
            notes=(f"{unit} since 1970, not numbers",),
        )

    def _unit(self, named: bool) -> str:
        earliest, latest = _NAMED if named else _UNNAMED
        for unit, per_second in PER_SECOND.items():
            if earliest * per_second <= self.low and self.high <= latest * per_second:
                span = self.high - self.low
                spread = span >= _DAY * per_second and span >= 2 * self.rows
                return unit if named or spread else ""
        return ""
