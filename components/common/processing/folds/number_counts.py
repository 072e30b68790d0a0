"""How often which numbers occur, exactly for few distinct ones, and by narrow bins for many.

Quantiles, the median and histograms follow from it. Unlike those of a quantile sketch, they are a
function of the numbers alone: each number has a key that keeps the order, and where there are more
distinct keys than the limit, low bits are dropped from all keys until there are not. A part of the
numbers never needs fewer bits than all of them, so parts that are merged in any order end at the
same bits and the same counts.

The key of a float is its bits, which are spaced like its digits: a bin has a width in proportion to
its numbers. With 16,384 bins that is about a thousandth for numbers spread over several powers of
ten, and less for a narrow range.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.processing import state as states

MOST_BINS = 16_384

_LOWEST = np.int64(-(2**63))
_HIGHEST_FINITE = 0x7FEF_FFFF_FFFF_FFFF  # the key of the highest finite double
_LOWEST_FINITE = -_HIGHEST_FINITE
_PARTS = 4  # batches whose counts wait to be added up, as a multiple of the limit

Numbers = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bin:
    """Which numbers a bin holds.

    Attributes:
        low: The lowest number that it may hold.
        high: The highest.
        before: How many of the numbers that were added are below it.
    """

    low: float
    high: float
    before: int


class NumberCounts:
    """Counts numbers, by bins where there are many distinct ones. They must be finite.

    Args:
        most: The most bins.

    Attributes:
        dropped: How many bits are dropped from each key; -1 while keys are whole numbers as they
            are, which doubles beyond 2^53 are not.

    Example:
        >>> counts = NumberCounts()
        >>> counts.add(pa.array([2.5, 1.0, 2.5]))
        >>> counts.values().tolist(), counts.counts().tolist(), counts.are_exact
        ([1.0, 2.5], [1, 2], True)
    """

    def __init__(self, most: int = MOST_BINS) -> None:
        self._most = most
        self.dropped = 0
        self._keys: Ints = np.empty(0, np.int64)
        self._counts: Ints = np.empty(0, np.int64)
        self._waiting: list[tuple[Ints, Ints]] = []
        self._pending = 0
        self._are_whole: bool | None = None

    def add(self, batch: pa.Array) -> None:
        """Add finite numbers: int64 or float64, without nulls; always of the same type."""
        if not len(batch):
            return
        whole = bool(pa.types.is_integer(batch.type))
        if self._are_whole is None:
            self._are_whole = whole
            self.dropped = -1 if whole else 0
        if self.dropped > 0:
            # Keys are short by now: they are counted faster than numbers.
            found = _counted(_keys(batch, self.dropped))
        else:
            tallied = pc.value_counts(batch)
            keys = _keys(tallied.field("values"), self.dropped)
            rows = tallied.field("counts").to_numpy(zero_copy_only=False).astype(np.int64)
            found = _grouped(keys, rows)
        self._wait(*found)

    def merge(self, other: "NumberCounts") -> None:
        """Add what another accumulator has seen."""
        if other._are_whole is None:
            return
        if self._are_whole is None:
            self._are_whole, self.dropped = other._are_whole, other.dropped
        other._compact()
        if other.dropped > self.dropped:
            self._drop(other.dropped)
        elif other.dropped < self.dropped:
            other._drop(self.dropped)
        self._wait(other._keys, other._counts)

    def state(self) -> bytes:
        """Return the state as bytes."""
        self._compact()
        return states.pack(
            {
                "whole": self._are_whole,
                "dropped": self.dropped,
                "keys": self._keys,
                "counts": self._counts,
            }
        )

    def from_state(self, state: bytes) -> "NumberCounts":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = NumberCounts(self._most)
        found._are_whole, found.dropped = parts["whole"], parts["dropped"]
        found._keys, found._counts = parts["keys"], parts["counts"]
        return found

    def result(self) -> "NumberCounts":
        """Return the counts."""
        self._compact()
        return self

    @property
    def are_exact(self) -> bool:
        """Whether each distinct number has a bin of its own."""
        self._compact()
        return self.dropped <= 0

    def __len__(self) -> int:
        self._compact()
        return len(self._keys)

    def integers(self) -> Ints:
        """Return the distinct whole numbers, ascending; only while they are exact.

        Raises:
            ValueError: If they are not exact, or not whole.
        """
        self._compact()
        if self.dropped >= 0 and len(self._keys):
            raise ValueError("the numbers are not known as whole numbers")
        return self._keys

    def values(self) -> Numbers:
        """Return the lowest number that each bin may hold, ascending."""
        self._compact()
        if self.dropped < 0:
            return self._keys.astype(np.float64)
        return _numbers(np.maximum(self._keys << self.dropped, _LOWEST_FINITE))

    def counts(self) -> Ints:
        """Return the rows of each bin."""
        self._compact()
        return self._counts

    def quantiles(self, levels: npt.ArrayLike) -> Numbers:
        """Return the numbers below or at which shares of all lie; they are values of bins.

        Args:
            levels: Shares from 0 to 1.

        Example:
            >>> counts = NumberCounts()
            >>> counts.add(pa.array([1, 2, 3, 4]))
            >>> counts.quantiles([0.0, 0.5, 1.0]).tolist()
            [1.0, 2.0, 4.0]
        """
        # As numpy's `inverted_cdf`: the first value whose share is at least the level.
        ranks = np.asarray(levels, np.float64) * self.rows
        return self.ordered(np.ceil(ranks - 1e-9 - 1e-12 * ranks) - 1)

    def ordered(self, ranks: npt.ArrayLike) -> Numbers:
        """Return the numbers at some places of all in order; they are values of bins.

        Args:
            ranks: Whole numbers from 0; those beyond the ends mean the ends.
        """
        self._compact()
        if not len(self._keys):
            return np.full(np.shape(ranks), np.nan)
        ends = np.cumsum(self._counts)
        places = np.searchsorted(ends, np.maximum(np.asarray(ranks), 0), side="right")
        found: Numbers = self.values()[np.minimum(places, len(ends) - 1)]
        return found

    def bin_at(self, rank: int) -> Bin:
        """Return the bin of the number at a place of all doubles in order, from 0.

        Example:
            >>> counts = NumberCounts(most=2)
            >>> counts.add(pa.array([1.0, 1.5, 2.0, 8.0]))
            >>> counts.bin_at(1)
            Bin(low=0.125, high=1.9999999999999998, before=0)
        """
        self._compact()
        ends = np.cumsum(self._counts)
        place = int(np.searchsorted(ends, rank, side="right"))
        first = int(self._keys[place]) << self.dropped
        keys = max(first, _LOWEST_FINITE), min(first + (1 << self.dropped) - 1, _HIGHEST_FINITE)
        low, high = _numbers(np.array(keys, np.int64)).tolist()
        return Bin(low, high, int(ends[place - 1]) if place else 0)

    def below(self, number: float) -> int:
        """Return how many of the doubles that were added are below one that begins a bin."""
        self._compact()
        return int(self._counts[self.values() < number].sum())

    @property
    def rows(self) -> int:
        """How many numbers were added."""
        self._compact()
        return int(self._counts.sum())

    def _wait(self, keys: Ints, counts: Ints) -> None:
        self._waiting.append((keys, counts))
        self._pending += len(keys)
        if self._pending > _PARTS * self._most or len(self._waiting) > 64:
            self._compact()

    def _compact(self) -> None:
        if self._waiting:
            parts = [(self._keys, self._counts), *self._waiting]
            self._waiting, self._pending = [], 0
            keys, counts = (np.concatenate(columns) for columns in zip(*parts, strict=True))
            self._keys, self._counts = _grouped(keys, counts)
        if len(self._keys) > self._most and self.dropped < 0:
            self._drop(0)
        if len(self._keys) > self._most:
            self._drop(self.dropped + _bits_to_drop(self._keys, self._most))

    def _drop(self, dropped: int) -> None:
        self._keys, self._counts = self._shortened(self._keys, self._counts, dropped)
        self._waiting = [self._shortened(*part, dropped) for part in self._waiting]
        self.dropped = dropped

    def _shortened(self, keys: Ints, counts: Ints, dropped: int) -> tuple[Ints, Ints]:
        if self.dropped < 0 <= dropped:
            keys = _ordered_bits(keys.astype(np.float64)) >> dropped
        else:
            keys = keys >> (dropped - self.dropped)
        return _grouped(keys, counts, ordered=True)


def _keys(values: pa.Array, dropped: int) -> Ints:
    numbers = values.to_numpy(zero_copy_only=False)
    if dropped < 0:
        return np.asarray(numbers, np.int64)
    keys = _ordered_bits(numbers.astype(np.float64))
    return keys >> dropped if dropped else keys


def _ordered_bits(numbers: Numbers) -> Ints:
    """Return whole numbers in the order of the numbers; 0 and -0 are the same."""
    bits: Ints = (numbers + 0.0).view(np.int64)
    return np.where(bits < 0, _LOWEST - bits, bits)


def _numbers(keys: Ints) -> Numbers:
    bits = np.where(keys < 0, _LOWEST - keys, keys)
    numbers: Numbers = np.ascontiguousarray(bits).view(np.float64)
    return numbers


def _counted(keys: Ints) -> tuple[Ints, Ints]:
    low, high = int(keys.min()), int(keys.max())
    if high - low < 4 * len(keys):
        counts = np.bincount(keys - low)
        filled = np.flatnonzero(counts)
        return filled + low, counts[filled]
    found, counts = np.unique(keys, return_counts=True)
    return found, counts.astype(np.int64)


def _grouped(keys: Ints, counts: Ints, *, ordered: bool = False) -> tuple[Ints, Ints]:
    """Return the distinct keys, ascending, and the sum of the counts of each."""
    if not len(keys):
        return keys, counts
    if not ordered:
        order = np.argsort(keys, kind="stable")
        keys, counts = keys[order], counts[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(counts, starts)


def _bits_to_drop(keys: Ints, most: int) -> int:
    """Return the fewest bits to drop from ascending, distinct keys to leave at most `most`."""
    # Two neighbors become one where all bits are dropped in which they differ.
    differ = (keys[1:] ^ keys[:-1]).view(np.uint64)
    lengths = _bit_lengths(differ)
    left = 1 + np.cumsum(np.bincount(lengths, minlength=65)[::-1])[::-1]
    # `left[b]`: how many keys there are if b - 1 bits are dropped.
    return int(np.argmax(left[1:] <= most)) if most else 64


def _bit_lengths(values: npt.NDArray[np.uint64]) -> Ints:
    # A double holds 32 bits exactly, 64 it does not.
    high = (values >> np.uint64(32)).astype(np.float64)
    low = (values & np.uint64(0xFFFFFFFF)).astype(np.float64)
    return np.where(high > 0, np.frexp(high)[1] + 32, np.frexp(low)[1]).astype(np.int64)
