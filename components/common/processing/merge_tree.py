"""Merges accumulators in a shape that depends on their number alone."""

from typing import Generic

from kfp_tabular.components.common.processing.accumulator import Accumulator
from kfp_tabular.components.common.processing.engine import Batch, Result

FAN_IN = 4
"""So many neighbors become one."""


class MergeTree(Generic[Batch, Result]):
    """Merges accumulators in order: each `FAN_IN` neighbors to one, those again, and so on.

    Runs of `FAN_IN`, or of a power of it, can be merged apart and added as one; the last may be
    shorter. The shape stays the same, and with it the bits of sums. So any part of the tree can
    be merged in one place.

    Example:
        >>> from kfp_tabular.components.common.processing.folds.moments import Moments
        >>> import numpy as np
        >>> tree = MergeTree()
        >>> for number in (1.0, 2.0, 6.0):
        ...     moments = Moments()
        ...     moments.add(np.array([number]))
        ...     tree.add(moments)
        >>> tree.total().mean
        3.0
    """

    def __init__(self) -> None:
        # Of each level, how many are merged so far.
        self._levels: list[tuple[int, Accumulator[Batch, Result] | None]] = []

    def add(self, accumulator: Accumulator[Batch, Result]) -> None:
        """Add the next one, which is used up."""
        carried: Accumulator[Batch, Result] = accumulator
        for level, (count, total) in enumerate(self._levels):
            if total is None:
                merged = carried
            else:
                total.merge(carried)
                merged = total
            if count + 1 < FAN_IN:
                self._levels[level] = count + 1, merged
                return
            self._levels[level] = 0, None
            carried = merged
        self._levels.append((1, carried))

    def total(self) -> Accumulator[Batch, Result] | None:
        """Return all of them together; None if there are none. Nothing is added after it."""
        carried: Accumulator[Batch, Result] | None = None
        for _, total in self._levels:
            if total is None:
                continue
            if carried is not None:
                total.merge(carried)
            carried = total
        return carried
