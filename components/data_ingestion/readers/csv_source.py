"""Reads CSV, plain or gzipped."""

import codecs
import csv
import gzip
import io
import logging
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.columns import column_types
from kfp_tabular.components.data_ingestion.columns.column_types import Converted, Kind
from kfp_tabular.components.data_ingestion.readers import csv_rows
from kfp_tabular.components.data_ingestion.readers.csv_rows import ByteStream, Piece
from kfp_tabular.components.data_ingestion.readers.source import (
    MOST_TEXT,
    Parsed,
    RejectedRow,
    RowNumbers,
    SourceLine,
    check_same_columns,
)

_logger = logging.getLogger(__name__)

PIECE_BYTES = 4 << 20
_BYTES_PER_COLUMN = 8 << 10
"""A piece is at least so long for each column: work per column and piece has a fixed cost."""
_LONGEST_ROW = 16 << 20
_LONGEST_HEADER = 16 << 20

_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class CsvOptions:
    """How the text is to be read.

    Attributes:
        delimiter: One ASCII character between fields.
        encoding: The name of the encoding, as Python knows it. UTF-16 with a byte order mark is
            recognised whatever this says.
        missing_values: Texts that stand for missing in every column, beside the empty one.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    missing_values: tuple[str, ...] = ()

    @cached_property
    def delimiter_byte(self) -> bytes:
        r"""The delimiter; `\t` and `tab` are a tabulator, which is hard to type in a form.

        Raises:
            UserError: Where it is not one ASCII character.
        """
        text = {"\\t": "\t", "tab": "\t"}.get(self.delimiter, self.delimiter)
        if len(text) != 1 or not text.isascii() or text in '"\r\n':
            raise UserError(
                f"csv_delimiter: {self.delimiter!r} is not one ASCII character; "
                "use ',', ';', '|' or 'tab'."
            )
        return text.encode()

    @cached_property
    def codec(self) -> codecs.CodecInfo:
        """The encoding.

        Raises:
            UserError: Where Python does not know it.
        """
        try:
            return codecs.lookup(self.encoding)
        except LookupError as error:
            raise UserError(
                f"csv_encoding: {self.encoding!r} is unknown; use utf-8, latin-1, cp1252, utf-16, "
                "or another encoding that Python knows."
            ) from error


@dataclass(frozen=True)
class _Header:
    columns: tuple[str, ...]
    size: int
    lines: int


class CsvSource:
    """CSV files with the same columns, perhaps in a different order.

    Args:
        files: The files, at least one. Those without a single byte are passed over.
        options: How the text is to be read.
        forced: Kinds by column that are not to be inferred.

    Raises:
        UserError: Where there are no rows, a header does not read, a column's name comes twice,
            or the files' columns differ.
    """

    def __init__(
        self, files: Sequence[LocalFile], options: CsvOptions, forced: Mapping[str, Kind]
    ) -> None:
        self._options = options
        self._forced = forced
        headers = {file: _read_header(file, options) for file in files}
        self._headers = {file: header for file, header in headers.items() if header is not None}
        if not self._headers:
            raise UserError(f"{files[0].uri}: the file is empty; expected a header and rows.")
        self._first = next(iter(self._headers))
        self.columns: Sequence[str] = self._headers[self._first].columns
        for file, header in self._headers.items():
            check_same_columns(self._first.uri, self.columns, file.uri, header.columns)

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator["CsvBlock"]:
        """Cuts the files into blocks of whole rows, in order."""
        wanted = self.columns if columns is None else columns
        piece_bytes = max(PIECE_BYTES, len(self.columns) * _BYTES_PER_COLUMN)
        for file, header in self._headers.items():
            reading = _Reading(file.uri, header.columns, tuple(wanted), self._options, self._forced)
            with _open(file, self._options) as stream:
                _skip(stream, header.size)
                for piece in csv_rows.cut(
                    stream,
                    self._options.delimiter_byte,
                    header.lines + 1,
                    piece_bytes,
                    max(_LONGEST_ROW, 4 * piece_bytes),
                ):
                    yield CsvBlock(piece, reading)


@dataclass(frozen=True)
class _Reading:
    """What the blocks of a file share."""

    file: str
    columns: tuple[str, ...]
    wanted: tuple[str, ...]
    options: CsvOptions
    forced: Mapping[str, Kind]

    @cached_property
    def convert_options(self) -> pacsv.ConvertOptions:
        # Everything as text: whether a column is a number shows only after the last block.
        return pacsv.ConvertOptions(
            column_types=dict.fromkeys(self.wanted, pa.string()),
            include_columns=list(self.wanted),
            check_utf8=False,
            strings_can_be_null=True,
            null_values=["", *self.options.missing_values],
        )


@dataclass(frozen=True)
class CsvBlock:
    """Rows of one CSV file. See `source.Block`."""

    piece: Piece
    reading: _Reading

    def parse(self, least: Mapping[str, Kind]) -> Parsed:
        """Parses the rows."""
        if self.piece.unclosed:
            return self._unclosed(least)
        decoded = self._without_undecodable()
        table, ragged = self._split_fields(decoded.data)
        converted = self._convert(table, least)
        rows_left_out: list[tuple[int, str]] = [
            (row, "bytes that are not valid in the encoding") for row in decoded.left_out
        ]
        kept = self._kept(decoded.left_out) if decoded.left_out or ragged else None
        if kept is not None and ragged:
            numbers = np.array([row.number - 1 for row in ragged], np.int64)
            rows_left_out += [
                (int(kept[number]), f"{row.actual_columns} fields, expected {row.expected_columns}")
                for number, row in zip(numbers, ragged, strict=True)
            ]
            kept = np.delete(kept, numbers)
        places = self._places(np.array([row for row, _ in rows_left_out], np.int64))
        return Parsed(
            columns={name: column.values for name, column in converted.items()},
            kinds={name: column.kind for name, column in converted.items()},
            rows=table.num_rows,
            file=self.reading.file,
            places=lambda rows: self._places(rows if kept is None else kept[rows]),
            unreadable=[
                RejectedRow(self.reading.file, place.line, reason, place.text)
                for place, (_, reason) in zip(places, rows_left_out, strict=True)
            ],
            faults=[
                (column.misfits, column_types.misfit(name, column.kind))
                for name, column in converted.items()
                if column.misfits is not None
            ],
        )

    @cached_property
    def _rows(self) -> csv_rows.Rows:
        return csv_rows.find_rows(self.piece.data, self.reading.options.delimiter_byte)

    def _kept(self, left_out: Sequence[int]) -> RowNumbers:
        return np.delete(np.arange(len(self._rows.starts), dtype=np.int64), left_out)

    def _places(self, rows: RowNumbers) -> list[SourceLine]:
        if not len(rows):
            return []
        starts, ends, lines = (
            values[rows].tolist()
            for values in (self._rows.starts, self._rows.ends, self._rows.lines)
        )
        return [
            SourceLine(self.piece.line + line, _as_text(self.piece.data[start:end]))
            for start, end, line in zip(starts, ends, lines, strict=True)
        ]

    def _convert(self, table: pa.Table, least: Mapping[str, Kind]) -> dict[str, Converted]:
        converted = {}
        for name in self.reading.wanted:
            text = _one_chunk(table.column(name))
            forced = self.reading.forced.get(name)
            converted[name] = (
                column_types.infer(text, least.get(name, Kind.NOTHING))
                if forced is None
                else column_types.force(text, forced)
            )
        return converted

    def _unclosed(self, least: Mapping[str, Kind]) -> Parsed:
        text = _as_text(self.piece.data.rstrip(b"\r\n"))
        row = RejectedRow(self.reading.file, self.piece.line, "a quote is never closed", text)
        nothing = self._convert(self._no_rows(), least)
        return Parsed(
            columns={name: column.values for name, column in nothing.items()},
            kinds={name: column.kind for name, column in nothing.items()},
            rows=0,
            file=self.reading.file,
            places=lambda _: [],
            unreadable=[row],
        )

    def _no_rows(self) -> pa.Table:
        return pa.table({name: pa.nulls(0, pa.string()) for name in self.reading.wanted})

    def _without_undecodable(self) -> "_Decodable":
        data = self.piece.data
        if data.isascii():
            return _Decodable(data, [])
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
                return _Decodable(b"".join(good) if left_out else data, left_out)

    def _split_fields(self, data: bytes) -> tuple[pa.Table, list[pacsv.InvalidRow]]:
        if not data.strip(b"\r\n"):
            return self._no_rows(), []
        ragged: list[pacsv.InvalidRow] = []

        def leave_out(row: pacsv.InvalidRow) -> str:
            ragged.append(row)
            return "skip"

        table = pacsv.read_csv(
            pa.BufferReader(data),
            # One thread and one block: else the numbers of ragged rows are not known. Blocks
            # are parsed side by side instead.
            read_options=pacsv.ReadOptions(
                column_names=self.reading.columns, use_threads=False, block_size=len(data) + 1
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=self.reading.options.delimiter_byte.decode(),
                newlines_in_values=True,
                invalid_row_handler=leave_out,
            ),
            convert_options=self.reading.convert_options,
        )
        return table, ragged


@dataclass(frozen=True)
class _Decodable:
    """The rows of a piece that are text, and the numbers of those that are not."""

    data: bytes
    left_out: list[int]


class _Transcoded:
    """A stream in another encoding, as UTF-8. Bytes that do not decode stay as they are."""

    def __init__(self, stream: ByteStream, codec: codecs.CodecInfo) -> None:
        self._stream = stream
        self._decoder = codec.incrementaldecoder(errors="surrogateescape")

    def read(self, size: int, /) -> bytes:
        while True:
            read = self._stream.read(size)
            text = self._decoder.decode(read, final=not read)
            if text or not read:
                return text.encode("utf-8", "surrogateescape")


class _Pushback:
    """A stream that gives some bytes again before it goes on."""

    def __init__(self, first: bytes, stream: ByteStream) -> None:
        self._first = first
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        if not self._first:
            return self._stream.read(size)
        given, self._first = self._first[:size], self._first[size:]
        return given


@contextmanager
def _open(file: LocalFile, options: CsvOptions) -> Iterator[ByteStream]:
    """Opens a file as UTF-8 without a byte order mark, decompressed."""
    with file.path.open("rb") as plain:
        zipped = plain.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        plain.seek(0)
        with gzip.open(plain) if zipped else plain as stream, _compression_errors(file):
            start = stream.read(len(codecs.BOM_UTF8))
            if start.startswith(_UTF16_MARKS):
                yield _Transcoded(_Pushback(start, stream), codecs.lookup("utf-16"))
            elif options.codec.name in ("utf-8", "ascii", "utf-8-sig"):
                yield _Pushback(b"" if start == codecs.BOM_UTF8 else start, stream)
            else:
                yield _Transcoded(_Pushback(start, stream), options.codec)


@contextmanager
def _compression_errors(file: LocalFile) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{file.uri}: the gzip data is cut off or damaged ({error}); copy the file again."
        ) from error


def _skip(stream: ByteStream, size: int) -> None:
    while size:
        size -= len(stream.read(size))


def _read_header(file: LocalFile, options: CsvOptions) -> _Header | None:
    data = b""
    with _open(file, options) as stream:
        while True:
            read = stream.read(1 << 20)
            data += read
            blank = len(data) - len(data.lstrip(b"\r\n"))
            end = csv_rows.first_row_end(data[blank:], options.delimiter_byte)
            if end or not read or len(data) > _LONGEST_HEADER:
                break
    if not data:
        return None
    size = blank + end if end else len(data)
    line = data[blank:size].rstrip(b"\r\n")
    if not line:
        raise UserError(f"{file.uri}: there are only blank lines; expected a header and rows.")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file.uri}: the header is not {options.encoding} text ({error.reason} at byte "
            f"{error.start}); give csv_encoding, for example 'latin-1'."
        ) from error
    if "\0" in text:
        raise UserError(
            f"{file.uri}: the header holds zero bytes; this is not CSV, or its csv_encoding is "
            "'utf-16-le' or 'utf-16-be'."
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=options.delimiter_byte.decode())
    try:
        names = _named(file, next(reader))
    except csv.Error as error:
        raise UserError(f"{file.uri}: the header cannot be read as CSV: {error}.") from error
    return _Header(names, size, csv_rows.count_line_ends(data[:size]))


def _named(file: LocalFile, names: Sequence[str]) -> tuple[str, ...]:
    twice = [name for name, count in Counter(name for name in names if name).items() if count > 1]
    if twice:
        raise UserError(
            f"{file.uri}: the header names column {twice[0]!r} more than once; rename one of them."
        )
    named = []
    for number, name in enumerate(names, start=1):
        if not name:
            # What pandas writes for its index, or a delimiter at the end of each line.
            replacement = f"unnamed_{number}"
            while replacement in names:
                replacement += "_"
            _logger.warning(
                "%s: column %d has no name; it is called %r", file.uri, number, replacement
            )
            named.append(replacement)
        else:
            named.append(name)
    return tuple(named)


def _one_chunk(column: pa.ChunkedArray) -> pa.StringArray:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _as_text(data: bytes) -> str:
    return data[: 4 * MOST_TEXT].decode("utf-8", "backslashreplace")[:MOST_TEXT]
