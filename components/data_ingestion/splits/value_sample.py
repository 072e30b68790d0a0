"""A sample of a column's distinct values, each with its number of rows.

The values in the sample are those whose hash lies below a bound, and the bound depends on the
number of rows only. So a value is in the sample with all of its rows or with none, and the samples
of parts of a column merge to that of the whole, however it was cut.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.common.values.hashes import (
    Hashes,
    mix,
)

Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class ValueSample:
    """Distinct values with their rows.

    Attributes:
        keys: What tells values apart, ascending: `hash_values` of each.
        counts: Rows with each value.
        rows: All rows that the sample was taken of.
        expected: The number of rows in the sample, on average; with fewer rows, it holds all.
    """

    keys: Hashes
    counts: Counts
    rows: int
    expected: int

    @classmethod
    def of(cls, keys: Hashes, expected: int, without: np.uint64 | None = None) -> "ValueSample":
        """Take the sample of some rows.

        Args:
            keys: The rows' values.
            expected: As in the attribute.
            without: A value whose rows are left out, such as missing ones.

        Example:
            >>> sample = ValueSample.of(np.array([7, 9, 7], np.uint64), expected=100)
            >>> sample.keys.tolist(), sample.counts.tolist(), sample.distinct, sample.is_exact
            ([7, 9], [2, 1], 2, True)
        """
        if without is not None:
            there = keys != without
            keys = keys if there.all() else keys[there]
        rows = len(keys)
        if rows > expected:
            # Before they are sorted, which takes the longest.
            keys = keys[_are_sampled(keys, expected, rows)]
        return cls(*arrays.distinct(keys), rows, expected)

    @classmethod
    def merge(cls, samples: "list[ValueSample]") -> "ValueSample":
        """Return the sample of all rows together; at least one sample."""
        first = samples[0]
        if len(samples) == 1:
            return first
        keys = np.concatenate([sample.keys for sample in samples])
        counts = np.concatenate([sample.counts for sample in samples])
        order = np.argsort(keys, kind="stable")
        keys, counts = keys[order], counts[order]
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])[: len(keys)]
        summed = np.add.reduceat(counts, starts) if len(keys) else counts
        rows = sum(sample.rows for sample in samples)
        return cls(keys[starts], summed, rows, first.expected).limited()

    @property
    def is_exact(self) -> bool:
        """Whether the sample holds all values."""
        return self.rows <= self.expected

    @property
    def distinct(self) -> int:
        """The number of distinct values, estimated where the sample does not hold all."""
        return min(self.rows, round(len(self.keys) * max(1.0, self.rows / self.expected)))

    def limited(self, expected: int = 0) -> "ValueSample":
        """Return the sample for a smaller number of expected rows; the same number by default."""
        sample = ValueSample(self.keys, self.counts, self.rows, expected or self.expected)
        if sample.is_exact:
            return sample
        kept = _are_sampled(self.keys, sample.expected, sample.rows)
        return ValueSample(self.keys[kept], self.counts[kept], sample.rows, sample.expected)


def _are_sampled(keys: Hashes, expected: int, rows: int) -> Mask:
    return mix(keys) < np.uint64(int(2**64 * (expected / rows)))
