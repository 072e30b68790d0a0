r"""Finds where a CSV file can be cut: blocks of whole rows, with their lines.

A range of bytes does not tell whether it begins inside quotes. So a map looks at every range: it
moves the edges to the next line, takes the start for outside quotes if the quotes of the range then
pair up, and otherwise for inside, and notes where rows end and how many lines there are. Going
through these facts in order tells where each range really begins. The few ranges that were taken
for the wrong side are read again.

A line starts either a row or inside quotes, whatever the dialect, because comments and escapes do
not reach beyond a line end outside quotes. That is why two cases are enough.

Where a quote opens by mistake, the row does not end within `longest_row` bytes, or not at all. Then
its first line is a block of its own, `unclosed`, and the next line starts a row, as `csv_rows.cut`
does with a stream.
"""

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.data_ingestion.readers import csv_rows
from kfp_tabular.components.data_ingestion.readers.csv_rows import RowBytes, RowSyntax

_LINE_END = re.compile(rb"\r\n|\r|\n")
_CHUNK_BYTES = 64 << 10
_RANGES_PER_PIECE = 8

_Offsets = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class BlockIndex:
    """The blocks of a file: consecutive, each of whole rows.

    Attributes:
        starts: The offset of each block's first byte; after the last, that of the end.
        lines: The number of each block's first line, counted from 1.
        unclosed: Whether the block is one line that opens a quote which is never closed, or that is
            longer than a row may be.
    """

    starts: _Offsets
    lines: _Offsets
    unclosed: "np.ndarray[Any, np.dtype[np.bool_]]"

    def __len__(self) -> int:
        return len(self.lines)

    def between(self, start: int, stop: int) -> range:
        """Return the numbers of the blocks that start in a range of bytes."""
        first, last = np.searchsorted(self.starts[:-1], [start, stop])
        return range(int(first), int(last))


@dataclass(frozen=True)
class FileLayout:
    """What is needed to cut a file.

    Attributes:
        file: The file.
        syntax: What separates fields and rows, in the bytes of the file.
        first: The offset of the first row.
        line: The number of its line, counted from 1.
        size: The length of the file.
        block_bytes: The approximate length of a block.
        longest_row: A row that does not end within so many bytes opens a quote by mistake.
    """

    file: InputFile
    syntax: RowSyntax
    first: int
    line: int
    size: int
    block_bytes: int
    longest_row: int


@dataclass(frozen=True)
class RangeFacts:
    """What a range of whole lines shows.

    Attributes:
        start: The offset of its first line.
        stop: The offset after its last line.
        inside: Whether it was taken to begin inside quotes.
        either: Whether it has no quotes, so that it makes no difference.
        first: The offset after the first row that ends; -1 where none does.
        last: The offset after the last row that ends; -1 where none does.
        lines: The number of line ends.
        lines_after: Those after `last`.
    """

    start: int
    stop: int
    inside: bool
    either: bool
    first: int
    last: int
    lines: int
    lines_after: int

    def begun(self, inside: bool) -> "RangeFacts | None":
        """Return the facts for a range that begins inside quotes, or outside; None if unknown."""
        if self.inside == inside:
            return self
        if not (self.either and inside):
            return None
        return RangeFacts(self.start, self.stop, True, True, -1, -1, self.lines, self.lines)


def index(layouts: Sequence[FileLayout], engine: Engine) -> list[BlockIndex]:
    r"""Return the blocks of files, which are plain and of one byte per ASCII character.

    Args:
        layouts: The files.
        engine: Looks at the ranges.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.processing.local_engine import LocalEngine
        >>> from kfp_tabular.components.common.storage import LocalFile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.csv")
        ...     size = path.write_bytes(b'a,b\n"c\nd",e\nf,g\n')
        ...     layout = FileLayout(LocalFile("a.csv", path), RowSyntax(), 0, 1, size, 5, 100)
        ...     (found,) = index([layout], LocalEngine())
        >>> found.starts.tolist(), found.lines.tolist()
        ([0, 4, 12, 16], [1, 2, 4])
    """
    pieces = [piece for layout in layouts for piece in _pieces(layout)]
    look_at = RangeReader({layout.file.place: layout for layout in layouts})
    # A small file is not worth a thread.
    looked_at = (
        engine.map(pieces, look_at)
        if len(pieces) > 1
        else [(piece, look_at(piece)) for piece in pieces]
    )
    found: dict[str, list[RangeFacts]] = {layout.file.place: [] for layout in layouts}
    for piece, facts in looked_at:
        found[piece.uri] += facts
    return [_Walk(layout, found[layout.file.place]).blocks() for layout in layouts]


def _pieces(layout: FileLayout) -> list[Piece]:
    step = layout.block_bytes * _RANGES_PER_PIECE
    return [
        Piece(layout.file.place, "bytes", start, min(start + step, layout.size))
        for start in range(layout.first, layout.size, step)
    ]


@dataclass(frozen=True)
class RangeReader:
    """Looks at the ranges of a piece.

    Attributes:
        layouts: The files by their places.
    """

    layouts: Mapping[str, FileLayout]

    def __call__(self, piece: Piece) -> list[RangeFacts]:
        """Return what each range that starts in a piece shows."""
        layout, found = self.layouts[piece.uri], []
        with layout.file.open(piece.start, piece.stop) as stream:
            for start in range(piece.start, piece.stop, layout.block_bytes):
                lines = _lines(layout, stream, start)
                if lines is not None:
                    found.append(look(*lines, layout.syntax))
        return found


def _lines(layout: FileLayout, stream: BinaryIO, start: int) -> tuple[bytes, int] | None:
    """Return the lines that start in a range, and their offset; None where none does.

    Nearly in the order of the file, because a file in a store is fetched ahead.
    """
    stop = start + layout.block_bytes
    first = layout.first
    if start > first:
        found = line_start(stream, start, stop)
        if found is None or found >= layout.size:
            return None
        first = found
    if stop >= layout.size:
        return _read(stream, first, layout.size), first
    data = _read(stream, first, stop + _CHUNK_BYTES)
    match = _LINE_END.search(data, stop - first)
    # A line end that the data may show only half of is read again.
    if match is not None and match.end() < min(len(data), layout.longest_row):
        return data[: match.end()], first
    last = line_start(stream, stop, first + layout.longest_row)
    if last is not None:
        return data[: stop - first] + _read(stream, stop, last), first
    # A line that is too long for a row. What precedes it is a range of its own.
    ends = [match.end() for match in _LINE_END.finditer(data) if first + match.end() <= stop]
    return (data[: ends[-1]], first) if ends else None


def look(data: bytes, start: int, syntax: RowSyntax, inside: bool | None = None) -> RangeFacts:
    r"""Return what a range shows.

    Args:
        data: Whole lines; the last one of a file may lack its line end.
        start: Its offset.
        syntax: What separates fields and rows.
        inside: Whether it begins inside quotes; None to take what its quotes suggest.

    Example:
        >>> look(b'b",c\nd,"e\n', 100, RowSyntax())
        RangeFacts(start=100, stop=110, inside=True, either=False, first=105, last=105, lines=2,
        lines_after=1)
    """
    either = not syntax.quote or syntax.quote not in data
    if inside is None:
        inside = not either and csv_rows.seems_inside(data, syntax)
    # Inside quotes, everything is as if a quote had opened just before.
    opened = syntax.quote + data if inside else data
    last = csv_rows.last_row_end(opened, syntax)
    rest = csv_rows.rest_of(opened[last:], syntax)
    last += rest.end
    if not rest.is_open:
        last = len(opened)
    shift = len(opened) - len(data)
    first = csv_rows.first_row_end(opened, syntax) if inside and last else last
    lines = csv_rows.count_line_ends(data)
    after = csv_rows.count_line_ends(opened[last:]) if last else lines
    return RangeFacts(
        start,
        start + len(data),
        inside,
        either,
        start + (first or last) - shift if last else -1,
        start + last - shift if last else -1,
        lines,
        after,
    )


class _Walk:
    """Goes through the ranges of a file in order, and notes the blocks."""

    def __init__(self, layout: FileLayout, found: Sequence[RangeFacts]) -> None:
        self._layout = layout
        self._found = found
        self._starts = [facts.start for facts in found]
        self._blocks: list[tuple[int, int, bool]] = []
        # The row that is not complete yet, and the line from which to go on.
        self._row, self._row_line = layout.first, layout.line
        self._at, self._line = layout.first, layout.line
        self._inside = False

    def blocks(self) -> BlockIndex:
        with self._layout.file.open() as stream:
            while self._at < self._layout.size:
                self._step(stream)
        starts = [start for start, _, _ in self._blocks]
        return BlockIndex(
            np.array([*starts, self._layout.size], np.int64),
            np.array([line for _, line, _ in self._blocks], np.int64),
            np.array([unclosed for _, _, unclosed in self._blocks], np.bool_),
        )

    def _step(self, stream: BinaryIO) -> None:
        longest, size = self._layout.longest_row, self._layout.size
        facts = self._facts(stream)
        if facts is None:
            # One line that is too long.
            self._leave_out(stream)
            return
        ends = facts.last >= 0
        if (facts.first if ends else facts.stop) - self._row > longest:
            self._leave_out(stream)
            return
        if ends:
            self._blocks.append((self._row, self._row_line, False))
            self._row = facts.last
            self._row_line = self._line + facts.lines - facts.lines_after
        self._at, self._line = facts.stop, self._line + facts.lines
        self._inside = self._row < self._at
        if self._inside and self._at >= size:
            self._leave_out(stream)

    def _facts(self, stream: BinaryIO) -> RangeFacts | None:
        """Return what follows shows; None for one line that is too long."""
        number = bisect_right(self._starts, self._at) - 1
        if number >= 0 and self._at < self._found[number].stop:
            facts = self._found[number]
            known = facts.begun(self._inside) if facts.start == self._at else None
            if known is not None:
                return known
            stop = facts.stop
        else:
            # Before a line that is too long, or in it: line by line.
            end = line_start(stream, self._at, self._at + self._layout.longest_row)
            if end is None:
                return None
            stop = end
        return look(
            _read(stream, self._at, stop), self._at, self._layout.syntax, inside=self._inside
        )

    def _leave_out(self, stream: BinaryIO) -> None:
        """Leave out the first line of the row that is not complete, and go on after it."""
        self._blocks.append((self._row, self._row_line, True))
        found = line_start(stream, self._row, self._layout.size)
        self._row = self._at = self._layout.size if found is None else found
        self._row_line += 1
        self._line = self._row_line
        self._inside = False


def line_start(stream: BinaryIO, at: int, limit: int) -> int | None:
    r"""Return the offset after the first line end from `at` on; None where it is beyond `limit`.

    Example:
        >>> import io
        >>> line_start(io.BytesIO(b"1\r\n22\r\n"), at=3, limit=10)
        7
    """
    stream.seek(at)
    while at <= limit:
        data = stream.read(_CHUNK_BYTES)
        match = _LINE_END.search(data)
        if match is not None:
            end = match.end()
            if data[match.start() : end] == b"\r" and end == len(data):
                end += stream.read(1) == b"\n"
            return at + end if at + end <= limit else None
        if len(data) < _CHUNK_BYTES:
            at += len(data)
            return at if at <= limit else None
        at += len(data)
    return None


def _read(stream: BinaryIO, start: int, stop: int) -> bytes:
    stream.seek(start)
    return stream.read(stop - start)


def read_blocks(
    file: InputFile, found: BlockIndex, numbers: range, most: int
) -> Iterator[RowBytes]:
    """Yield blocks in order.

    Args:
        file: The file.
        found: The file's blocks.
        numbers: Those to read.
        most: The most bytes to read of an unclosed line, which may be very long.
    """
    first, end = int(found.starts[numbers.start]), int(found.starts[numbers.stop])
    with file.open(first, end) as stream:
        for number in numbers:
            start, stop = int(found.starts[number]), int(found.starts[number + 1])
            unclosed = bool(found.unclosed[number])
            data = _read(stream, start, min(stop, start + most) if unclosed else stop)
            yield RowBytes(data, int(found.lines[number]), unclosed)


def offset_of_line(file: InputFile, lines: int) -> int:
    r"""Return the offset after so many lines; after a byte order mark for none.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.storage import LocalFile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.csv")
        ...     _ = path.write_bytes(b"sep=;\r\na;b\r\n1;2\r\n")
        ...     offset_of_line(LocalFile("a.csv", path), 2)
        12
    """
    with file.open() as stream:
        at = len(codecs.BOM_UTF8) if stream.read(3) == codecs.BOM_UTF8 else 0
        for _ in range(lines):
            found = line_start(stream, at, file.size)
            if found is None:
                break
            at = found
    return at
