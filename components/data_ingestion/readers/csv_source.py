"""Reads CSV, plain or compressed."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.common.values import arrays
from kfp_tabular.components.common.values.arrays import Mask
from kfp_tabular.components.common.values.column_format import ColumnFormat
from kfp_tabular.components.data_ingestion.columns.column_names import check_same_columns
from kfp_tabular.components.data_ingestion.options import CsvOptions
from kfp_tabular.components.data_ingestion.readers import csv_rows, partitions
from kfp_tabular.components.data_ingestion.readers.column_selection import ColumnSelection
from kfp_tabular.components.data_ingestion.readers.csv_dialect import CsvDialect, CsvLayout
from kfp_tabular.components.data_ingestion.readers.csv_rows import Piece
from kfp_tabular.components.data_ingestion.readers.csv_sniffing.delimiters import fields_of
from kfp_tabular.components.data_ingestion.readers.csv_sniffing.sniffer import (
    SniffedFile,
    decisions,
    sniff,
)
from kfp_tabular.components.data_ingestion.readers.csv_stream import open_utf8, skip
from kfp_tabular.components.data_ingestion.readers.partitions import Partition
from kfp_tabular.components.data_ingestion.readers.source import (
    MOST_TEXT,
    ParsedBlock,
    RejectedRow,
    RowNumbers,
    SourceLine,
)

PIECE_BYTES = 4 << 20
_BYTES_PER_COLUMN = 8 << 10
"""The minimum length of a piece per column: each column of a piece has a fixed cost."""
_LONGEST_ROW = 16 << 20
_BEHIND = "\n"
"""Stands for what is behind a delimiter at the end of a row; no column is called so."""


class CsvSource:
    """CSV files with the same columns, in any order, each read in its own dialect.

    Args:
        files: The files, at least one. Files of zero bytes are skipped.
        options: How the text is written; `auto` is found out.
        selection: Which columns to read. Default: all.
        expected: Columns that other options name, such as the label.

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
        files: Sequence[LocalFile],
        options: CsvOptions,
        selection: ColumnSelection | None = None,
        expected: Collection[str] = (),
    ) -> None:
        self._selection = selection = selection or ColumnSelection()
        self._files: dict[LocalFile, SniffedFile] = {}
        sniffed: SniffedFile | None = None
        for file in files:
            found = sniff(file, options, expected=expected, like=sniffed)
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
        self.notes: Sequence[Finding] = decisions(self._files)
        for name in selection.nested:
            way = f'{{"{name}": {{"kind": "bag", "separator": ";"}}}}'
            raise UserError(
                f"nested: {name!r} is a column of CSV, which has one value per row. For values "
                f"with separators, use feature_config={way}."
            )

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator["CsvBlock"]:
        """Yield the files as blocks of whole rows, in order."""
        wanted = self.columns if columns is None else columns
        piece_bytes = max(PIECE_BYTES, len(self.columns) * _BYTES_PER_COLUMN)
        for file, found in self._files.items():
            dialect, layout = found.dialect, found.layout
            reading = _Reading(
                file.uri,
                layout,
                tuple(wanted),
                dialect,
                self._selection.partition(file, layout.columns),
            )
            with open_utf8(file, dialect.encoding) as stream:
                skip(stream, layout.size)
                for piece in csv_rows.cut(
                    stream,
                    dialect.syntax,
                    layout.lines + 1,
                    piece_bytes,
                    max(_LONGEST_ROW, 4 * piece_bytes),
                ):
                    yield CsvBlock(piece, reading)

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

    def _columns(self, file: LocalFile) -> list[str]:
        own = self._files[file].layout.columns
        return [*self._selection.kept(own), *self._selection.partition(file, own)]


def _named_like(first: SniffedFile, other: SniffedFile) -> SniffedFile:
    """Return a file without a header with the names of the first file, if they fit."""
    names = first.layout.columns
    if other.layout.has_header or len(other.layout.columns) != len(names):
        return other
    return replace(other, layout=replace(other.layout, columns=names))


@dataclass(frozen=True)
class _Reading:
    """What the blocks of a file have in common."""

    file: str
    layout: CsvLayout
    wanted: tuple[str, ...]
    dialect: CsvDialect
    partition: Partition

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

    piece: Piece
    reading: _Reading

    def parse(self) -> ParsedBlock:
        """Parse the rows."""
        if self.piece.unclosed:
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
        data, syntax = self.piece.data, self.reading.dialect.syntax
        rows = csv_rows.find_rows(data, syntax)
        return csv_rows.joined(data, rows) if syntax.skipped else (data, rows)

    @property
    def _data(self) -> bytes:
        return self._found[0] if self.reading.dialect.syntax.skipped else self.piece.data

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
            SourceLine(self.piece.line + line, _as_text(self._data[start:end]))
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
        text = _as_text(self.piece.data.rstrip(b"\r\n"))
        row = RejectedRow(
            self.reading.file, self.piece.line, "an opening quote is never closed", text
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
        if not data.strip(b"\r\n"):
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
