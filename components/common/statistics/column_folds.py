"""Accumulators for the statistics of one column."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.folds.moments import Moments
from kfp_tabular.components.common.processing.folds.number_counts import NumberCounts
from kfp_tabular.components.common.processing.folds.value_counts import ValueCounts
from kfp_tabular.components.common.statistics.text_times import TEXT_TIME_FORMATS

Floats = npt.NDArray[np.float64]


class ColumnFold(Protocol):
    """An accumulator of a column, whose result is itself."""

    rows: int
    present: int

    def add(self, batch: pa.Array) -> None:
        """Add values."""

    def merge(self, other: Any) -> None:
        """Add what another accumulator has seen."""

    def state(self) -> bytes:
        """Return the state as bytes."""

    def from_state(self, state: bytes) -> Any:
        """Return an accumulator with a state."""


class NumberColumn:
    """Statistics of a column of numbers.

    Args:
        is_whole: Whether the numbers are whole by their type.
        bins: The most bins of `counts`.

    Attributes:
        rows: All rows.
        present: Rows with a value; NaN is one.
        nan: Rows with NaN.
        zeros: Rows with 0.
        low: The smallest finite number; infinite without one.
        high: The largest finite number.
        infinite: Rows with minus and with plus infinity.
        moments: The moments of finite numbers.
        counts: How often which finite numbers occur.

    Example:
        >>> column = NumberColumn(is_whole=False)
        >>> column.add(pa.array([1.5, None, float("inf"), 2.5]))
        >>> column.present, column.high, column.quantiles([0.0, 1.0]).tolist()
        (3, 2.5, [1.5, inf])
    """

    def __init__(self, *, is_whole: bool, bins: int = 16_384) -> None:
        self.is_whole = is_whole
        self.rows = self.present = self.nan = self.zeros = 0
        self.low, self.high = np.inf, -np.inf
        self.infinite = (0, 0)
        self.moments = Moments()
        self.counts = NumberCounts(bins)
        self._bins = bins

    def add(self, batch: pa.Array) -> None:
        """Add numbers."""
        self.rows += len(batch)
        kind = pa.int64() if self.is_whole else pa.float64()
        values = batch.drop_null().cast(kind)
        self.present += len(values)
        numbers = values.to_numpy(zero_copy_only=False)
        if not self.is_whole:
            finite = np.isfinite(numbers)
            if not finite.all():
                nan = int(np.isnan(numbers).sum())
                self.nan += nan
                below = int((numbers == -np.inf).sum())
                above = len(numbers) - int(finite.sum()) - nan - below
                self.infinite = (self.infinite[0] + below, self.infinite[1] + above)
                values, numbers = values.filter(pa.array(finite)), numbers[finite]
        if not len(numbers):
            return
        self.zeros += len(numbers) - int(np.count_nonzero(numbers))
        self.low = min(self.low, float(numbers.min()))
        self.high = max(self.high, float(numbers.max()))
        self.moments.add(numbers.astype(np.float64))
        self.counts.add(values)

    def merge(self, other: "NumberColumn") -> None:
        """Add what another accumulator has seen."""
        self.rows += other.rows
        self.present += other.present
        self.nan += other.nan
        self.zeros += other.zeros
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.infinite = (
            self.infinite[0] + other.infinite[0],
            self.infinite[1] + other.infinite[1],
        )
        self.moments.merge(other.moments)
        self.counts.merge(other.counts)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack(
            {
                "rows": [self.rows, self.present, self.nan, self.zeros, *self.infinite],
                "ends": [self.low, self.high],
                "moments": self.moments.state(),
                "counts": self.counts.state(),
            }
        )

    def from_state(self, state: bytes) -> "NumberColumn":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = NumberColumn(is_whole=self.is_whole, bins=self._bins)
        found.rows, found.present, found.nan, found.zeros, below, above = parts["rows"]
        found.infinite = (below, above)
        found.low, found.high = parts["ends"]
        found.moments = self.moments.from_state(parts["moments"])
        found.counts = self.counts.from_state(parts["counts"])
        return found

    def result(self) -> "NumberColumn":
        """Return the statistics."""
        return self

    @property
    def finite(self) -> int:
        """Rows with a finite number."""
        return self.moments.count

    @property
    def mean(self) -> float:
        """The mean of all numbers: infinite, or NaN, where some are infinite."""
        below, above = self.infinite
        if below and above:
            return np.nan
        return -np.inf if below else np.inf if above else self.moments.mean

    @property
    def deviation(self) -> float:
        """The standard deviation of all numbers; NaN where some are infinite."""
        return np.nan if any(self.infinite) else self.moments.deviation

    def quantiles(self, levels: npt.ArrayLike) -> Floats:
        """Return quantiles of all numbers, infinite ones included."""
        below, above = self.infinite
        total = below + self.finite + above
        levels = np.asarray(levels, np.float64)
        ranks = np.maximum(np.ceil(levels * total - 1e-9 - 1e-12 * total), 1) - below
        within = np.clip(ranks / max(self.finite, 1), 0, 1)
        found = np.asarray(self.finite_quantiles(within))
        return np.where(ranks <= 0, -np.inf, np.where(ranks > self.finite, np.inf, found))

    def finite_quantiles(self, levels: npt.ArrayLike) -> Floats:
        """Return quantiles of the finite numbers, from the smallest to the largest."""
        levels = np.asarray(levels, np.float64)
        found = np.clip(self.counts.quantiles(levels), self.low, self.high)
        return np.where(levels >= 1, self.high, found)

    def spread(self, most: int) -> Floats:
        """Return numbers that lie as all finite ones do: quantiles at even steps.

        Args:
            most: How many at the most.
        """
        count = min(self.finite, most)
        if not count:
            return np.empty(0)
        return self.finite_quantiles((np.arange(count) + 0.5) / count)


class TextColumn:
    """Statistics of a column of texts.

    Args:
        most: The most distinct texts to count.

    Attributes:
        rows: All rows.
        present: Rows with a text.
        length: The bytes of all texts.
        counts: How often which texts occur.
        sampled: Some of the texts, at random, in place of counts beyond `most`.

    Example:
        >>> column = TextColumn(most=100)
        >>> column.add(pa.array(["2024-02-29", None, "2024-03-01"]))
        >>> column.present, [time.string_format for time in column.times]
        (2, ['%Y-%m-%d'])
    """

    def __init__(self, most: int) -> None:
        self.rows = self.present = self.length = 0
        self.counts = ValueCounts(most, hashes=16_384)
        self.sampled: pa.Array | None = None
        self._most = most
        # Whether all texts so far have each of the formats.
        self._fits = np.ones(len(TEXT_TIME_FORMATS), np.bool_)

    def add(self, batch: pa.Array) -> None:
        """Add texts."""
        self.rows += len(batch)
        self.present += len(batch) - batch.null_count
        counts = pc.value_counts(batch.drop_null())
        values, rows = counts.field("values"), counts.field("counts")
        if not len(values):
            return
        lengths = pc.multiply(pc.cast(pc.binary_length(values), pa.int64()), rows)
        self.length += pc.sum(lengths).as_py()
        self.counts.add_counts(values, rows)
        for index in np.flatnonzero(self._fits):
            pattern = TEXT_TIME_FORMATS[index].pattern
            # Most columns show in a few texts that they hold no times.
            for texts in (values[:20], values[20:]):
                if self._fits[index] and len(texts):
                    matched = pc.all(pc.match_substring_regex(texts, pattern))
                    self._fits[index] = matched.as_py()

    def merge(self, other: "TextColumn") -> None:
        """Add what another accumulator has seen."""
        self.rows += other.rows
        self.present += other.present
        self.length += other.length
        self.counts.merge(other.counts)
        self._fits &= other._fits

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack(
            {
                "rows": [self.rows, self.present, self.length],
                "fits": self._fits,
                "counts": self.counts.state(),
            }
        )

    def from_state(self, state: bytes) -> "TextColumn":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = TextColumn(self._most)
        found.rows, found.present, found.length = parts["rows"]
        found._fits = parts["fits"]
        found.counts = self.counts.from_state(parts["counts"])
        return found

    def result(self) -> "TextColumn":
        """Return the statistics."""
        return self

    @property
    def distinct(self) -> int:
        """How many distinct texts there are; an estimate if there are too many to count."""
        return self.counts.distinct

    def ranked(self) -> list[tuple[Any, float]]:
        """Return texts with their rows, most frequent first; of too many, by the sample."""
        if self.counts.are_exact or self.sampled is None:
            return [(text, float(rows)) for text, rows in self.counts.ranked()]
        seen = pc.value_counts(self.sampled.drop_null())
        scale = self.present / max(len(self.sampled) - self.sampled.null_count, 1)
        pairs = zip(seen.field("values").to_pylist(), seen.field("counts").to_pylist(), strict=True)
        return sorted(((text, rows * scale) for text, rows in pairs), key=lambda pair: -pair[1])

    @property
    def times(self) -> list[Any]:
        """The formats of times that all texts have, most specific first; none without texts."""
        if not self.present:
            return []
        return [form for form, fits in zip(TEXT_TIME_FORMATS, self._fits, strict=True) if fits]
