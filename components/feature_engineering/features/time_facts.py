"""Collects facts about the points in time of the train split, in one pass over their columns."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
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
    """Sums of shifted values; exact enough for seconds of centuries."""

    def __init__(self) -> None:
        self.count = 0
        self.low, self.high = np.inf, -np.inf
        self.mean = self.squares = 0.0

    def add(self, values: Integers) -> None:
        count = len(values)
        if not count:
            return
        numbers = values.astype(np.float64)
        mean = float(numbers.mean())
        squares = float(((numbers - mean) ** 2).sum())
        total, delta = self.count + count, mean - self.mean
        self.squares += squares + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total
        self.low, self.high = min(self.low, numbers.min()), max(self.high, numbers.max())

    def facts(self) -> Spread | None:
        if not self.count:
            return None
        deviation = float(np.sqrt(self.squares / self.count))
        return Spread(float(self.low), float(self.high), self.mean, deviation)


class _Column:
    def __init__(self) -> None:
        self.times, self.ages = _Spread(), _Spread()
        self.has_clock = False
        self.offsets: set[int] = set()


def collect(
    examples: Examples,
    times: Mapping[str, TimeFormat],
    references: Mapping[str, str] | None = None,
    *,
    split: str = "train",
) -> dict[str, TimeFacts]:
    """Collect facts about columns of times; columns without a readable time are left out.

    Args:
        examples: The examples to read.
        times: How each column is written.
        references: By column, another one of them to which its age is measured.
        split: The split to read.

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
    found = {name: _Column() for name in times}
    if not times:
        return {}
    for batch in examples.batches(split, list(times), _BATCH_ROWS):
        read = {
            name: _read(column, times[name])
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        }
        for name, (instants, clocks, offsets, valid) in read.items():
            column = found[name]
            column.times.add(instants[valid])
            column.has_clock |= bool((clocks[valid] % time_fields.DAY).any())
            if len(column.offsets) < _MOST_OFFSETS:
                column.offsets.update(np.unique(offsets[valid])[:_MOST_OFFSETS].tolist())
            reference = (references or {}).get(name)
            if reference is not None:
                until, _, _, known = read[reference]
                both = valid & known
                column.ages.add(until[both] - instants[both])
    facts = {}
    for name, column in found.items():
        spread = column.times.facts()
        if spread is not None:
            facts[name] = TimeFacts(
                spread, column.ages.facts(), column.has_clock, len(column.offsets) > 1
            )
    return facts


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
