"""The accumulator of the statistics of examples: of every split, and every column of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.folds.row_sample import RowSample
from kfp_tabular.components.common.statistics.column_folds import (
    ColumnFold,
    NumberColumn,
    TextColumn,
)

WIDE = 200
"""More columns than this get fewer bins, quantiles and ranks: less time, smaller files."""

_BINS = 16_384
_ALL_BINS = 4_000_000
_COUNTED_TEXTS = 16_384
_ALL_COUNTED_TEXTS = 1_000_000
_SAMPLED_TEXTS = 16_384
_ALL_SAMPLED_TEXTS = 1_000_000
_LEAST = 1_024


@dataclass
class SplitStatistics:
    """The statistics of a split.

    Attributes:
        rows: Its rows.
        columns: The statistics of each column.
        texts: The text columns of a sample of rows, in random order.
    """

    rows: int
    columns: Mapping[str, ColumnFold]
    texts: pa.Table = field(default_factory=lambda: pa.table({}))


class StatisticsFold:
    """Accumulates the statistics of every split.

    Args:
        schema: The columns, with the types that they are read as.

    Example:
        >>> fold = StatisticsFold(pa.schema([("fare", pa.float64())]))
        >>> fold.add(Rows(pa.RecordBatch.from_pydict({"fare": [1.5, 2.5]}), 0, "train"))
        >>> fold.result()["train"].columns["fare"].mean
        2.0
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._texts = [field.name for field in schema if _is_text(field.type)]
        self._splits: dict[str, _Split] = {}

    def add(self, batch: Rows) -> None:
        """Add rows of a split."""
        split = self._splits.setdefault(batch.split, _Split(self._schema, self._texts))
        split.add(batch)

    def merge(self, other: "StatisticsFold") -> None:
        """Add what another accumulator has seen."""
        for name, split in other._splits.items():
            if name in self._splits:
                self._splits[name].merge(split)
            else:
                self._splits[name] = split

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({name: split.state() for name, split in self._splits.items()})

    def from_state(self, state: bytes) -> "StatisticsFold":
        """Return an accumulator with a state."""
        found = StatisticsFold(self._schema)
        empty = _Split(self._schema, self._texts)
        for name, part in states.unpack(state).items():
            found._splits[name] = empty.from_state(part)
        return found

    def result(self) -> dict[str, SplitStatistics]:
        """Return the statistics by split; splits without rows are absent."""
        return {name: self._splits[name].result() for name in sorted(self._splits)}


class _Split:
    def __init__(self, schema: pa.Schema, texts: list[str]) -> None:
        self._schema = schema
        self._texts = texts
        self.rows = 0
        self.columns: dict[str, ColumnFold] = {
            entry.name: _column(entry, len(schema)) for entry in schema
        }
        most = _share(_SAMPLED_TEXTS, _ALL_SAMPLED_TEXTS, len(texts))
        self.sample = RowSample(most) if texts else None

    def add(self, batch: Rows) -> None:
        columns = batch.batch
        self.rows += columns.num_rows
        for name, column in zip(columns.schema.names, columns.columns, strict=True):
            self.columns[name].add(column)
        if self.sample is not None:
            chosen = [columns.column(columns.schema.get_field_index(name)) for name in self._texts]
            texts = pa.RecordBatch.from_arrays(chosen, self._texts)
            self.sample.add(Rows(texts, batch.first, batch.split))

    def merge(self, other: "_Split") -> None:
        self.rows += other.rows
        for name, column in self.columns.items():
            column.merge(other.columns[name])
        if self.sample is not None and other.sample is not None:
            self.sample.merge(other.sample)

    def state(self) -> bytes:
        sample = {} if self.sample is None else {"sample": self.sample.state()}
        columns = states.pack({name: column.state() for name, column in self.columns.items()})
        return states.pack({"rows": self.rows, "columns": columns, **sample})

    def from_state(self, state: bytes) -> "_Split":
        parts = states.unpack(state)
        found = _Split(self._schema, self._texts)
        found.rows = parts["rows"]
        found.columns = {
            name: self.columns[name].from_state(column)
            for name, column in states.unpack(parts["columns"]).items()
        }
        if self.sample is not None:
            found.sample = self.sample.from_state(parts["sample"])
        return found

    def result(self) -> SplitStatistics:
        texts = pa.table({}) if self.sample is None else self.sample.result()
        for name in texts.column_names:
            column = self.columns[name]
            if isinstance(column, TextColumn):
                column.sampled = texts.column(name).combine_chunks()
        return SplitStatistics(self.rows, self.columns, texts)


def is_supported(kind: pa.DataType) -> bool:
    """Return whether there are statistics for columns of a type."""
    return _is_text(kind) or _is_number(kind)


def _column(entry: pa.Field, columns: int) -> ColumnFold:
    if _is_number(entry.type):
        bins = _share(_BINS, _ALL_BINS, columns)
        return NumberColumn(is_whole=bool(pa.types.is_integer(entry.type)), bins=bins)
    return TextColumn(_share(_COUNTED_TEXTS, _ALL_COUNTED_TEXTS, columns))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _share(most: int, together: int, columns: int) -> int:
    return max(_LEAST, min(most, together // max(columns, 1)))
