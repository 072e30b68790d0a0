"""Collects facts about the points in time of the train split, by a fold over their columns."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.folds.moments import Moments, stable
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.values import arrays, time_fields
from kfp_tabular.components.common.values.arrays import Integers, Mask
from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.common.values.time_patterns import patterns_of
from kfp_tabular.components.common.values.time_text import PER_SECOND

YEAR = 365.25 * time_fields.DAY
_BATCH_ROWS = 65_536
_MOST_OFFSETS = 2


@dataclass(frozen=True)
class Spread:
    """Where the values of some times lie, in seconds.

    Attributes:
        low: The smallest.
        high: The largest.
        mean: The mean.
        deviation: The standard deviation.
    """

    low: float
    high: float
    mean: float
    deviation: float


@dataclass(frozen=True)
class TimeFacts:
    """Facts about a column of times.

    Attributes:
        times: Where the times lie, since 1970 UTC.
        ages: Where their distances to the reference column lie; None without one.
        has_clock: Whether a time differs from midnight.
        has_offsets: Whether the times have different offsets from UTC.
    """

    times: Spread
    ages: Spread | None
    has_clock: bool
    has_offsets: bool


class _Spread:
    """Where values lie; exact enough for seconds of centuries."""

    def __init__(self) -> None:
        self.moments = Moments()
        self.low, self.high = np.inf, -np.inf

    def add(self, values: Integers) -> None:
        if len(values):
            self.moments.add(values.astype(np.float64))
            self.low = min(self.low, float(values.min()))
            self.high = max(self.high, float(values.max()))

    def merge(self, other: "_Spread") -> None:
        self.moments.merge(other.moments)
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def state(self) -> bytes:
        return states.pack({"moments": self.moments.state(), "ends": [self.low, self.high]})

    def from_state(self, state: bytes) -> "_Spread":
        parts = states.unpack(state)
        found = _Spread()
        found.moments = found.moments.from_state(parts["moments"])
        found.low, found.high = parts["ends"]
        return found

    def facts(self) -> Spread | None:
        if not self.moments.count:
            return None
        if self.low == self.high:
            return Spread(self.low, self.high, self.low, 0.0)
        return Spread(self.low, self.high, *stable(self.moments.mean, self.moments.deviation))


class _Column:
    def __init__(self) -> None:
        self.times, self.ages = _Spread(), _Spread()
        self.has_clock = False
        self.offsets: set[int] = set()

    def add_offsets(self, offsets: Iterable[int]) -> None:
        """Add offsets from UTC; a few of them tell that they differ."""
        self.offsets = set(sorted({*self.offsets, *offsets})[:_MOST_OFFSETS])

    def merge(self, other: "_Column") -> None:
        self.times.merge(other.times)
        self.ages.merge(other.ages)
        self.has_clock |= other.has_clock
        self.add_offsets(other.offsets)

    def state(self) -> bytes:
        return states.pack(
            {
                "times": self.times.state(),
                "ages": self.ages.state(),
                "has_clock": self.has_clock,
                "offsets": sorted(self.offsets),
            }
        )

    def from_state(self, state: bytes) -> "_Column":
        parts = states.unpack(state)
        found = _Column()
        found.times = self.times.from_state(parts["times"])
        found.ages = self.ages.from_state(parts["ages"])
        found.has_clock = parts["has_clock"]
        found.add_offsets(parts["offsets"])
        return found


class TimesFold:
    """Accumulates facts about columns of times.

    Args:
        times: How each column is written.
        references: By column, another one of them to which its age is measured.

    Example:
        >>> fold = TimesFold({"day": TimeFormat(canonical="%Y-%m-%d")}, {})
        >>> fold.add(Rows(pa.RecordBatch.from_pydict({"day": ["1970-01-03"]}), first=0))
        >>> fold.result()["day"].times.low / 86_400
        2.0
    """

    def __init__(self, times: Mapping[str, TimeFormat], references: Mapping[str, str]) -> None:
        self._times, self._references = times, references
        self._columns = {name: _Column() for name in times}

    def add(self, batch: Rows) -> None:
        """Add rows."""
        read = {
            name: _read(column, self._times[name])
            for name, column in zip(batch.batch.schema.names, batch.batch.columns, strict=True)
        }
        for name, (instants, clocks, offsets, valid) in read.items():
            column = self._columns[name]
            column.times.add(instants[valid])
            column.has_clock |= bool((clocks[valid] % time_fields.DAY).any())
            if len(column.offsets) < _MOST_OFFSETS:
                column.add_offsets(np.unique(offsets[valid]).tolist())
            reference = self._references.get(name)
            if reference is not None:
                until, _, _, known = read[reference]
                both = valid & known
                column.ages.add(until[both] - instants[both])

    def merge(self, other: "TimesFold") -> None:
        """Add what another accumulator has seen."""
        for name, column in self._columns.items():
            column.merge(other._columns[name])

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({name: column.state() for name, column in self._columns.items()})

    def from_state(self, state: bytes) -> "TimesFold":
        """Return an accumulator with a state."""
        found = TimesFold(self._times, self._references)
        for name, part in states.unpack(state).items():
            found._columns[name] = found._columns[name].from_state(part)
        return found

    def result(self) -> dict[str, TimeFacts]:
        """Return the facts by column; columns without a readable time are absent."""
        facts = {}
        for name, column in self._columns.items():
            spread = column.times.facts()
            if spread is not None:
                facts[name] = TimeFacts(
                    spread, column.ages.facts(), column.has_clock, len(column.offsets) > 1
                )
        return facts


def collect(
    examples: Examples,
    times: Mapping[str, TimeFormat],
    references: Mapping[str, str] | None = None,
    *,
    split: str = "train",
    engine: Engine | None = None,
) -> dict[str, TimeFacts]:
    """Collect facts about columns of times; columns without a readable time are left out.

    Args:
        examples: The examples to read.
        times: How each column is written.
        references: By column, another one of them to which its age is measured.
        split: The split to read.
        engine: What runs the fold; None for threads of this process.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import pyarrow.parquet as pq
        >>> table = pa.table({"day": ["1970-01-03", "1970-01-05", None]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "split=train").mkdir()
        ...     pq.write_table(table, f"{folder}/split=train/0.parquet")
        ...     facts = collect(Examples(Path(folder)), {"day": TimeFormat(canonical="%Y-%m-%d")})
        >>> facts["day"].times.mean / 86_400, facts["day"].has_clock
        (3.0, False)
    """
    if not times:
        return {}
    return (engine or LocalEngine()).fold(
        example_pieces.pieces(examples, split),
        functools.partial(TimesFold, times, references or {}),
        example_pieces.reader(examples, list(times), _BATCH_ROWS),
        what="facts about times",
    )


def _read(column: pa.Array, given: TimeFormat) -> tuple[Integers, Integers, Integers, Mask]:
    """Return instants and clocks in seconds, offsets in minutes, and which are valid."""
    none = np.zeros(len(column), np.int64)
    if given.unit:
        numbers = arrays.to_integers(pc.cast(column, pa.int64()))
        days = given.unit == "days"
        seconds = numbers * time_fields.DAY if days else numbers // PER_SECOND[given.unit]
        return seconds, seconds, none, arrays.to_valid(column)
    plain = _canonical_seconds(column) if given.canonical in _FAST else None
    if plain is not None:
        return plain, plain, none, arrays.to_valid(column)
    encoded = column.dictionary_encode()
    moments = time_fields.parse(encoded.dictionary, patterns_of(given))
    places = arrays.to_integers(pc.cast(encoded.indices, pa.int64()))
    if not len(moments.valid):
        return none, none, none, np.zeros(len(column), np.bool_)
    clocks, offsets = moments.seconds[places], moments.offsets[places]
    return clocks - 60 * offsets, clocks, offsets, moments.valid[places] & arrays.to_valid(column)


_FAST = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S")


def _canonical_seconds(column: pa.StringArray) -> Integers | None:
    try:
        times = pc.cast(column, pa.timestamp("s"))
    except pa.ArrowInvalid:
        return None
    return arrays.to_integers(pc.cast(times, pa.int64()))
