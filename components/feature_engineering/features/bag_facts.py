"""Facts about bags: columns with any number of values per row, as text.

The text is a bag as ingestion writes it (`common.values.bags`) or, in a column of plain text that
`feature_config` calls a bag, items between separators: `red; blue` or `["red", "blue"]`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.values import arrays, bags

DECORATION = r"""[\[\]{}()"']"""
"""Characters around items of plain text that do not belong to them."""

NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
"""An item that is a number."""

STATISTICS = ("sum", "mean", "min", "max")
"""What a bag of numbers has beside its size."""

_BATCH_ROWS = 65_536
_MOST_TOKENS = 500_000


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
        tokens: How often items occur, most frequent first.
        are_numbers: Whether all items are numbers.
        scales: Of `log(1 + size)` as `size` and, for numbers, of `STATISTICS`.
    """

    column: BagColumn
    rows: int
    tokens: Mapping[str, int]
    are_numbers: bool
    scales: Mapping[str, Scale]


def collect(
    examples: Examples, columns: Sequence[BagColumn], split: str = "train"
) -> dict[str, BagFacts]:
    """Collect the facts about columns of bags in one pass.

    Args:
        examples: The examples to read.
        columns: The columns.
        split: The split to read.
    """
    if not columns:
        return {}
    found = [_Bags(column) for column in columns]
    names = [column.name for column in columns]
    for batch in examples.batches(split, names, _BATCH_ROWS):
        for collected, texts in zip(found, batch.columns, strict=True):
            collected.add(texts)
    return {collected.column.name: collected.facts() for collected in found}


def tokens_of(texts: pa.StringArray, separator: str) -> pa.LargeListArray:
    """Return the items of each text; null for a missing one.

    Example:
        >>> tokens_of(pa.array(['["red", "blue"]', "red", None]), ",").to_pylist()
        [['red', 'blue'], ['red'], None]
    """
    if separator:
        texts = pc.replace_substring_regex(texts, DECORATION, "")
    return bags.tokens(texts, separator)


class _Bags:
    """The facts about one column so far."""

    def __init__(self, column: BagColumn) -> None:
        self.column = column
        self._rows = 0
        self._counts: dict[str, int] = {}
        self._are_numbers = True
        self._sums: dict[str, list[float]] = {
            name: [0.0, 0.0, 0.0] for name in ("size", *STATISTICS)
        }

    def add(self, texts: pa.Array) -> None:
        lists = tokens_of(texts.drop_null(), self.column.separator)
        self._rows += len(lists)
        items = lists.flatten()
        counts = pc.value_counts(items)
        for token, times in zip(
            counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True
        ):
            self._counts[token] = self._counts.get(token, 0) + times
        if len(self._counts) > _MOST_TOKENS:
            self._counts = {token: times for token, times in self._counts.items() if times > 1}
        sizes = np.diff(np.asarray(lists.offsets, np.int64))
        self._add("size", np.log1p(sizes))
        if self._are_numbers:
            fits = pc.match_substring_regex(items, NUMBER)
            self._are_numbers = bool(pc.all(fits).as_py() if len(items) else True)
        if self._are_numbers and len(items):
            self._add_numbers(arrays.to_doubles(pc.cast(items, pa.float64())), sizes)

    def _add_numbers(self, numbers: arrays.Doubles, sizes: "np.ndarray") -> None:
        filled = sizes > 0
        starts = (np.cumsum(sizes) - sizes)[filled]
        sums = np.add.reduceat(numbers, starts)
        self._add("sum", sums)
        self._add("mean", sums / sizes[filled])
        self._add("min", np.minimum.reduceat(numbers, starts))
        self._add("max", np.maximum.reduceat(numbers, starts))

    def _add(self, name: str, values: arrays.Doubles) -> None:
        sums = self._sums[name]
        sums[0] += len(values)
        sums[1] += float(values.sum())
        sums[2] += float((values * values).sum())

    def facts(self) -> BagFacts:
        ranked = sorted(self._counts.items(), key=lambda entry: (-entry[1], entry[0]))
        are_numbers = self._are_numbers and bool(ranked)
        names = ("size", *STATISTICS) if are_numbers else ("size",)
        scales = {name: _scale(*self._sums[name]) for name in names}
        return BagFacts(self.column, self._rows, dict(ranked), are_numbers, scales)


def _scale(count: float, total: float, squares: float) -> Scale:
    if not count:
        return Scale(0.0, 1.0)
    mean = total / count
    variance = max(0.0, squares / count - mean * mean)
    # Rounding leaves a little of a variance that is zero.
    varies = variance > 1e-12 * max(1.0, mean * mean)
    return Scale(mean, math.sqrt(variance) if varies else 1.0)
