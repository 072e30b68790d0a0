"""Facts about bags: columns with any number of values per row, as text.

The text is a bag as ingestion writes it (`common.values.bags`) or, in a column of plain text that
`feature_config` calls a bag, items between separators: `red; blue` or `["red", "blue"]`.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.folds.moments import Moments, stable
from kfp_tabular.components.common.processing.folds.row_sample import RowSample
from kfp_tabular.components.common.processing.folds.value_counts import ValueCounts
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import total_rows
from kfp_tabular.components.common.values import arrays, bags

DECORATION = r"""[\[\]{}()"']"""
"""Characters around items of plain text that do not belong to them."""

NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
"""An item that is a number."""

STATISTICS = ("sum", "mean", "min", "max")
"""What a bag of numbers has beside its size."""

MOST_TOKENS = 500_000
"""The most distinct items of a column that are counted in all rows."""

SAMPLED_ROWS = 65_536
"""The rows in which items are counted where there are more."""

_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class BagColumn:
    """A column of bags, and how they are written.

    Attributes:
        name: The column.
        separator: What separates items of plain text; empty for bags as ingestion writes them.
    """

    name: str
    separator: str = ""


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation, for z-scores."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class BagFacts:
    """Facts about the bags of the train split.

    Attributes:
        column: The column.
        rows: Rows with a bag, empty ones included.
        tokens: How often items occur, most frequent first. Of very many distinct items, those that
            a sample of rows has more than once, with estimates.
        are_numbers: Whether all items are numbers.
        scales: Of `log(1 + size)` as `size` and, for numbers, of `STATISTICS`.
    """

    column: BagColumn
    rows: int
    tokens: Mapping[str, int]
    are_numbers: bool
    scales: Mapping[str, Scale]


def collect(
    examples: Examples,
    columns: Sequence[BagColumn],
    split: str = "train",
    engine: Engine | None = None,
    piece_rows: int = 0,
) -> dict[str, BagFacts]:
    """Collect the facts about columns of bags in one pass.

    Of columns with more than `MOST_TOKENS` distinct items, another pass counts those of a sample.

    Args:
        examples: The examples to read.
        columns: The columns.
        split: The split to read.
        engine: What runs the folds; None for threads of this process.
        piece_rows: The wanted number of rows of a piece; 0 for the usual one.
    """
    if not columns:
        return {}
    engine = engine or LocalEngine()
    pieces = example_pieces.pieces(examples, split, piece_rows)
    found = engine.fold(
        pieces,
        functools.partial(BagFold, tuple(columns)),
        example_pieces.reader(examples, [column.name for column in columns], _BATCH_ROWS),
        what="facts about bags",
    )
    many = [column for column in columns if found[column.name].tokens is None]
    sampled: Mapping[str, Mapping[str, int]] = {}
    if many:
        sample = engine.fold(
            pieces,
            functools.partial(RowSample, SAMPLED_ROWS),
            example_pieces.reader(examples, [column.name for column in many], _BATCH_ROWS),
            what="items of bags",
        )
        sampled = {column.name: _counts_of(sample, column, total_rows(pieces)) for column in many}
    return {
        name: BagFacts(
            facts.column,
            facts.rows,
            sampled[name] if facts.tokens is None else facts.tokens,
            facts.are_numbers,
            facts.scales,
        )
        for name, facts in found.items()
    }


def _counts_of(sample: pa.Table, column: BagColumn, total: int) -> dict[str, int]:
    """Return about how often the items of a sample occur in all rows, without the rarest."""
    counts = ValueCounts(most=2**62, hashes=0)
    for texts in sample[column.name].chunks:
        counts.add(tokens_of(texts.drop_null(), column.separator).flatten())
    times = total / max(1, sample.num_rows)
    return {token: round(rows * times) for token, rows in counts.result().ranked() if rows > 1}


def tokens_of(texts: pa.StringArray, separator: str) -> pa.LargeListArray:
    """Return the items of each text; null for a missing one.

    Example:
        >>> tokens_of(pa.array(['["red", "blue"]', "red", None]), ",").to_pylist()
        [['red', 'blue'], ['red'], None]
    """
    if separator:
        texts = pc.replace_substring_regex(texts, DECORATION, "")
    return bags.tokens(texts, separator)


@dataclass(frozen=True)
class CountedBags:
    """What `BagFold` finds; as `BagFacts`, but `tokens` is None if there are too many."""

    column: BagColumn
    rows: int
    tokens: Mapping[str, int] | None
    are_numbers: bool
    scales: Mapping[str, Scale]


class BagFold:
    """Accumulates the facts about some columns of bags.

    Args:
        columns: The columns.

    Example:
        >>> fold = BagFold([BagColumn("tags", ",")])
        >>> fold.add(Rows(pa.RecordBatch.from_pydict({"tags": ["a, b", "a", None]}), first=0))
        >>> fold.result()["tags"].tokens
        {'a': 2, 'b': 1}
    """

    def __init__(self, columns: Sequence[BagColumn]) -> None:
        self._bags = [_Bags(column) for column in columns]

    def add(self, batch: Rows) -> None:
        """Add rows; the columns are those of the bags."""
        for bags_of, texts in zip(self._bags, batch.batch.columns, strict=True):
            bags_of.add(texts)

    def merge(self, other: "BagFold") -> None:
        """Add what another accumulator has seen."""
        for bags_of, more in zip(self._bags, other._bags, strict=True):
            bags_of.merge(more)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({bags_of.column.name: bags_of.state() for bags_of in self._bags})

    def from_state(self, state: bytes) -> "BagFold":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = BagFold([])
        found._bags = [bags_of.from_state(parts[bags_of.column.name]) for bags_of in self._bags]
        return found

    def result(self) -> dict[str, CountedBags]:
        """Return the facts by column."""
        return {bags_of.column.name: bags_of.facts() for bags_of in self._bags}


class _Bags:
    """The facts about one column so far."""

    def __init__(self, column: BagColumn) -> None:
        self.column = column
        self._rows = 0
        self._counts = ValueCounts(MOST_TOKENS, hashes=0)
        self._are_numbers = True
        self._moments = {name: Moments() for name in ("size", *STATISTICS)}

    def add(self, texts: pa.Array) -> None:
        lists = tokens_of(texts.drop_null(), self.column.separator)
        self._rows += len(lists)
        items = lists.flatten()
        self._counts.add(items)
        sizes = np.diff(np.asarray(lists.offsets, np.int64))
        self._moments["size"].add(np.log1p(sizes))
        if self._are_numbers:
            fits = pc.match_substring_regex(items, NUMBER)
            self._are_numbers = bool(pc.all(fits).as_py() if len(items) else True)
        if self._are_numbers and len(items):
            self._add_numbers(arrays.to_doubles(pc.cast(items, pa.float64())), sizes)

    def merge(self, other: "_Bags") -> None:
        self._rows += other._rows
        self._counts.merge(other._counts)
        self._are_numbers &= other._are_numbers
        for name, found in other._moments.items():
            self._moments[name].merge(found)

    def state(self) -> bytes:
        parts = {f"moments {name}": found.state() for name, found in self._moments.items()}
        return states.pack(
            {
                **parts,
                "rows": self._rows,
                "counts": self._counts.state(),
                "are_numbers": self._are_numbers,
            }
        )

    def from_state(self, state: bytes) -> "_Bags":
        parts = states.unpack(state)
        found = _Bags(self.column)
        found._rows, found._are_numbers = parts["rows"], parts["are_numbers"]
        found._counts = found._counts.from_state(parts["counts"])
        found._moments = {
            name: each.from_state(parts[f"moments {name}"]) for name, each in found._moments.items()
        }
        return found

    def _add_numbers(self, numbers: arrays.Doubles, sizes: "np.ndarray[Any, Any]") -> None:
        filled = sizes > 0
        starts = (np.cumsum(sizes) - sizes)[filled]
        sums = np.add.reduceat(numbers, starts)
        self._moments["sum"].add(sums)
        self._moments["mean"].add(sums / sizes[filled])
        self._moments["min"].add(np.minimum.reduceat(numbers, starts))
        self._moments["max"].add(np.maximum.reduceat(numbers, starts))

    def facts(self) -> CountedBags:
        exact = self._counts.result().are_exact
        tokens = dict(self._counts.ranked()) if exact else None
        are_numbers = self._are_numbers and (not exact or bool(tokens))
        names = ("size", *STATISTICS) if are_numbers else ("size",)
        scales = {name: _scale(self._moments[name]) for name in names}
        return CountedBags(self.column, self._rows, tokens, are_numbers, scales)


def _scale(found: Moments) -> Scale:
    if not found.count:
        return Scale(0.0, 1.0)
    # Rounding leaves a little of a variance that is zero.
    if found.deviation**2 > 1e-12 * max(1.0, found.mean**2):
        return Scale(*stable(found.mean, found.deviation))
    mean, _ = stable(found.mean, abs(found.mean))
    return Scale(mean, 1.0)
