"""How often which whole numbers occur, or bins of them where there are too many.

This follows `processing.folds.number_counts`: where there are more distinct numbers than a limit,
low bits are dropped from all of them until there are not. A part of the rows never needs fewer bits
than all rows, so the bins depend on the rows alone, and not on which came first.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.statistics.bootstrap import Ints

_PENDING = 1 << 20  # codes that wait to be counted
_DENSE = 1 << 20


class CodeCounts:
    """Counts codes: whole numbers from 0, of which the low bits can be dropped.

    Args:
        most: The most distinct codes; there may be more if the high bits alone have more values.
        low_bits: How many bits can be dropped.

    Attributes:
        dropped: How many bits are dropped; 0 if each code is counted by itself.

    Example:
        >>> counts = CodeCounts(most=2, low_bits=8)
        >>> counts.add(np.array([7, 4, 4, 5]))
        >>> codes, rows = counts.result().between(0, 8)
        >>> codes.tolist(), rows.tolist(), counts.dropped
        ([4, 6], [3, 1], 1)
    """

    def __init__(self, most: int, low_bits: int) -> None:
        self._most, self._low_bits = most, low_bits
        self.dropped = 0
        self._codes: Ints = np.empty(0, np.int64)
        self._rows: Ints = np.empty(0, np.int64)
        self._raw: list[Ints] = []
        self._counted: list[tuple[Ints, Ints]] = []
        self._pending = 0

    def add(self, batch: Ints) -> None:
        """Add the code of each row."""
        self._raw.append(batch)
        self._wait(len(batch))

    def merge(self, other: "CodeCounts") -> None:
        """Add what another accumulator has seen."""
        self.dropped = max(self.dropped, other.dropped)
        self._raw += other._raw
        self._counted += [(other._codes, other._rows), *other._counted]
        self._wait(other._pending + len(other._codes))

    def state(self) -> bytes:
        """Return the state as bytes."""
        self._compact()
        return states.pack({"dropped": self.dropped, "codes": self._codes, "rows": self._rows})

    def from_state(self, state: bytes) -> "CodeCounts":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = CodeCounts(self._most, self._low_bits)
        found.dropped = parts["dropped"]
        found._codes, found._rows = parts["codes"], parts["rows"]
        return found

    def result(self) -> "CodeCounts":
        """Return the counts."""
        self._compact()
        return self

    def between(self, start: int, stop: int) -> tuple[Ints, Ints]:
        """Return the codes from a first one to below another, ascending, with their rows.

        A code stands for those that differ in dropped bits; it is the lowest of them.
        """
        self._compact()
        low, high = np.searchsorted(self._codes, [start, stop])
        return self._codes[low:high], self._rows[low:high]

    def _wait(self, rows: int) -> None:
        self._pending += rows
        if self._pending > max(_PENDING, len(self._codes)):
            self._compact()

    def _compact(self) -> None:
        if not self._pending:
            return
        mask = ~np.int64((1 << self.dropped) - 1)
        runs = [(codes & mask, rows) for codes, rows in (*self._counted, (self._codes, self._rows))]
        if self._raw:
            codes = np.concatenate(self._raw) & mask
            # Sorting numbers is several times faster than sorting their places.
            codes.sort()
            starts = _starts(codes)
            runs.append((codes[starts], np.diff(starts, append=len(codes))))
        self._raw, self._counted, self._pending = [], [], 0
        self._codes, self._rows = _summed(runs)
        if len(self._codes) > self._most:
            left = self._low_bits - self.dropped
            self.dropped += _bits_to_drop(self._codes >> self.dropped, self._most, left)
            mask = ~np.int64((1 << self.dropped) - 1)
            self._codes, self._rows = _summed([(self._codes & mask, self._rows)])


class PlaceCounts:
    """Counts at places of an array, which is not made while few of many places are used.

    Args:
        size: The number of places.

    Example:
        >>> counts = PlaceCounts(size=1_000_000_000)
        >>> counts.add(np.array([7, 9, 7]))
        >>> counts.result().between(5, 10).tolist()
        [0, 0, 2, 0, 1]
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._dense = np.zeros(size, np.int64) if size <= _DENSE else None
        self._sparse = CodeCounts(size, 0)

    def add(self, batch: Ints) -> None:
        """Add 1 at each of some places."""
        if self._dense is None:
            self._sparse.add(batch)
        else:
            np.add.at(self._dense, batch, 1)

    def merge(self, other: "PlaceCounts") -> None:
        """Add what another accumulator has seen."""
        if self._dense is not None and other._dense is not None:
            self._dense += other._dense
        self._sparse.merge(other._sparse)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return self._sparse.state() if self._dense is None else states.pack({"rows": self._dense})

    def from_state(self, state: bytes) -> "PlaceCounts":
        """Return an accumulator with a state."""
        found = PlaceCounts(self._size)
        if self._dense is None:
            found._sparse = self._sparse.from_state(state)
        else:
            found._dense = states.unpack(state)["rows"]
        return found

    def result(self) -> "PlaceCounts":
        """Return the counts."""
        return self

    def between(self, start: int, stop: int) -> Ints:
        """Return the counts at the places from a first one to below another."""
        if self._dense is not None:
            return self._dense[start:stop]
        codes, rows = self._sparse.between(start, stop)
        found = np.zeros(stop - start, np.int64)
        found[codes - start] = rows
        return found


def _starts(codes: Ints) -> npt.NDArray[Any]:
    """Return where each run of equal codes starts."""
    if not len(codes):
        return np.empty(0, np.int64)
    return np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))


def _summed(runs: list[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    """Return the distinct codes of ascending runs, and the sum of the rows of each."""
    runs = [run for run in runs if len(run[0])]
    if not runs:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    codes, rows = (np.concatenate(columns) for columns in zip(*runs, strict=True))
    if len(runs) > 1:
        order = np.argsort(codes, kind="stable")  # which merges ascending runs
        codes, rows = codes[order], rows[order]
    starts = _starts(codes)
    return codes[starts], np.add.reduceat(rows, starts)


def _bits_to_drop(codes: Ints, most: int, low_bits: int) -> int:
    """Return the fewest bits to drop from ascending, distinct codes to leave at most `most`."""
    # Two neighbors become one where all bits are dropped in which they differ.
    lengths = np.frexp((codes[1:] ^ codes[:-1]).astype(np.float64))[1]
    remain = 1 + np.cumsum(np.bincount(lengths, minlength=65)[::-1])[::-1]
    enough = np.flatnonzero(remain[1 : low_bits + 1] <= most)
    return int(enough[0]) if len(enough) else low_bits
