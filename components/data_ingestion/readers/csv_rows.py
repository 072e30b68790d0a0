"""Finds the start and end of CSV rows.

A row ends at a line end outside quotes. A quote opens only at the start of a field; elsewhere it is
an ordinary character. Inside quotes, two quotes mean one. This is RFC 4180, and what pyarrow's
parser does with the pieces that are cut here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'

_Numbers = np.ndarray[Any, np.dtype[np.int64]]


class ByteStream(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


@dataclass(frozen=True)
class Piece:
    """Consecutive bytes of a file.

    Attributes:
        data: Whole rows or, if `unclosed`, one line or a part of it.
        line: The number of the first line, counted from 1.
        unclosed: Whether the line opens a quote that is never closed, or is longer than a row may
            be.
    """

    data: bytes
    line: int
    unclosed: bool = False


@dataclass(frozen=True)
class Rows:
    """The positions of the rows of a piece. Blank lines are not rows.

    Attributes:
        starts: Offset of each row's first byte.
        ends: Offset after each row's last byte, without its line end.
        lines: The number of each row's first line, counted from 0.
    """

    starts: _Numbers
    ends: _Numbers
    lines: _Numbers


def cut(
    stream: ByteStream, delimiter: bytes, line: int, piece_bytes: int, longest_row: int
) -> Iterator[Piece]:
    r"""Cut a stream into pieces of whole rows.

    Args:
        stream: A stream at the start of a row.
        delimiter: One byte.
        line: The number of the stream's next line.
        piece_bytes: The approximate length of a piece.
        longest_row: A row that does not end within so many bytes opens a quote by mistake. Its
            first line becomes a piece of its own, or several where the line is longer than that,
            and cutting continues after it. The same happens to a quote that is still open at the
            end.

    Yields:
        Pieces that together are the stream.

    Example:
        >>> import io
        >>> stream = io.BytesIO(b'a,b\n"c\nd",e\nf,g\n')
        >>> [(piece.line, piece.data) for piece in cut(stream, b",", 1, 4, 100)]
        [(1, b'a,b\n'), (2, b'"c\nd",e\n'), (4, b'f,g\n')]
    """
    rest = b""
    in_long_line = False
    while True:
        read = stream.read(piece_bytes)
        data = rest + read
        if not data:
            return
        if in_long_line:
            first, in_long_line = _first_line_end(data)
            yield Piece(data[:first], line, unclosed=True)
            line += not in_long_line
            rest = data[first:]
            continue
        end = last_row_end(data, delimiter)
        if not read and end < len(data) and not _is_open(data[end:], delimiter):
            end = len(data)
        if end:
            yield Piece(data[:end], line)
            line += count_line_ends(data[:end])
            rest = data[end:]
        elif read and len(data) < longest_row:
            rest = data
        else:
            first, in_long_line = _first_line_end(data)
            yield Piece(data[:first], line, unclosed=True)
            line += not in_long_line
            rest = data[first:]
        if not read and not rest:
            return


def last_row_end(data: bytes, delimiter: bytes) -> int:
    r"""Return the offset after the last row that ends in `data`; 0 where none does.

    Args:
        data: Bytes from the start of a row.
        delimiter: One byte.

    Example:
        >>> last_row_end(b'1,"a\nb"\n2,"c', b",")
        8
    """
    line_end = b"\n" if b"\n" in data else b"\r"
    if b'"' not in data:
        return data.rfind(line_end) + 1
    quotes = _paired_quotes(data, delimiter)
    if quotes is None:
        last = 0
        for match in _lexer(delimiter).finditer(data):
            if data[match.start()] != _QUOTE:
                last = match.end()
        return last
    position = data.rfind(line_end)
    while position >= 0:
        before = int(np.searchsorted(quotes, position))
        if before % 2 == 0:
            break
        position = data.rfind(line_end, 0, int(quotes[before - 1]))
    return position + 1


def find_rows(data: bytes, delimiter: bytes) -> Rows:
    r"""Find the rows of a piece.

    Args:
        data: Whole rows; the last may lack its line end.
        delimiter: One byte.

    Example:
        >>> find_rows(b"a,b\n\nc,d\n", b",").starts.tolist()
        [0, 5]
    """
    plain = b'"' not in data and b"\r" not in data
    if plain:
        feeds = np.flatnonzero(np.frombuffer(data, np.uint8) == _LINE_FEED)
        ends = feeds.astype(np.int64)
        nexts = ends + 1
        lines = np.arange(len(ends) + 1, dtype=np.int64)
    else:
        found = []
        line = 0
        numbers = [0]
        for match in _lexer(delimiter).finditer(data):
            start, end = match.span()
            if data[start] == _QUOTE:
                line += count_line_ends(data[start:end])
            else:
                line += 1
                numbers.append(line)
                found.append((start, end))
        pairs = np.array(found, np.int64).reshape(-1, 2)
        ends, nexts = pairs[:, 0], pairs[:, 1]
        lines = np.array(numbers, np.int64)
    starts = np.concatenate([[0], nexts]).astype(np.int64)
    ends = np.concatenate([ends, [len(data)]]).astype(np.int64)
    filled = ends > starts
    return Rows(starts[filled], ends[filled], lines[filled])


def count_line_ends(data: bytes) -> int:
    r"""Count `\n`, `\r\n` and single `\r`.

    Example:
        >>> count_line_ends(b"a\nb\r\nc\r")
        3
    """
    feeds, returns = data.count(b"\n"), data.count(b"\r")
    return feeds + returns - (data.count(b"\r\n") if returns else 0)


def first_row_end(data: bytes, delimiter: bytes) -> int:
    r"""Return the offset after the first row that ends in `data`; 0 where none does.

    Example:
        >>> first_row_end(b'"a\nb",1\n2,3\n', b",")
        8
    """
    for match in _lexer(delimiter).finditer(data):
        if data[match.start()] != _QUOTE:
            return match.end()
    return 0


def _first_line_end(data: bytes) -> tuple[int, bool]:
    """Return the offset after the first line, and whether the line continues after `data`."""
    match = re.search(rb"\r\n|\r|\n", data)
    return (len(data), True) if match is None else (match.end(), False)


def _is_open(row: bytes, delimiter: bytes) -> bool:
    """Return whether a row's last field opens a quote and does not close it."""
    last = None
    for match in _lexer(delimiter).finditer(row):
        last = match
    return last is not None and last.group("open") is not None


@lru_cache
def _lexer(delimiter: bytes) -> re.Pattern[bytes]:
    """Return a pattern of quoted text at the start of a field, and of line ends outside quotes."""
    edge = re.escape(delimiter) + rb"\r\n"
    quoted = rb'(?<![^%s])"[^"]*+(?:""[^"]*+)*+(?:"|(?P<open>\Z))' % edge
    return re.compile(rb"%s|\r\n|\r|\n" % quoted)


def _paired_quotes(data: bytes, delimiter: bytes) -> _Numbers | None:
    """Return the offsets of all quotes if they alternate between opening and closing.

    A position is then inside quotes if and only if an odd number of quotes precedes it. They
    alternate if every opening quote is at the start of a field and every closing quote at the end
    of one, or if the two are adjacent: a quote inside quotes.
    """
    view = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(view == _QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    edges = np.zeros(256, np.bool_)
    edges[[_QUOTE, _LINE_FEED, _RETURN, delimiter[0]]] = True
    before = view[opening[opening > 0] - 1]
    after = view[closing[closing < len(data) - 1] + 1]
    return quotes if edges[before].all() and edges[after].all() else None
