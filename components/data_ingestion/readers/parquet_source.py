"""Reads Parquet files."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common.artifacts.examples.damaged_parquet import one_line
from kfp_tabular.components.common.artifacts.examples.shard_file import extents
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import InputFile, StoredFile
from kfp_tabular.components.common.storage.object_store import CONNECTIONS
from kfp_tabular.components.common.storage.remote_file import RemoteFile
from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.data_ingestion.columns import nested_columns, typed_columns
from kfp_tabular.components.data_ingestion.columns.column_names import check_same_columns
from kfp_tabular.components.data_ingestion.nested_ways import FLATTEN
from kfp_tabular.components.data_ingestion.readers.column_selection import ColumnSelection
from kfp_tabular.components.data_ingestion.readers.source import (
    MOST_TEXT,
    ParsedBlock,
    RowNumbers,
    SourceLine,
)
from kfp_tabular.components.data_ingestion.readers.source_pieces import grouped
from kfp_tabular.components.data_ingestion.readers.typed_layout import ColumnLayout

_MOST_ROWS = 65_536
_VALUES_PER_BLOCK = 4 << 20
_WINDOW_BYTES = 32 << 20
"""What is held of a file in a store while it is read."""

_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


class ParquetSource:
    """Parquet files with the same columns, in any order.

    Args:
        files: The files, at least one.
        selection: Which columns to read, and how nested ones become columns. Default: all, and no
            nested ones.

    Attributes:
        columns: The columns that are read.
        known: All columns that options may name: excluded and nested ones too.
        bags: The formats of the columns that are read as bags.
        notes: What was decided about types.

    Raises:
        UserError: A file cannot be read, a column is nested and `selection` does not say what to
            do with it, two columns have the same name, or the files' columns differ.
    """

    def __init__(
        self,
        files: Sequence[InputFile],
        selection: ColumnSelection | None = None,
    ) -> None:
        self._selection = selection = selection or ColumnSelection()
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            footers = dict(zip(files, threads.map(_footer, files), strict=True))
        self._types = {file: _types(file, footer) for file, footer in footers.items()}
        self._groups = {file: _row_groups(footer) for file, footer in footers.items()}
        self._partitions = {
            file: selection.partition(file, found) for file, found in self._types.items()
        }
        inferred = {name for partition in self._partitions.values() for name in partition}
        kept = [
            {name: found[name] for name in selection.kept(found)} for found in self._types.values()
        ]
        self._check_nested(kept)
        self._layout = ColumnLayout.of(selection.nested, kept, inferred)
        self._parts = self._flattened()
        first = self._columns(files[0])
        self.columns: Sequence[str] = first
        for file in files[1:]:
            check_same_columns(files[0].uri, first, file.uri, self._columns(file))
        self.bags = self._layout.bags
        self.known: Sequence[str] = list(
            dict.fromkeys(
                name
                for names in (
                    *self._types.values(),
                    *selection.partitions.values(),
                    *self._parts.values(),
                )
                for name in names
            )
        )
        self.notes = self._layout.notes([(file.uri, self._types[file]) for file in files])

    def pieces(self, engine: Engine) -> Sequence[Piece]:  # noqa: ARG002 - `Source`
        """Group the row groups of the files."""
        sizes = [size for groups in self._groups.values() for _, size in groups]
        return grouped(sizes, "row-groups", next(iter(self._types)).uri)

    def reader(self, columns: Sequence[str] | None = None) -> "ParquetReader":
        """Return what reads the pieces."""
        wanted = list(self.columns if columns is None else columns)
        whole = {part: name for name, parts in self._parts.items() for part in parts}
        readings = []
        for file, types in self._types.items():
            partition = self._partitions[file]
            read = [whole.get(name, name) for name in wanted if name not in partition]
            # Without a column of its own, a file still has a number of rows.
            read = list(dict.fromkeys(read)) or list(types)[:1]
            columns_of = partial(self._layout.columns, wanted=wanted, partition=partition)
            firsts = np.cumsum([1, *(rows for rows, _ in self._groups[file])]).tolist()
            readings.append(_Reading(file, tuple(read), columns_of, tuple(firsts)))
        rows = max(min(_MOST_ROWS, _VALUES_PER_BLOCK // len(wanted)), 1)
        return ParquetReader(tuple(readings), self._layout.inferred, rows)

    def _check_nested(self, kept: Sequence[Mapping[str, pa.DataType]]) -> None:
        for file, types in zip(self._types, kept, strict=True):
            unclear = {
                name: found
                for name, found in types.items()
                if name not in self._selection.nested and not typed_columns.is_scalar(found)
            }
            if unclear:
                name, found = next(iter(unclear.items()))
                raise UserError(
                    f"{file.uri}: column {name!r} has type {found}, several values per row. "
                    + nested_columns.advice(unclear)
                )

    def _flattened(self) -> dict[str, list[str]]:
        """Return the columns that each flattened column becomes."""
        return {
            name: self._flat_names(name)
            for name, way in self._selection.nested.items()
            if way == FLATTEN and any(name in types for types in self._types.values())
        }

    def _flat_names(self, name: str) -> list[str]:
        found: dict[str, None] = {}
        for file, types in self._types.items():
            if name not in types:
                continue
            names = nested_columns.flat_names(name, types[name])
            if names is not None:
                found.update(dict.fromkeys(names))
                continue
            # The longest list, or the keys of a map: only the values tell.
            with _opened(file, [name]) as parquet:
                for batch in parquet.iter_batches(columns=[name]):
                    found.update(dict.fromkeys(nested_columns.flatten(name, batch.column(name))))
        return sorted(found, key=_naturally)

    def _columns(self, file: InputFile) -> list[str]:
        """Return the columns that a file has in the end."""
        names = [
            part
            for name in self._selection.kept(self._types[file])
            for part in self._selection.kept(self._parts.get(name, [name]))
        ]
        names += self._partitions[file]
        _check_distinct(file, names)
        if not names:
            raise UserError(f"{file.uri}: the file has no columns.")
        return names


ColumnsOf = Callable[[pa.RecordBatch], Mapping[str, pa.Array]]


@dataclass(frozen=True)
class _Reading:
    """How to read a file.

    Attributes:
        file: The file.
        read: The columns to read, as the file has them.
        columns_of: Returns the wanted columns of a batch.
        firsts: The number of the first row of each row group, counted from 1, and that after the
            last.
    """

    file: InputFile
    read: tuple[str, ...]
    columns_of: "ColumnsOf"
    firsts: tuple[int, ...]


@dataclass(frozen=True)
class ParquetReader:
    """Reads pieces of Parquet files. Made by `ParquetSource.reader`.

    Attributes:
        readings: How to read each file.
        inferred: Columns that get their type from their values as text.
        block_rows: The largest number of rows in a block.
    """

    readings: "tuple[_Reading, ...]"
    inferred: frozenset[str]
    block_rows: int

    def __call__(self, piece: Piece) -> "Iterator[TypedBlock]":
        """Yield the blocks of a piece in order."""
        first = 0
        for reading in self.readings:
            groups = len(reading.firsts) - 1
            start, stop = max(piece.start - first, 0), min(piece.stop - first, groups)
            first += groups
            if start < stop:
                yield from self._blocks(reading, range(start, stop))

    def _blocks(self, reading: "_Reading", groups: range) -> "Iterator[TypedBlock]":
        read, first_row = list(reading.read), reading.firsts[groups.start]
        file = reading.file
        with _opened(file, read, groups) as parquet:
            for batch in parquet.iter_batches(
                batch_size=self.block_rows, row_groups=groups, columns=read
            ):
                yield TypedBlock(
                    batch.select(read), file.uri, first_row, self.inferred, reading.columns_of
                )
                first_row += batch.num_rows


@dataclass(frozen=True)
class TypedBlock:
    """Rows with types; a `source.Block`.

    Attributes:
        batch: The rows as the file has them.
        file: The URI of the file.
        first_row: The number of the first row, counted from 1.
        inferred: Columns that get their type from their values as text.
        columns_of: Returns the columns of the batch; None for those that it has.
    """

    batch: pa.RecordBatch
    file: str
    first_row: int
    inferred: frozenset[str] = frozenset()
    columns_of: ColumnsOf | None = None

    def parse(self) -> ParsedBlock:
        """Reduce the columns to a few types."""
        columns, faults = {}, []
        for name, values in self._given().items():
            plain = typed_columns.plain(values)
            columns[name] = plain.values
            if plain.undecodable is not None:
                faults.append((plain.undecodable, f"column {name!r}: not valid UTF-8"))
        return ParsedBlock(
            columns,
            self.batch.num_rows,
            self.file,
            self._source_lines,
            faults=faults,
            stated=columns.keys() - self.inferred,
        )

    def _given(self) -> Mapping[str, pa.Array]:
        if self.columns_of is not None:
            return self.columns_of(self.batch)
        return dict(zip(self.batch.schema.names, self.batch.columns, strict=True))

    def _source_lines(self, rows: RowNumbers) -> list[SourceLine]:
        records = self.batch.take(arrays.from_integers(rows)).to_pylist()
        return [
            SourceLine(
                self.first_row + int(row),
                json.dumps(record, ensure_ascii=False, default=str)[:MOST_TEXT],
            )
            for row, record in zip(rows, records, strict=True)
        ]


@contextmanager
def _readable(file: InputFile) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if "Expected all lists to be of size" in str(error):
            # Arrow writes such files, and does not read them.
            raise UserError(
                f"{file.uri}: a column of lists with a fixed size has missing values, which "
                "pyarrow cannot read. Write it as lists of any size, or exclude it."
            ) from error
        raise UserError(
            f"{file.uri}: the Parquet file is damaged: {one_line(error)}. Write it again, or leave "
            "it out."
        ) from error


@contextmanager
def _opened(
    file: InputFile, columns: Sequence[str] | None = None, groups: Sequence[int] | None = None
) -> Iterator[pq.ParquetFile]:
    """Open a file; of one in a store, columns of row groups are fetched ahead, and nothing else.

    Args:
        file: The file.
        columns: The columns that are read; None for only the footer.
        groups: The row groups; None for all.
    """
    with ExitStack() as stack:
        stack.enter_context(_readable(file))
        if isinstance(file, StoredFile):
            threads = stack.enter_context(ThreadPoolExecutor(CONNECTIONS))
            source = stack.enter_context(
                RemoteFile(file.read, file.size, threads, window=_WINDOW_BYTES)
            )
            parquet = pq.ParquetFile(pa.PythonFile(source, mode="r"), pre_buffer=False)
            if columns is not None:
                footer = parquet.metadata
                wanted = range(footer.num_row_groups) if groups is None else groups
                source.announce([extents(footer.row_group(n), columns) for n in wanted])
        else:
            parquet = pq.ParquetFile(file.place, memory_map=True)
        with parquet:
            yield parquet


def _footer(file: InputFile) -> tuple["pq.FileMetaData", pa.Schema]:
    with _opened(file) as parquet:
        return parquet.metadata, parquet.schema_arrow


def _types(file: InputFile, footer: tuple["pq.FileMetaData", pa.Schema]) -> dict[str, pa.DataType]:
    """Return the types of a file's columns, without the index that pandas writes."""
    schema = footer[1]
    _check_distinct(file, schema.names)
    return {field.name: field.type for field in schema if not _PANDAS_INDEX.fullmatch(field.name)}


def _row_groups(footer: tuple["pq.FileMetaData", pa.Schema]) -> list[tuple[int, int]]:
    """Return the rows and bytes of each row group."""
    groups = (footer[0].row_group(number) for number in range(footer[0].num_row_groups))
    return [(group.num_rows, group.total_byte_size) for group in groups]


def _check_distinct(file: InputFile, names: Sequence[str]) -> None:
    name, count = Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise UserError(
            f"{file.uri}: the file has more than one column {name!r}. Rename one of them."
        )


def _naturally(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts `scores_10` after `scores_9`."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
