"""Reads CSV, plain or compressed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.common.values.column_format import ColumnFormat
from kfp_tabular.components.data_ingestion.columns.column_names import check_same_columns
from kfp_tabular.components.data_ingestion.options import AUTO, CsvOptions
from kfp_tabular.components.data_ingestion.readers import csv_index, csv_rows, partitions
from kfp_tabular.components.data_ingestion.readers.column_selection import ColumnSelection
from kfp_tabular.components.data_ingestion.readers.compression import is_compressed
from kfp_tabular.components.data_ingestion.readers.csv_dialect import CsvDialect, CsvLayout
from kfp_tabular.components.data_ingestion.readers.csv_index import (
    BlockIndex,
    FileLayout,
    offset_of_line,
)
from kfp_tabular.components.data_ingestion.readers.csv_rows import RowBytes
from kfp_tabular.components.data_ingestion.readers.csv_sniffing import file_scan
from kfp_tabular.components.data_ingestion.readers.csv_sniffing.delimiters import fields_of
from kfp_tabular.components.data_ingestion.readers.csv_sniffing.sniffer import (
    SniffedFile,
    decisions,
    sniff,
)
from kfp_tabular.components.data_ingestion.readers.csv_stream import (
    is_bytewise,
    open_utf8,
    skip,
    to_utf8,
)
from kfp_tabular.components.data_ingestion.readers.partitions import Partition
from kfp_tabular.components.data_ingestion.readers.source import (
    MOST_TEXT,
    ParsedBlock,
    RejectedRow,
    RowNumbers,
    SourceLine,
)
from kfp_tabular.components.data_ingestion.readers.source_pieces import grouped

BLOCK_BYTES = 4 << 20
_BYTES_PER_COLUMN = 8 << 10
"""The minimum length of a block per column: each column of a block has a fixed cost."""
_LARGE = 256 << 20
_LONGEST_ROW = 16 << 20
_Numbers = np.ndarray[Any, np.dtype[np.int64]]
_BEHIND = "\n"
"""Stands for what is behind a delimiter at the end of a row; no column is called so."""


class CsvSource:
    """CSV files with the same columns, in any order, each read in its own dialect.

    Args:
        files: The files, at least one. Files of zero bytes are skipped.
        options: How the text is written; `auto` is found out.
        selection: Which columns to read. Default: all.
        expected: Columns that other options name, such as the label.
        engine: Looks through the files; None for threads of this process.

    Attributes:
        columns: The columns that are read.
        known: All columns that options may name, with excluded ones.
        bags: The formats of the columns that are read as bags: none.
        notes: What was found out about how the files are written.

    Raises:
        UserError: All files are empty, a header cannot be read, two columns have the same name,
            or the files' columns differ.
    """

    def __init__(
        self,
        files: Sequence[InputFile],
        options: CsvOptions,
        selection: ColumnSelection | None = None,
        expected: Collection[str] = (),
        engine: Engine | None = None,
    ) -> None:
        self._selection = selection = selection or ColumnSelection()
        self._files: dict[InputFile, SniffedFile] = {}
        sniffed: SniffedFile | None = None
        encoding = "" if options.csv_encoding == AUTO else options.csv_encoding
        scans = file_scan.scan_all(files, encoding, engine or LocalEngine())
        for file, scan in zip(files, scans, strict=True):
            found = sniff(file, options, scan, expected=expected, like=sniffed)
            if found is not None:
                sniffed = sniffed or found
                self._files[file] = _named_like(sniffed, found)
        if sniffed is None:
            raise UserError(f"{files[0].uri}: the file is empty. Expected a header and rows.")
        self._first = next(iter(self._files))
        first = self._columns(self._first)
        self.columns: Sequence[str] = first
        for file in self._files:
            check_same_columns(self._first.uri, first, file.uri, self._columns(file))
        self.known: Sequence[str] = list(
            dict.fromkeys(
                name
                for file, found in self._files.items()
                for name in (*found.layout.columns, *selection.partitions.get(file.uri, ()))
            )
        )
        self.bags: Mapping[str, ColumnFormat] = {}
        self.notes: Sequence[Finding] = [*decisions(self._files), *self._uncut()]
        self._pieces: Sequence[Piece] | None = None
        self._indexes: Sequence[BlockIndex | None] = ()
        self._blocks: _Numbers = np.empty((0, 2), np.int64)
        for name in selection.nested:
            way = f'{{"{name}": {{"kind": "bag", "separator": ";"}}}}'
            raise UserError(
                f"nested: {name!r} is a column of CSV, which has one value per row. For values "
                f"with separators, use feature_config={way}."
            )

    def pieces(self, engine: Engine) -> Sequence[Piece]:
        """Find the blocks of the files that can be cut, and group them."""
        if self._pieces is not None:
            return self._pieces
        cut = {file: layout for file in self._files if (layout := self._cuttable(file))}
        found = dict(zip(cut, csv_index.index(list(cut.values()), engine), strict=True))
        self._indexes = [found.get(file) for file in self._files]
        self._blocks, sizes = _numbered(self._indexes, [each.size for each in self._files])
        self._pieces = grouped(sizes, "blocks", self._first.uri)
        return self._pieces

    def reader(self, columns: Sequence[str] | None = None) -> "CsvReader":
        """Return what reads the pieces; only after `pieces`."""
        wanted = tuple(self.columns if columns is None else columns)
        readings = [
            _Reading(
                file,
                found.layout,
                wanted,
                found.dialect,
                self._selection.partition(file, found.layout.columns),
            )
            for file, found in self._files.items()
        ]
        return CsvReader(readings, self._indexes, self._blocks, self._block_bytes)

    @property
    def _block_bytes(self) -> int:
        return max(BLOCK_BYTES, len(self.columns) * _BYTES_PER_COLUMN)

    def _cuttable(self, file: InputFile) -> FileLayout | None:
        """Return how to cut a file; None where it has to be read from its start."""
        found = self._files[file]
        if not is_bytewise(found.dialect.encoding) or is_compressed(file):
            return None
        size = file.size
        syntax, layout = found.dialect.syntax, found.layout
        first = offset_of_line(file, layout.lines)
        return FileLayout(
            file,
            syntax,
            min(first, size),
            layout.lines + 1,
            size,
            self._block_bytes,
            longest_row(self._block_bytes),
        )

    def _uncut(self) -> list[Finding]:
        """Say which large files are read from their start to their end, by one thread."""
        return [
            Finding(
                "note",
                "one-piece",
                f"{file.uri} is read as one piece, which takes longer than plain UTF-8: "
                + (
                    "compressed data cannot be cut."
                    if is_compressed(file)
                    else f"{found.dialect.encoding.name} cannot be cut."
                ),
                option="data_uri",
            )
            for file, found in self._files.items()
            if file.size >= _LARGE
            and (is_compressed(file) or not is_bytewise(found.dialect.encoding))
        ]

    def values_of(self, file: str, row: str, column: str) -> list[str]:
        """Return what a row that could not be read may hold in a column.

        Args:
            file: The URI of the row's file.
            row: The row's text.
            column: A column.

        Returns:
            The field, counted from the start; in a row with too few or too many fields, also the
            one that is counted from the end.
        """
        for given, found in self._files.items():
            names = found.layout.columns
            if given.uri == file and column in names:
                syntax = found.dialect.syntax
                text = csv_rows.unescaped(row.encode(), syntax).decode()
                fields = fields_of(text, syntax.delimiter.decode(), syntax.quote.decode())
                number = names.index(column)
                places = {number, number - len(names) + len(fields)}
                return [
                    fields[place].strip() for place in sorted(places) if 0 <= place < len(fields)
                ]
        return []

    def _columns(self, file: InputFile) -> list[str]:
        own = self._files[file].layout.columns
        return [*self._selection.kept(own), *self._selection.partition(file, own)]


def _named_like(first: SniffedFile, other: SniffedFile) -> SniffedFile:
    """Return a file without a header with the names of the first file, if they fit."""
    names = first.layout.columns
    if other.layout.has_header or len(other.layout.columns) != len(names):
        return other
    return replace(other, layout=replace(other.layout, columns=names))


def longest_row(block_bytes: int) -> int:
    """Return how long a row may be; a longer one opens a quote by mistake."""
    return max(_LONGEST_ROW, 4 * block_bytes)


def _numbered(
    indexes: Sequence[BlockIndex | None], file_sizes: Sequence[int]
) -> tuple[_Numbers, list[int]]:
    """Return the file and the number in it of all blocks, and their sizes."""
    blocks: list[tuple[int, int]] = []
    sizes: list[int] = []
    for file, (found, size) in enumerate(zip(indexes, file_sizes, strict=True)):
        if found is None:
            blocks.append((file, 0))
            sizes.append(size)
        else:
            blocks += [(file, block) for block in range(len(found))]
            sizes += np.diff(found.starts).tolist()
    return np.array(blocks, np.int64).reshape(-1, 2), sizes


@dataclass(frozen=True)
class CsvReader:
    """Reads pieces of CSV files. Made by `CsvSource.reader`.

    Attributes:
        readings: How to read each file.
        indexes: The blocks of each file; None for one that is read from its start.
        blocks: The file and the number in it of all blocks that pieces count.
        block_bytes: The approximate length of a block of a file that is read from its start.
    """

    readings: "Sequence[_Reading]"
    indexes: Sequence[BlockIndex | None]
    blocks: _Numbers
    block_bytes: int

    def __call__(self, piece: Piece) -> Iterator["CsvBlock"]:
        """Yield the blocks of a piece in order."""
        for file, blocks in groupby(self.blocks[piece.start : piece.stop].tolist(), itemgetter(0)):
            reading, found = self.readings[file], self.indexes[file]
            if found is None:
                yield from self._streamed(reading)
                continue
            numbers = [block for _, block in blocks]
            for rows in csv_index.read_blocks(
                reading.source, found, range(numbers[0], numbers[-1] + 1), 4 * MOST_TEXT
            ):
                yield CsvBlock(
                    replace(rows, data=to_utf8(rows.data, reading.dialect.encoding)), reading
                )

    def _streamed(self, reading: "_Reading") -> Iterator["CsvBlock"]:
        layout, dialect = reading.layout, reading.dialect
        with open_utf8(reading.source, dialect.encoding) as stream:
            skip(stream, layout.size)
            for rows in csv_rows.cut(
                stream,
                dialect.syntax,
                layout.lines + 1,
                self.block_bytes,
                longest_row(self.block_bytes),
            ):
                if not rows.continues:
                    yield CsvBlock(rows, reading)


@dataclass(frozen=True)
class _Reading:
    """What the blocks of a file have in common."""

    source: InputFile
    layout: CsvLayout
    wanted: tuple[str, ...]
    dialect: CsvDialect
    partition: Partition

    @property
    def file(self) -> str:
        """The URI of the file."""
        return self.source.uri

    @property
    def last(self) -> tuple[str, ...]:
        """The column after the last one, where the rows end in a delimiter."""
        return (_BEHIND,) if self.layout.trailing else ()

    @cached_property
    def convert_options(self) -> pacsv.ConvertOptions:
        # Read everything as text: the type of a column is known only after the last block. Without
        # a column of its own, a file still has a number of rows.
        read = [name for name in self.wanted if name not in self.partition] or self.layout.columns[
            :1
        ]
        return pacsv.ConvertOptions(
            column_types=dict.fromkeys([*read, *self.last], pa.string()),
            include_columns=[*read, *self.last],
            check_utf8=False,
            strings_can_be_null=True,
            null_values=["", *self.dialect.missing_values],
        )


@dataclass(frozen=True)
class CsvBlock:
    """Rows of one CSV file; a `source.Block`."""

    found: RowBytes
    reading: _Reading

    def parse(self) -> ParsedBlock:
        """Parse the rows."""
        if self.found.unclosed:
            return self._unclosed()
        decoded = self._without_undecodable()
        table, ragged = self._split_fields(decoded.data)
        rows_left_out: list[tuple[int, str]] = [
            (row, f"not valid {self.reading.dialect.encoding.name}") for row in decoded.left_out
        ]
        kept = self._kept(decoded.left_out) if decoded.left_out or ragged else None
        if kept is not None and ragged:
            numbers = np.array([row.number - 1 for row in ragged], np.int64)
            rows_left_out += [
                (int(kept[number]), f"{row.actual_columns} fields, expected {row.expected_columns}")
                for number, row in zip(numbers, ragged, strict=True)
            ]
            kept = np.delete(kept, numbers)
        source_lines = self._source_lines(np.array([row for row, _ in rows_left_out], np.int64))
        return ParsedBlock(
            columns=self._columns(table),
            rows=table.num_rows,
            file=self.reading.file,
            source_lines=lambda rows: self._source_lines(rows if kept is None else kept[rows]),
            unreadable=[
                RejectedRow(self.reading.file, line.line, reason, line.text)
                for line, (_, reason) in zip(source_lines, rows_left_out, strict=True)
            ],
            faults=self._behind(table),
        )

    def _behind(self, table: pa.Table) -> list[tuple[Mask, str]]:
        """Return the rows that have a value more than there are columns."""
        columns = len(self.reading.layout.columns)
        reason = f"{columns + 1} fields, expected {columns}"
        return [
            (arrays.to_valid(_one_chunk(table.column(name))), reason)
            for name in self.reading.last
            if table.column(name).null_count < table.num_rows
        ]

    @cached_property
    def _found(self) -> tuple[bytes, csv_rows.Rows]:
        """The bytes without comments, and the rows in them."""
        data, syntax = self.found.data, self.reading.dialect.syntax
        rows = csv_rows.find_rows(data, syntax)
        return csv_rows.joined(data, rows) if syntax.skipped else (data, rows)

    @property
    def _data(self) -> bytes:
        return self._found[0] if self.reading.dialect.syntax.skipped else self.found.data

    @property
    def _rows(self) -> csv_rows.Rows:
        return self._found[1]

    def _kept(self, left_out: Sequence[int]) -> RowNumbers:
        return np.delete(np.arange(len(self._rows.starts), dtype=np.int64), left_out)

    def _source_lines(self, rows: RowNumbers) -> list[SourceLine]:
        if not len(rows):
            return []
        starts, ends, lines = (
            values[rows].tolist()
            for values in (self._rows.starts, self._rows.ends, self._rows.lines)
        )
        return [
            SourceLine(self.found.line + line, _as_text(self._data[start:end]))
            for start, end, line in zip(starts, ends, lines, strict=True)
        ]

    def _columns(self, table: pa.Table) -> dict[str, pa.Array]:
        return {
            name: partitions.repeated(self.reading.partition[name], table.num_rows)
            if name in self.reading.partition
            else _one_chunk(table.column(name))
            for name in self.reading.wanted
        }

    def _unclosed(self) -> ParsedBlock:
        text = _as_text(self.found.data.rstrip(b"\r\n"))
        row = RejectedRow(
            self.reading.file, self.found.line, "an opening quote is never closed", text
        )
        return ParsedBlock(
            columns=self._columns(self._no_rows()),
            rows=0,
            file=self.reading.file,
            source_lines=lambda _: [],
            unreadable=[row],
        )

    def _no_rows(self) -> pa.Table:
        return pa.table(
            {name: pa.nulls(0, pa.string()) for name in (*self.reading.wanted, *self.reading.last)}
        )

    def _without_undecodable(self) -> "_Decodable":
        data = self._data
        if data.isascii():
            return _Decodable(data, [])
        try:
            data.decode()
        except UnicodeDecodeError:
            # Only then must it be known where rows are.
            return self._without_undecodable_rows(data)
        return _Decodable(data, [])

    def _without_undecodable_rows(self, data: bytes) -> "_Decodable":
        position, left_out, good = 0, [], []
        starts = self._rows.starts
        while True:
            try:
                data[position:].decode()
            except UnicodeDecodeError as error:
                row = int(np.searchsorted(starts, position + error.start, side="right")) - 1
                left_out.append(row)
                good.append(data[position : starts[row]])
                position = int(starts[row + 1]) if row + 1 < len(starts) else len(data)
            else:
                good.append(data[position:])
                return _Decodable(b"".join(good), left_out)

    def _split_fields(self, data: bytes) -> tuple[pa.Table, list[pacsv.InvalidRow]]:
        # Unlike `strip`, it copies nothing where the data starts with a row.
        if not data.lstrip(b"\r\n"):
            return self._no_rows(), []
        ragged: list[pacsv.InvalidRow] = []

        def leave_out(row: pacsv.InvalidRow) -> str:
            ragged.append(row)
            return "skip"

        syntax = self.reading.dialect.syntax
        data = csv_rows.unescaped(data, syntax)
        table = pacsv.read_csv(
            pa.BufferReader(data),
            # One thread and one block, because pyarrow numbers ragged rows only then. Threads
            # parse blocks in parallel instead.
            read_options=pacsv.ReadOptions(
                column_names=[*self.reading.layout.columns, *self.reading.last],
                use_threads=False,
                block_size=len(data) + 1,
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=syntax.delimiter.decode(),
                quote_char=syntax.quote.decode() or False,
                newlines_in_values=True,
                invalid_row_handler=leave_out,
            ),
            convert_options=self.reading.convert_options,
        )
        columns = len(self.reading.layout.columns)
        if self.reading.last and (
            bare := [row.number - 1 for row in ragged if row.actual_columns == columns]
        ):
            # Rows without the delimiter that others end in.
            return self._split_fields(csv_rows.with_delimiter(data, bare, syntax))
        return table, ragged


@dataclass(frozen=True)
class _Decodable:
    """The rows of a piece that decode, and the numbers of those that do not."""

    data: bytes
    left_out: list[int]


def _one_chunk(column: pa.ChunkedArray) -> pa.StringArray:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _as_text(data: bytes) -> str:
    return data[: 4 * MOST_TEXT].decode("utf-8", "backslashreplace")[:MOST_TEXT]
