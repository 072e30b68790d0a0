"""Rows of the train split that are held out to choose by, where there is no eval split.

A row is held out by a hash of its features, so that equal rows stay together: copies of a row that
was trained on would measure nothing. The choice depends neither on the order of rows nor on the
seed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.training.input.packed_rows import PackedRows

FEWEST_ROWS = 100
"""Smaller train splits are not divided."""

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
        share: The share of distinct rows, between 0 and 1.
    """

    share: float

    def mask(self, rows: PackedRows) -> "np.ndarray[Any, Any]":
        """Return whether each row is held out, shape `[rows]`.

        Example:
            >>> numbers = np.arange(1000, dtype=np.float32)[:, None]
            >>> rows = PackedRows(numbers, np.zeros((1000, 0), np.int32), np.zeros(1000))
            >>> int(HoldOut(0.2).mask(rows).sum())
            199
        """
        return np.asarray(_hash(rows) < np.uint64(self.share * (1 << 32)))


def is_usable(held_out: int, trained: int) -> bool:
    """Return whether a division leaves enough rows on both sides; few distinct rows may not.

    Args:
        held_out: Rows held out, of a sample of the split.
        trained: The other rows of the sample.

    Example:
        >>> is_usable(200, 800), is_usable(0, 1000), is_usable(900, 100)
        (True, False, False)
    """
    return _LEAST_HELD_OUT <= held_out <= trained


def _hash(rows: PackedRows) -> "np.ndarray[Any, Any]":
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
