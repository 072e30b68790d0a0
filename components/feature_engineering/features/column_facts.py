"""Collects the facts about columns that features are derived from, in one pass.

The pass works on Arrow columns, without Beam, and its memory is bounded. The facts depend only on
the rows and their order.
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

from kfp_tabular.components.common.artifacts.dense_columns import dense_column
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.raw_features import (
    MISSING_INT,
    MISSING_STRING,
    DType,
    RawFeature,
)
from kfp_tabular.components.feature_engineering.features.time_facts import TimeFacts

COUNTED_VALUES = 20_000
"""Up to this many distinct values of a column are counted exactly; more are estimated."""

COUNTED_FLOATS = 1_000
"""The same for floats, of which only a few distinct values suggest a category."""

CONFIGURED_VALUES = 2_000_000
"""The same for columns that are configured as categorical."""

SHOWN_TEXTS = 1_000
"""The number of texts of a column that are kept, to recognize formats of times."""

SPREAD_TEXTS = 4_000
"""The number of texts from all over a column that are kept, to recognize free text."""

SAMPLED_ROWS = 100_000
"""The number of rows that quantiles are computed from. The standard deviation of the share of rows
below a quantile is then 0.16 percentage points at the median."""

_SPREAD_FIRST = 1_000
_SPREAD_NEXT = 100
_COUNTED_BYTES = 256 << 20  # Long texts are estimated earlier.
_SAMPLED_CELLS = 50_000_000
_SAMPLED_LEAST = 10_000
_SAMPLE_SEED = 0  # Any value works, but changing it changes the buckets.
_DISTINCT_BUCKETS = 4_096  # Estimates are off by about 1/sqrt(4096) = 1.6 %.
_BATCH_ROWS = 65_536
_BATCH_CELLS = 16_000_000
_COMPACT_ROWS = 50_000
_THREADS = 2
_LOGGED_ROWS = 1_000_000
_LARGEST_WHOLE = 2.0**53  # Doubles are exact up to here.

Numbers = npt.NDArray[np.float64]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Moments:
    """Mean and spread of finite values.

    Attributes:
        mean: The mean.
        deviation: The standard deviation of the population.
        skewness: The third standardized moment; 0 if the values do not vary.
    """

    mean: float
    deviation: float
    skewness: float


@dataclass(frozen=True)
class ColumnFacts:
    """Facts about a column of the train split.

    A value is missing if the raw feature is: null, NaN, or the empty text. Whole numbers are
    counted as such even if they are stored as floats, which their features round to float32.

    Attributes:
        rows: All rows.
        missing: Rows without a value.
        distinct: Distinct values; an estimate if `counts` is None.
        counts: Rows by value, most frequent first, then by value; None if there are too many
            distinct values to count.
        minimum: The smallest number; None for text and for columns without values.
        maximum: The largest number.
        moments: The moments of the numbers.
        log_moments: The moments of `log(1 + x)`; None if a number is negative.
        sample: The numbers of some rows, sorted, as float64.
        texts: The first texts, at most `SHOWN_TEXTS`.
        times: Facts about the points in time, of columns that hold some.
        whole: Whether all numbers are whole.
        spread: Texts from all over the column, at most about `SPREAD_TEXTS`.
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
    times: TimeFacts | None = None
    whole: bool = False
    spread: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

    @property
    def are_whole(self) -> bool:
        """Whether all numbers are known and whole."""
        return self.counts is not None and self.whole


def batch_rows(columns: int, most: int = _BATCH_ROWS, cells: int = _BATCH_CELLS) -> int:
    """Return a batch size that bounds memory for wide tables.

    Args:
        columns: The number of columns of a batch.
        most: The largest batch size.
        cells: The approximate number of values in a batch.

    Example:
        >>> batch_rows(10), batch_rows(2_000)
        (65536, 8000)
    """
    return max(256, min(most, cells // max(1, columns)))


def collect(
    examples: Examples,
    features: Sequence[RawFeature],
    *,
    counted: Mapping[str, int] | None = None,
    split: str = "train",
) -> dict[str, ColumnFacts]:
    """Collect the facts about some columns in one pass.

    Args:
        examples: The examples to read.
        features: The columns, with the types that the schema gives them.
        counted: The number of distinct values to count exactly, for single columns. Default:
            `COUNTED_VALUES`, or `COUNTED_FLOATS` for floats.
        split: The split to read.

    Raises:
        UserError: A value does not fit its feature's type.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import pyarrow.parquet as pq
        >>> table = pa.table({"paid": ["cash", "card", "cash", None]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "split=train").mkdir()
        ...     pq.write_table(table, f"{folder}/split=train/0.parquet")
        ...     facts = collect(Examples(Path(folder)), [RawFeature("paid", "string", False)])
        >>> facts["paid"].counts, facts["paid"].missing
        ({'cash': 2, 'card': 1}, 1)
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
            # One task at a time works on a column, so its batches stay in order.
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
    Pébay (SAND2008-6212). It keeps a small spread exact beside a large mean.
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
        centered = values - mean
        squares = centered * centered
        second, third = float(squares.sum()), float((squares * centered).sum())
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
        """Return the moments. Without variation, the deviation is 0 in spite of rounding."""
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
        self._bytes = 0
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
        self._bytes += self._parts[-1].nbytes
        if (
            self._pending > self._limit + _COMPACT_ROWS
            or len(self._parts) > 64
            or self._bytes > 2 * _COUNTED_BYTES
        ):
            self._compact()
            table = self._parts[0]
            if table.num_rows > self._limit or table.nbytes > _COUNTED_BYTES:
                from tfx_bsl import sketches

                self._sketch = sketches.KmvSketch(_DISTINCT_BUCKETS)
                # A sketch of distinct values ignores frequencies.
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
        self._bytes = self._parts[0].nbytes


# Older Arrow versions put the aggregates before the keys.
_GROUPED = {"value": ["value", "rows"], "rows_sum": ["rows", "value"]}


class _Column:
    """The facts about one column so far."""

    def __init__(self, feature: RawFeature, counted: int) -> None:
        self.feature = feature
        self._rows = 0
        self._missing = 0
        self._values = _Values(counted)
        # The same values as whole numbers, until one is not.
        whole = feature.dtype == "float32"
        self._wholes = _Values(max(counted, COUNTED_VALUES)) if whole else None
        self._moments = _Moments()
        self._log_moments: _Moments | None = _Moments()
        self._low = math.inf
        self._high = -math.inf
        self._sample: list[npt.NDArray[Any]] = []
        self._texts: list[str] = []
        self._spread: list[str] = []

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
            wanted = _SPREAD_FIRST if not self._spread else _SPREAD_NEXT
            if len(self._spread) < SPREAD_TEXTS:
                places = np.linspace(0, len(present) - 1, min(len(present), wanted)).astype(int)
                self._spread += present.take(pa.array(places)).to_pylist()
        else:
            if self._wholes is not None:
                self._add_wholes(column.filter(mask))
            self._add_numbers(_numpy(present))
            self._sample.append(_numpy(dense.filter(pc.and_(mask, sample))))

    def _add_wholes(self, present: pa.Array) -> None:
        numbers = _numpy(present).astype(np.float64)
        whole = np.abs(numbers).max() <= _LARGEST_WHOLE and bool(
            np.all(np.rint(numbers) == numbers)
        )
        if self._wholes is not None and whole:
            self._wholes.add(pa.array(numbers.astype(np.int64)), estimated=True)
        else:
            self._wholes = None

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
        counted = self._values if self._wholes is None else self._wholes
        distinct, counts = counted.facts()
        if self.feature.dtype == "string" or not self._sample:
            return ColumnFacts(
                self._rows,
                self._missing,
                distinct,
                counts,
                texts=tuple(self._texts),
                spread=tuple(self._spread),
            )
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
            whole=self.feature.dtype == "int64" or self._wholes is not None,
        )


def _present(dense: pa.Array, dtype: DType) -> pa.Array:
    if dtype == "float32":
        return pc.is_finite(dense)
    missing = MISSING_STRING if dtype == "string" else MISSING_INT
    return pc.not_equal(dense, pa.scalar(missing, dense.type))


def _numpy(column: pa.Array) -> npt.NDArray[Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False))
