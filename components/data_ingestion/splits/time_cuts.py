"""The times at which splits begin: exact, with bounded memory.

Times are counted; where there are too many distinct ones, in bins that each hold a range. Those
that the cuts lie in are then read again, and counted by narrower bins, until each cut is a time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.folds.number_counts import Bin, NumberCounts
from kfp_tabular.components.data_ingestion.splits import split_names, split_times

MOST_TIMES = 1 << 19
"""So many distinct times are counted one by one, in 8 MB. With more, times are read again."""

_INFINITE = (-np.inf, np.inf)


@dataclass(frozen=True)
class CountedTimes:
    """How many rows there are at which times.

    Attributes:
        finite: The counts, perhaps by bins.
        infinite: The rows at minus infinity and at infinity.
    """

    finite: NumberCounts
    infinite: tuple[int, int]

    @property
    def rows(self) -> int:
        """The rows with a time."""
        return self.finite.rows + sum(self.infinite)


class TimeCounts:
    """Counts the times of a column, or those in some ranges.

    Args:
        column: The column, for messages.
        time_format: The format of text, as for `split_times.time_keys`.
        ranges: The ranges; none for all times.
        most: How many distinct times are counted one by one.

    Example:
        >>> times = TimeCounts("at", "")
        >>> times.add(pa.array([4, 1, 3, 2, None]))
        >>> times.result().finite.values().tolist()
        [1.0, 2.0, 3.0, 4.0]
    """

    def __init__(
        self,
        column: str,
        time_format: str,
        ranges: Sequence[Bin] = (),
        most: int = MOST_TIMES,
    ) -> None:
        self._column, self._time_format = column, time_format
        self._ranges, self._most = ranges, most
        self._finite = NumberCounts(most)
        self._infinite = [0, 0]

    def add(self, batch: pa.Array) -> None:
        """Add the values of a block."""
        times = split_times.time_keys(batch, self._column, self._time_format)
        if self._ranges:
            times = times[_inside(times, self._ranges)]
        for at, time in enumerate(_INFINITE):
            self._infinite[at] += int(np.count_nonzero(times == time))
        self._finite.add(pa.array(times[np.isfinite(times)]))

    def merge(self, other: "TimeCounts") -> None:
        """Add the times of other blocks."""
        self._finite.merge(other._finite)
        self._infinite = [
            mine + more for mine, more in zip(self._infinite, other._infinite, strict=True)
        ]

    def state(self) -> bytes:
        """Return the counts so far."""
        return states.pack({"finite": self._finite.state(), "infinite": self._infinite})

    def from_state(self, state: bytes) -> "TimeCounts":
        """Return a fold of the same times with a state."""
        found = TimeCounts(self._column, self._time_format, self._ranges, self._most)
        parts = states.unpack(state)
        found._finite = self._finite.from_state(parts["finite"])
        found._infinite = parts["infinite"]
        return found

    def result(self) -> CountedTimes:
        """Return the counts."""
        return CountedTimes(self._finite.result(), (self._infinite[0], self._infinite[1]))


def time_cuts(
    count: Callable[[Sequence[Bin]], CountedTimes], shares: Sequence[float]
) -> list[float]:
    """Return the earliest time of each split but the first; none where no row has a time.

    Args:
        count: Reads all rows, and counts times: all, or those in the ranges that it is given.
        shares: The shares of the splits, earliest split first.

    Returns:
        For each split but the first, the time at its rank. Rows of the same time stay together, in
        the later split.

    Example:
        >>> def count(ranges):
        ...     times = TimeCounts("at", "", ranges, most=2)
        ...     times.add(pa.array([4, 1, 3, 2, None]))
        ...     return times.result()
        >>> time_cuts(count, [0.5, 0.5])
        [3.0]
    """
    found = count(())
    rows = found.rows
    if not rows:
        return []
    ranks = [min(int(limit * rows), rows - 1) for limit in split_names.limits(shares)[:-1]]
    first, last = found.infinite[0], rows - found.infinite[1]
    cuts = {rank: -np.inf if rank < first else np.inf for rank in ranks if not first <= rank < last}
    ranges = {rank: Bin(-np.inf, np.inf, first) for rank in ranks if rank not in cuts}
    while ranges:
        for rank, each in ranges.items():
            ranges[rank] = _narrowed(each, rank, found.finite)
        cuts |= {rank: each.low for rank, each in ranges.items() if each.low == each.high}
        ranges = {rank: each for rank, each in ranges.items() if rank not in cuts}
        if ranges:
            found = count(sorted(set(ranges.values()), key=lambda each: each.low))
    return [float(cuts[rank]) for rank in ranks]


def _narrowed(outer: Bin, rank: int, found: NumberCounts) -> Bin:
    """Return the bin of the time at a rank of all rows, which is in a wider one."""
    earlier = found.below(outer.low)
    held = found.bin_at(earlier + rank - outer.before)
    return replace(held, before=outer.before + held.before - earlier)


def _inside(times: "np.ndarray[Any, np.dtype[np.float64]]", ranges: Sequence[Bin]) -> Any:
    inside = np.zeros(len(times), np.bool_)
    for each in ranges:
        inside |= (times >= each.low) & (times <= each.high)
    return inside
