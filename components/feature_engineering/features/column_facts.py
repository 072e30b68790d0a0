"""Collects the facts about columns that features are derived from, by a fold over the train split.

It works on Arrow columns, without Beam, and its memory is bounded. The facts depend only on the
rows and their positions in the split, not on how they are cut into pieces.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.dense_columns import dense_column
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.raw_features import (
    MISSING_INT,
    MISSING_STRING,
    DType,
    RawFeature,
)
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.folds import moments
from kfp_tabular.components.common.processing.folds.value_counts import ValueCounts
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import total_rows
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

_SPREAD_LEAST = 1_000  # of a split of at most a batch
_SAMPLED_CELLS = 50_000_000
_SAMPLED_LEAST = 10_000
_SAMPLE_SEED = 0  # Any value works, but changing it changes the buckets.
_HASHES = 4_096  # Estimates of distinct values are off by about 1/sqrt(4096) = 1.6%.
_HASHES_OF_FEW = 65_536  # Of fewer rows than this they are exact.
_ALL_HASHES = 8_000_000
_BATCH_ROWS = 65_536
_BATCH_CELLS = 16_000_000
_SKEWNESS_DIGITS = 9
_LARGEST_WHOLE = 2.0**53  # Doubles are exact up to here.

Numbers = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


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
        spread: Texts of rows at even steps all over the column, at most `SPREAD_TEXTS`.
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
    engine: Engine | None = None,
    piece_rows: int = 0,
) -> dict[str, ColumnFacts]:
    """Collect the facts about some columns in one pass.

    Args:
        examples: The examples to read.
        features: The columns, with the types that the schema gives them.
        counted: The number of distinct values to count exactly, for single columns. Default:
            `COUNTED_VALUES`, or `COUNTED_FLOATS` for floats.
        split: The split to read.
        engine: What runs the fold; None for threads of this process.
        piece_rows: The wanted number of rows of a piece; 0 for the usual one.

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
    if not features:
        return {}
    pieces = example_pieces.pieces(examples, split, piece_rows)
    limits = dict(counted or {})
    names = [feature.name for feature in features]
    return (engine or LocalEngine()).fold(
        pieces,
        functools.partial(FactsFold, features, limits, total_rows(pieces)),
        example_pieces.reader(examples, names, batch_rows(len(features))),
        what="facts about columns",
    )


class FactsFold:
    """Accumulates the facts about some columns.

    Args:
        features: The columns.
        counted: The number of distinct values to count exactly, for single columns.
        total: The rows of the whole split, which sampling depends on.

    Example:
        >>> fold = FactsFold([RawFeature("x", "int64", False)], {}, total=3)
        >>> fold.add(Rows(pa.RecordBatch.from_pydict({"x": [1, 2, 2]}), first=0))
        >>> fold.result()["x"].counts
        {2: 2, 1: 1}
    """

    def __init__(
        self, features: Sequence[RawFeature], counted: Mapping[str, int], total: int
    ) -> None:
        self._features = features
        self._counted = counted
        self._total = total
        self._share = _sampled_share(total, len(features))
        most = SPREAD_TEXTS if total > _BATCH_ROWS else _SPREAD_LEAST
        self._spread = np.linspace(0, max(total - 1, 0), min(total, most)).astype(np.int64)
        most = _HASHES_OF_FEW if total <= _HASHES_OF_FEW else _HASHES
        hashes = max(_HASHES, min(most, _ALL_HASHES // len(features)))
        self._columns = [_Column(feature, _limit(feature, counted), hashes) for feature in features]

    def add(self, batch: Rows) -> None:
        """Add rows; the columns are those of the features, in their order."""
        count = batch.batch.num_rows
        # One stream of random numbers for the whole split, from the position of the batch on.
        stream = np.random.Generator(np.random.PCG64(_SAMPLE_SEED).advance(batch.first))
        chosen = _Chosen(
            first=batch.first,
            sample=pa.array(stream.random(count) < self._share),
            spread=self._spread[
                slice(*np.searchsorted(self._spread, [batch.first, batch.first + count]))
            ]
            - batch.first,
        )
        for column, values in zip(self._columns, batch.batch.columns, strict=True):
            column.add(values, chosen)

    def merge(self, other: "FactsFold") -> None:
        """Add what another accumulator has seen."""
        for column, more in zip(self._columns, other._columns, strict=True):
            column.merge(more)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({column.feature.name: column.state() for column in self._columns})

    def from_state(self, state: bytes) -> "FactsFold":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = FactsFold(self._features, self._counted, self._total)
        found._columns = [column.from_state(parts[column.feature.name]) for column in self._columns]
        return found

    def result(self) -> dict[str, ColumnFacts]:
        """Return the facts by column."""
        return {column.feature.name: column.facts() for column in self._columns}


def _limit(feature: RawFeature, counted: Mapping[str, int]) -> int:
    usual = COUNTED_FLOATS if feature.dtype == "float32" else COUNTED_VALUES
    return counted.get(feature.name, usual)


def _sampled_share(rows: int, columns: int) -> float:
    wanted = min(SAMPLED_ROWS, max(_SAMPLED_LEAST, _SAMPLED_CELLS // columns))
    return min(1.0, wanted / max(1, rows))


@dataclass(frozen=True)
class _Chosen:
    """The rows of a batch that samples are made of.

    Attributes:
        first: The position of the batch's first row in the split.
        sample: Which rows quantiles are computed from.
        spread: The places in the batch of rows whose texts are kept.
    """

    first: int
    sample: pa.Array
    spread: Places


class _Texts:
    """Texts with the positions of their rows."""

    def __init__(self) -> None:
        self.places: list[Places] = []
        self.texts: list[pa.Array] = []
        self.count = 0

    def add(self, places: Places, texts: pa.Array) -> None:
        if len(places):
            self.places.append(places)
            self.texts.append(texts)
            self.count += len(places)

    def merge(self, other: "_Texts") -> None:
        for places, texts in zip(other.places, other.texts, strict=True):
            self.add(places, texts)

    def keep(self, most: int) -> None:
        """Drop all but the first in the split."""
        if self.count > most:
            places, texts = self.ordered()
            self.places, self.texts, self.count = [places[:most]], [texts[:most]], most

    def ordered(self) -> tuple[Places, pa.Array]:
        if not self.places:
            return np.empty(0, np.int64), pa.nulls(0, pa.string())
        places = np.concatenate(self.places)
        order = np.argsort(places)
        return places[order], pa.concat_arrays(self.texts).take(pa.array(order))

    def table(self) -> pa.Table:
        places, texts = self.ordered()
        return pa.table({"place": pa.array(places), "text": texts})

    @classmethod
    def of(cls, table: pa.Table) -> "_Texts":
        found = cls()
        texts = table["text"].combine_chunks()
        if isinstance(texts, pa.ChunkedArray):
            texts = pa.nulls(0, pa.string()) if not texts.num_chunks else texts.chunk(0)
        found.add(table["place"].to_numpy().astype(np.int64), texts)
        return found


class _Column:
    """The facts about one column so far."""

    def __init__(self, feature: RawFeature, counted: int, hashes: int) -> None:
        self.feature = feature
        self._counted, self._hashes = counted, hashes
        self._rows = 0
        self._missing = 0
        is_float = feature.dtype == "float32"
        # Fractions are never identifiers, so how many there are is of no interest.
        self._values = ValueCounts(counted, 0 if is_float else hashes)
        # The same values as whole numbers, until one is not.
        self._wholes = ValueCounts(max(counted, COUNTED_VALUES), hashes) if is_float else None
        self._moments = moments.Moments()
        self._log_moments: moments.Moments | None = moments.Moments()
        self._low = math.inf
        self._high = -math.inf
        self._sample: list[npt.NDArray[Any]] = []
        self._texts = _Texts()
        self._spread = _Texts()

    def add(self, column: pa.Array, chosen: _Chosen) -> None:
        dense = dense_column(column, self.feature)
        mask = _present(dense, self.feature.dtype)
        present = dense if mask.false_count == 0 else dense.filter(mask)
        self._rows += len(dense)
        self._missing += mask.false_count
        if not len(present):
            return
        self._values.add(present)
        if self.feature.dtype == "string":
            self._add_texts(dense, np.asarray(mask), chosen)
        else:
            if self._wholes is not None:
                self._add_wholes(column.filter(mask))
            self._add_numbers(_numpy(present))
            self._sample.append(_numpy(dense.filter(pc.and_(mask, chosen.sample))))

    def merge(self, other: "_Column") -> None:
        self._rows += other._rows
        self._missing += other._missing
        self._values.merge(other._values)
        if self._wholes is not None and other._wholes is not None:
            self._wholes.merge(other._wholes)
        else:
            self._wholes = None
        self._moments.merge(other._moments)
        if self._log_moments is not None and other._log_moments is not None:
            self._log_moments.merge(other._log_moments)
        else:
            self._log_moments = None
        self._low, self._high = min(self._low, other._low), max(self._high, other._high)
        self._sample += other._sample
        self._texts.merge(other._texts)
        self._texts.keep(SHOWN_TEXTS)
        self._spread.merge(other._spread)

    def state(self) -> bytes:
        parts: dict[str, Any] = {
            "rows": [self._rows, self._missing],
            "ends": [self._low, self._high],
            "values": self._values.state(),
            "moments": self._moments.state(),
            "texts": self._texts.table(),
            "spread": self._spread.table(),
        }
        if self._wholes is not None:
            parts["wholes"] = self._wholes.state()
        if self._log_moments is not None:
            parts["log_moments"] = self._log_moments.state()
        if self._sample:
            parts["sample"] = np.concatenate(self._sample)
        return states.pack(parts)

    def from_state(self, state: bytes) -> "_Column":
        parts = states.unpack(state)
        found = _Column(self.feature, self._counted, self._hashes)
        found._rows, found._missing = parts["rows"]
        found._low, found._high = parts["ends"]
        found._values = found._values.from_state(parts["values"])
        found._moments = found._moments.from_state(parts["moments"])
        found._texts, found._spread = _Texts.of(parts["texts"]), _Texts.of(parts["spread"])
        wholes, logs = parts.get("wholes"), parts.get("log_moments")
        if found._wholes is not None:
            found._wholes = None if wholes is None else found._wholes.from_state(wholes)
        found._log_moments = None if logs is None else found._moments.from_state(logs)
        found._sample = [parts["sample"]] if "sample" in parts else []
        return found

    def _add_texts(self, dense: pa.Array, present: "np.ndarray[Any, Any]", chosen: _Chosen) -> None:
        spread = chosen.spread[present[chosen.spread]]
        self._spread.add(spread + chosen.first, dense.take(pa.array(spread)))
        if self._texts.count >= SHOWN_TEXTS and self._texts.places[-1][-1] < chosen.first:
            return
        first = np.flatnonzero(present)[:SHOWN_TEXTS]
        self._texts.add(first + chosen.first, dense.take(pa.array(first)))
        self._texts.keep(SHOWN_TEXTS)

    def _add_wholes(self, present: pa.Array) -> None:
        numbers = _numpy(present).astype(np.float64)
        whole = np.abs(numbers).max() <= _LARGEST_WHOLE and bool(
            np.all(np.rint(numbers) == numbers)
        )
        if self._wholes is not None and whole:
            self._wholes.add(pa.array(numbers.astype(np.int64)))
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
        exact = counted.result().are_exact
        counts = dict(counted.ranked()) if exact else None
        if self.feature.dtype == "string" or not self._moments.count:
            return ColumnFacts(
                self._rows,
                self._missing,
                counted.distinct,
                counts,
                texts=tuple(self._texts.ordered()[1].to_pylist()),
                spread=tuple(self._spread.ordered()[1].to_pylist()),
            )
        return ColumnFacts(
            rows=self._rows,
            missing=self._missing,
            distinct=counted.distinct,
            counts=counts,
            minimum=self._low,
            maximum=self._high,
            moments=_moments(self._moments, self._low, self._high),
            log_moments=None
            if self._log_moments is None
            else _moments(self._log_moments, math.log1p(self._low), math.log1p(self._high)),
            sample=np.sort(np.concatenate(self._sample).astype(np.float64)),
            whole=self.feature.dtype == "int64" or self._wholes is not None,
        )


def _moments(found: moments.Moments, low: float, high: float) -> Moments:
    """Return the moments, the same for every order of merging.

    Args:
        found: The moments of some numbers.
        low: The smallest number.
        high: The largest.
    """
    # Without variation, the deviation is 0 in spite of rounding.
    if low == high or not found.deviation:
        return Moments(low, 0.0, 0.0)
    mean, deviation = moments.stable(found.mean, found.deviation)
    return Moments(mean, deviation, round(found.skewness, _SKEWNESS_DIGITS))


def _present(dense: pa.Array, dtype: DType) -> pa.Array:
    if dtype == "float32":
        return pc.is_finite(dense)
    missing = MISSING_STRING if dtype == "string" else MISSING_INT
    return pc.not_equal(dense, pa.scalar(missing, dense.type))


def _numpy(column: pa.Array) -> npt.NDArray[Any]:
    return np.asarray(column.to_numpy(zero_copy_only=False))
