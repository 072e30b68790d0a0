"""Numbers of equal rows, told apart by their hashes."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.common.values.hashes import Hashes, mix


@dataclass(frozen=True)
class RowCounts:
    """Numbers of rows that `RowNumbers` takes for equal.

    Attributes:
        slots: The first bits of their hash, ascending.
        counts: The number of rows with each.
    """

    slots: "np.ndarray[Any, np.dtype[np.int64]]"
    counts: "np.ndarray[Any, np.dtype[np.int64]]"


class RowNumbers:
    """Numbers equal rows 0, 1, 2, ... in the order in which they come.

    Rows are told apart by the first bits of their hash, so memory is bounded: beyond a million
    distinct rows, some share their numbers.

    Args:
        before: How many rows came before, of those that will come.

    Example:
        >>> numbers = RowNumbers()
        >>> cash, card = np.uint64(1 << 63), np.uint64(1 << 62)
        >>> numbers.of(np.array([cash, card, cash])).tolist(), numbers.of(np.array([cash])).tolist()
        ([0, 0, 1], [2])
    """

    _BITS = 20

    def __init__(self, before: "RowCounts | None" = None) -> None:
        self._seen = np.zeros(1 << self._BITS, np.int64)
        if before is not None:
            self._seen[before.slots] = before.counts

    def count(self, hashes: Hashes) -> None:
        """Count rows without numbering them."""
        slots = hashes >> np.uint64(64 - self._BITS)
        self._seen += np.bincount(slots.astype(np.int64), minlength=len(self._seen))

    def counts(self) -> "RowCounts":
        """Return the rows so far."""
        slots = np.flatnonzero(self._seen)
        return RowCounts(slots, self._seen[slots])

    def after(self, counted: "RowCounts") -> "RowCounts":
        """Add rows, and return how many there were before of those only."""
        before = RowCounts(counted.slots, self._seen[counted.slots])
        self._seen[counted.slots] += counted.counts
        return before

    def of(self, hashes: Hashes) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Return the number of each row among the equal ones so far, shape `[rows]`."""
        slots = (hashes >> np.uint64(64 - self._BITS)).astype(np.int64)
        order = np.argsort(slots, kind="stable")
        ordered = slots[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        counts = np.diff(starts, append=len(slots))
        numbers = np.empty(len(slots), np.int64)
        numbers[order] = np.arange(len(slots)) - np.repeat(starts, counts)
        numbers += self._seen[slots]
        self._seen[ordered[starts]] += counts
        return numbers

    def tell_apart(self, hashes: Hashes) -> Hashes:
        """Return hashes of rows that depend on their numbers, too."""
        return mix(hashes ^ mix(self.of(hashes).astype(np.uint64)))
