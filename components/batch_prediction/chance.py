"""Whether a distance from the training data is more than a few rows show by chance.

The rows of a small sample are never spread as those of the training are: four rows of the same data
are 0.25 away from it. So samples of both sizes are drawn from what both have in common, and the
distance has to be larger than nearly all of theirs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

FEWEST_ROWS = 10
"""Fewer rows show nothing: a single one that is new is as far as it can be."""

MOST_LIKELY = 0.001
"""A distance is no chance if it is less likely than this: one feature in a thousand is mistaken."""

_DRAWS = 1_999
_CELLS_AT_ONCE = 1 << 20
_SEED = 7
_ROUNDING = 1e-8

_Shares = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class SampledCounts:
    """The rows of each bin or category, on both sides.

    Attributes:
        scored: In the scored data.
        trained: In the training data, in the same order, as shares.
        trained_rows: The rows of the training data; 0 for so many that their shares are exact.
        is_number: Whether the divergence of bins is measured; otherwise, the largest difference.
    """

    scored: Sequence[int]
    trained: Sequence[float]
    trained_rows: int
    is_number: bool


def explains(distance: float, counts: SampledCounts) -> bool:
    """Return whether chance may explain a distance, as far as so many rows can tell.

    Args:
        distance: What was measured.
        counts: What it was measured from.

    Example:
        >>> few, many = (SampledCounts((3 * n, n), (0.5, 0.5), 10_000, False) for n in (1, 100))
        >>> explains(0.25, few), explains(0.25, many)
        (True, False)
    """
    if sum(counts.scored) < FEWEST_ROWS:
        return True
    at_least = distance - _ROUNDING
    as_far = sum(int(np.count_nonzero(found >= at_least)) for found in _by_chance(counts))
    return (1 + as_far) / (1 + _DRAWS) > MOST_LIKELY


def _by_chance(counts: SampledCounts) -> Iterator[_Shares]:
    """Yield distances of samples of the same data."""
    scored = np.asarray(counts.scored, np.float64)
    trained = np.asarray(counts.trained, np.float64)
    rows = int(scored.sum())
    # What both sides have in common, if they are of the same data.
    common = trained * counts.trained_rows + scored if counts.trained_rows else trained
    common = common / common.sum()
    rng = np.random.default_rng(_SEED)
    at_once = max(1, _CELLS_AT_ONCE // len(common))
    measure = _divergence if counts.is_number else _largest_difference
    for start in range(0, _DRAWS, at_once):
        draws = min(at_once, _DRAWS - start)
        left = rng.multinomial(rows, common, draws) / rows
        right = np.broadcast_to(common, left.shape)
        if counts.trained_rows:
            right = rng.multinomial(counts.trained_rows, common, draws) / counts.trained_rows
        yield measure(left, right)


def _largest_difference(a: _Shares, b: _Shares) -> _Shares:
    found: _Shares = np.abs(a - b).max(axis=1)
    return found


def _divergence(a: _Shares, b: _Shares) -> _Shares:
    middle = (a + b) / 2
    return (_information(a, middle) + _information(b, middle)) / 2


def _information(p: _Shares, middle: _Shares) -> _Shares:
    ratio = np.divide(p, middle, out=np.ones_like(p), where=p > 0)
    found: _Shares = (p * np.log2(ratio)).sum(axis=1)
    return found
