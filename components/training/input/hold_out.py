"""Rows of the train split that are held out to choose by, where there is no eval split.

A row is held out by a hash of its features, so that equal rows stay together: copies of a row that
was trained on would measure nothing. Where so few distinct rows are held out that luck decides
(of 93 distinct rows the held-out log loss was 0.035, and that of test 0.165), it is a hash of the
row's number instead. The choice does not depend on the seed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.training.input.packed_rows import PackedRows

FEWEST_ROWS = 100
"""Smaller train splits are not divided."""

FEWEST_DISTINCT = 50
"""Of fewer distinct rows held out, equal rows are divided."""

_LEAST_HELD_OUT = 10
_WANTED_ROWS = 2000
_LEAST_SHARE = 0.1
_LARGEST_SHARE = 0.2
_SEED = 20_240_101
_BLOCK_ROWS = 4096


def share_of(rows: int) -> float:
    """Return the share of the train split to hold out: a tenth, and of few rows a fifth.

    Args:
        rows: Rows of the train split.

    Example:
        >>> [share_of(rows) for rows in (50, 5_000, 16_000, 100_000)]
        [0.0, 0.2, 0.125, 0.1]
    """
    if rows < FEWEST_ROWS:
        return 0.0
    return min(_LARGEST_SHARE, max(_LEAST_SHARE, _WANTED_ROWS / rows))


@dataclass(frozen=True)
class HoldOut:
    """Decides which rows are held out.

    Attributes:
        share: The share of the rows that are held out, between 0 and 1.
        divides_equal: Whether each row is held out on its own, even if others are equal to it.
            Otherwise the share is that of the distinct rows.
    """

    share: float
    divides_equal: bool = False

    def mask(self, rows: PackedRows, numbers: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Return whether each row is held out, shape `[rows]`.

        Args:
            rows: The rows.
            numbers: The number of each row in its split, shape `[rows]`.

        Example:
            >>> values = np.arange(1000, dtype=np.float32)[:, None]
            >>> rows = PackedRows(values, np.zeros((1000, 0), np.int32), np.zeros(1000))
            >>> int(HoldOut(0.2).mask(rows, np.arange(1000)).sum())
            199
        """
        found = _hash_numbers(numbers) if self.divides_equal else hashes(rows)
        return np.asarray(found < np.uint64(self.share * (1 << 32)))


def is_usable(held_out: PackedRows, trained: int, *, divides_equal: bool) -> bool:
    """Return whether a division leaves enough rows on both sides.

    Args:
        held_out: Rows held out, of a sample of the split.
        trained: The number of the other rows of the sample.
        divides_equal: Whether equal rows may be on both sides; otherwise the rows held out must be
            many distinct ones.

    Example:
        >>> equal = np.zeros((200, 1), np.float32)
        >>> rows = PackedRows(equal, np.zeros((200, 0), np.int32), np.zeros(200))
        >>> is_usable(rows, 800, divides_equal=True), is_usable(rows, 800, divides_equal=False)
        (True, False)
    """
    if not _LEAST_HELD_OUT <= len(held_out) <= trained:
        return False
    return divides_equal or len(np.unique(hashes(held_out))) >= FEWEST_DISTINCT


def hashes(rows: PackedRows) -> "np.ndarray[Any, Any]":
    """Return 32 random bits for each distinct row: the upper ones of a sum of random products."""
    width = rows.numeric.shape[1] + rows.categorical.shape[1]
    factors = np.random.default_rng(_SEED).integers(
        1, 1 << 63, width + 1, dtype=np.uint64, endpoint=True
    )
    found = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = rows.take(slice(start, start + _BLOCK_ROWS))
        # Adding 0 makes -0 and 0, which are equal, the same bits.
        numbers = np.ascontiguousarray(block.numeric + np.float32(0)).view(np.uint32)
        words = np.concatenate([numbers, block.categorical.astype(np.uint32)], axis=1)
        # Wraps around, as it should.
        sums = words.astype(np.uint64) @ factors[1:] + factors[0]
        found[start : start + len(block)] = sums >> np.uint64(32)
    return found


def _hash_numbers(numbers: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return 32 random bits for each number: the finalizer of SplitMix64."""
    found = numbers.astype(np.uint64) + np.uint64(_SEED)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        found = (found ^ (found >> np.uint64(shift))) * np.uint64(factor)
    return (found ^ (found >> np.uint64(31))) >> np.uint64(32)
