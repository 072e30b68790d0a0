"""One pass over the train split: the facts that the preprocessing is derived from.

The pass runs on Arrow columns, not through Beam. What it keeps is bounded, and depends on the rows
and their order alone, so the same examples give the same facts.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.raw_features import (
    MISSING_INT,
    MISSING_STRING,
    DType,
    RawFeature,
    dense_column,
)

COUNTED_VALUES = 20_000
"""Distinct values of a column are counted one by one up to here, estimated beyond."""

COUNTED_FLOATS = 1_000
"""The same for floats: only a few distinct ones mean anything."""

CONFIGURED_VALUES = 2_000_000
"""The same for columns that the configuration gives a vocabulary."""

SHOWN_TEXTS = 1_000
"""Texts of a column that are kept to see how they are written."""

SAMPLED_ROWS = 100_000
"""Rows that quantiles are taken from; all where there are fewer. The share of rows below a quantile
of so many is off by 0.16 percentage points (one standard deviation, at the median)."""

_SAMPLED_CELLS = 50_000_000
_SAMPLED_LEAST = 10_000
_SAMPLE_SEED = 0  # Any would do; it must not change, or buckets would.
_DISTINCT_BUCKETS = 4_096  # Estimates are off by about 1/sqrt(4096) = 1.6 %.
_BATCH_ROWS = 65_536
_BATCH_CELLS = 16_000_000
_COMPACT_ROWS = 50_000
_THREADS = 2
_LOGGED_ROWS = 1_000_000

Numbers = npt.NDArray[np.float64]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moments:
    """Mean and spread of finite values.

    Attributes:
        mean: Their mean.
        deviation: Their standard deviation (of the population).
        skewness: Their third standardised moment; 0 where they do not vary.
    """

    mean: float
    deviation: float
    skewness: float


@dataclass(frozen=True)
class ColumnFacts:
    """What the train split says about a column.

    A value counts as missing where the raw feature does: null, NaN, the empty text.

    Attributes:
        rows: All rows.
        missing: Rows without a value.
        distinct: Distinct values; an estimate where `counts` is None.
        counts: Rows by value, most frequent first, equally frequent ones by value; None where
            there were too many distinct ones to count.
        minimum: Smallest number; None for text and where no value is present.
        maximum: Largest number.
        moments: Of the numbers.
        log_moments: Of `log(1 + x)`; None where a number is negative.
        sample: The numbers of some rows, sorted, as float64.
        texts: The first texts, `SHOWN_TEXTS` at most.
    """

    rows: int
    missing: int
    distinct: int
    counts: Mapping[Any, int] | None
    minimum: float | None = None
    maximum: float | None = None
    moments: Moments | None = None
    log_moments: Moments | None = None
    sample: Numbers = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    texts: tuple[str, ...] = ()

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing


def batch_rows(columns: int, most: int = _BATCH_ROWS, cells: int = _BATCH_CELLS) -> int:
    """Gives a batch size that keeps memory bounded for wide tables.

    Args:
        columns: Number of columns of a batch.
        most: The largest batch.
        cells: Values in a batch, about.
    """
    return max(256, min(most, cells // max(1, columns)))


def profile(
    examples: Examples,
    features: Sequence[RawFeature],
    *,
    counted: Mapping[str, int] | None = None,
    split: str = "train",
) -> dict[str, ColumnFacts]:
    """Collects the facts of some columns in one pass.

    Args:
        examples: Where to read.
        features: The columns, with the types that the schema gives them.
        counted: The number of distinct values to count, for single columns. Default:
            `COUNTED_VALUES`, or `COUNTED_FLOATS` for floats.
        split: The split to read.

    Raises:
        UserError: Where a value does not fit its feature's type.
    """
    limits = dict(counted or {})
    columns = [
        _Column(
            feature,
            limits.get(
                feature.name, COUNTED_FLOATS if feature.dtype == "float32" else COUNTED_VALUES
            ),
        )
        for feature in features
    ]
    if not columns:
        return {}
    size = batch_rows(len(columns))
    sampled = _sampled_share(examples.rows()[split], len(columns))
    random = np.random.default_rng(_SAMPLE_SEED)
    rows = 0
    with ThreadPoolExecutor(_THREADS) as threads:
        for batch in examples.batches(split, [feature.name for feature in features], size):
            sample = pa.array(random.random(batch.num_rows) < sampled)
            # Each column belongs to one task at a time, so its batches stay in order.
            for _ in threads.map(_Column.add, columns, batch.columns, repeat(sample)):
                pass
            if rows // _LOGGED_ROWS != (rows + batch.num_rows) // _LOGGED_ROWS:
                _logger.info("profiled %d rows", rows + batch.num_rows)
            rows += batch.num_rows
    return {column.feature.name: column.facts() for column in columns}


def _sampled_share(rows: int, columns: int) -> float:
    wanted = min(SAMPLED_ROWS, max(_SAMPLED_LEAST, _SAMPLED_CELLS // columns))
    return min(1.0, wanted / max(1, rows))


class _Moments:
    """Mean and central moments, batch by batch.

    The update is that of Chan, Golub and LeVeque for the second moment, extended to the third by
    Pébay (SAND2008-6212), so that a large mean does not swallow a small spread.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.second = 0.0
        self.third = 0.0

    def add(self, values: Numbers) -> None:
        count = len(values)
        if not count:
            return
        mean = float(values.mean())
        centred = values - mean
        squares = centred * centred
        second, third = float(squares.sum()), float((squares * centred).sum())
        total, delta = self.count + count, mean - self.mean
        self.third += (
            third
            + delta**3 * self.count * count * (self.count - count) / total**2
            + 3 * delta * (self.count * second - count * self.second) / total
        )
        self.second += second + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total

    def facts(self, *, varies: bool) -> Moments:
        """Gives the moments; where nothing varies, rounding alone must not look like a spread."""
        deviation = math.sqrt(self.second / self.count)
        if not varies or deviation == 0:
            return Moments(self.mean, 0.0, 0.0)
        return Moments(self.mean, deviation, self.third / self.count / deviation**3)


class _Values:
    """Counts distinct values up to a limit, and estimates their number beyond it."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[pa.Table] = []
        self._pending = 0
        self._sketch: Any = None

    def add(self, values: pa.Array, *, estimated: bool) -> None:
        if self._sketch is not None:
            if estimated:
                self._sketch.AddValues(values)
            return
        counts = pc.value_counts(values)
        self._parts.append(
            pa.table({"value": counts.field("values"), "rows": counts.field("counts")})
        )
        self._pending += len(counts)
        if self._pending > self._limit + _COMPACT_ROWS or len(self._parts) > 64:
            self._compact()
            if self._parts[0].num_rows > self._limit:
                from tfx_bsl import sketches

                self._sketch = sketches.KmvSketch(_DISTINCT_BUCKETS)
                # A sketch of distinct values does not care how often each was seen.
                for chunk in self._parts[0]["value"].chunks:
                    self._sketch.AddValues(chunk)
                self._parts = []

    def facts(self) -> tuple[int, dict[Any, int] | None]:
        if self._sketch is not None:
            return int(self._sketch.Estimate()), None
        if not self._parts:
            return 0, {}
        self._compact()
        table = self._parts[0]
        if table.num_rows > self._limit:
            return table.num_rows, None
        table = table.sort_by([("rows", "descending"), ("value", "ascending")])
        pairs = zip(table["value"].to_pylist(), table["rows"].to_pylist(), strict=True)
        return table.num_rows, dict(pairs)

    def _compact(self) -> None:
        if len(self._parts) > 1:
            grouped = pa.concat_tables(self._parts).group_by("value").aggregate([("rows", "sum")])
            self._parts = [grouped.rename_columns(_GROUPED[grouped.column_names[0]])]
        self._pending = self._parts[0].num_rows


# Older Arrow versions put the aggregates before the keys.
_GROUPED = {"value": ["value", "rows"], "rows_sum": ["rows", "value"]}


class _Column:
    """Everything that is known of one column so far."""

    def __init__(self, feature: RawFeature, counted: int) -> None:
        self.feature = feature
        self._rows = 0
        self._missing = 0
        self._values = _Values(counted)
        self._moments = _Moments()
        self._log_moments: _Moments | None = _Moments()
        self._low = math.inf
        self._high = -math.inf
        self._sample: list[npt.NDArray[Any]] = []
        self._texts: list[str] = []

    def add(self, column: pa.Array, sample: pa.Array) -> None:
        dense = dense_column(column, self.feature)
        mask = _present(dense, self.feature.dtype)
        present = dense if mask.false_count == 0 else dense.filter(mask)
        self._rows += len(dense)
        self._missing += mask.false_count
        if not len(present):
            return
        self._values.add(present, estimated=self.feature.dtype != "float32")
        if self.feature.dtype == "string":
            if len(self._texts) < SHOWN_TEXTS:
                self._texts += present[: SHOWN_TEXTS - len(self._texts)].to_pylist()
        else:
            self._add_numbers(_numpy(present))
            self._sample.append(_numpy(dense.filter(pc.and_(mask, sample))))

    def _add_numbers(self, present: npt.NDArray[Any]) -> None:
        numbers = present.astype(np.float64)
        self._low = min(self._low, float(numbers.min()))
        self._high = max(self._high, float(numbers.max()))
        self._moments.add(numbers)
        if self._low < 0:
            self._log_moments = None
        elif self._log_moments is not None:
            self._log_moments.add(np.log1p(numbers))

    def facts(self) -> ColumnFacts:
        distinct, counts = self._values.facts()
        if self.feature.dtype == "string" or not self._sample:
            texts = tuple(self._texts)
            return ColumnFacts(self._rows, self._missing, distinct, counts, texts=texts)
        varies = self._low < self._high
        return ColumnFacts(
            rows=self._rows,
            missing=self._missing,
            distinct=distinct,
            counts=counts,
            minimum=self._low,
            maximum=self._high,
            moments=self._moments.facts(varies=varies),
            log_moments=self._log_moments.facts(varies=varies) if self._log_moments else None,
            sample=np.sort(np.concatenate(self._sample).astype(np.float64)),
        )


def _present(dense: pa.Array, dtype: DType) -> pa.Array:
    if dtype == "float32":
        return pc.is_finite(dense)
    missing = MISSING_STRING if dtype == "string" else MISSING_INT
    return pc.not_equal(dense, pa.scalar(missing, dense.type))


def _numpy(column: pa.Array) -> npt.NDArray[Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False))
