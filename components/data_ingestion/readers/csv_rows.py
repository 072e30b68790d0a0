"""Finds the start and end of CSV rows.

A row ends at a line end outside quotes. A quote opens only at the start of a field; elsewhere it is
an ordinary character. Inside quotes, two quotes mean one. This is RFC 4180, and what pyarrow's
parser does with the pieces that are cut here. `RowSyntax` says where a file departs from it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

_LINE_ENDS = b"\n\r"
_LINE_FEED, _RETURN = _LINE_ENDS

_Numbers = np.ndarray[Any, np.dtype[np.int64]]


class ByteStream(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


@dataclass(frozen=True)
class RowSyntax:
    """The bytes that separate fields and rows.

    Attributes:
        delimiter: The byte between fields.
        quote: The byte around fields; empty for none.
        escape: The byte that takes the meaning from a quote inside quotes; empty for none.
        skipped: A regular expression of the start of lines that are not rows, such as comments;
            empty for none.
    """

    delimiter: bytes = b","
    quote: bytes = b'"'
    escape: bytes = b""
    skipped: bytes = b""


@dataclass(frozen=True)
class RowBytes:
    """Consecutive bytes of a file.

    Attributes:
        data: Whole rows or, if `unclosed`, one line or a part of it.
        line: The number of the first line, counted from 1.
        unclosed: Whether the line opens a quote that is never closed, or is longer than a row may
            be.
        continues: Whether it is another part of the unclosed line before.
    """

    data: bytes
    line: int
    unclosed: bool = False
    continues: bool = False


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
    stream: ByteStream, syntax: RowSyntax, line: int, piece_bytes: int, longest_row: int
) -> Iterator[RowBytes]:
    r"""Cut a stream into pieces of whole rows.

    Args:
        stream: A stream at the start of a row.
        syntax: What separates fields and rows.
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
        >>> [(piece.line, piece.data) for piece in cut(stream, RowSyntax(), 1, 4, 100)]
        [(1, b'a,b\n'), (2, b'"c\nd",e\n'), (4, b'f,g\n')]
    """
    rest = b""
    in_long_line = False
    while True:
        read = stream.read(piece_bytes)
        data = rest + read
        if not data:
            return
        while read and data.endswith(b"\r") and (after := stream.read(1)):
            data += after  # A line end is not cut in two.
        if in_long_line:
            first, in_long_line = _first_line_end(data)
            yield RowBytes(data[:first], line, unclosed=True, continues=True)
            line += not in_long_line
            rest = data[first:]
            continue
        end = last_row_end(data, syntax)
        if end < len(data) and (not read or (not end and len(data) > longest_row)):
            rest_ends = rest_of(data[end:], syntax)
            end += rest_ends.end
            end = end if read or rest_ends.is_open else len(data)
        if end > longest_row:
            end = _end_before_long_row(data[:end], syntax, longest_row)
        if end:
            yield RowBytes(data[:end], line)
            line += count_line_ends(data[:end])
            rest = data[end:]
        elif read and len(data) <= longest_row:
            rest = data
        else:
            first, in_long_line = _first_line_end(data)
            yield RowBytes(data[:first], line, unclosed=True)
            line += not in_long_line
            rest = data[first:]
        if not read and not rest:
            return


def last_row_end(data: bytes, syntax: RowSyntax) -> int:
    r"""Return the offset after the last row that ends in `data`; 0 where none does.

    Args:
        data: Bytes from the start of a row.
        syntax: What separates fields and rows.

    Example:
        >>> last_row_end(b'1,"a\nb"\n2,"c', RowSyntax())
        8
    """
    line_end = b"\n" if b"\n" in data else b"\r"
    if not syntax.quote or syntax.quote not in data:
        return data.rfind(line_end) + 1
    quotes = _paired_quotes(data, syntax)
    if quotes is None:
        last = 0
        for match in _lexer(syntax).finditer(data):
            if data[match.start()] in _LINE_ENDS:
                last = match.end()
        return last
    position = data.rfind(line_end)
    while position >= 0:
        before = int(np.searchsorted(quotes, position))
        if before % 2 == 0:
            break
        position = data.rfind(line_end, 0, int(quotes[before - 1]))
    return position + 1


def find_rows(data: bytes, syntax: RowSyntax) -> Rows:
    r"""Find the rows of a piece.

    Args:
        data: Whole rows; the last may lack its line end.
        syntax: What separates fields and rows.

    Example:
        >>> find_rows(b"a,b\n\nc,d\n", RowSyntax()).starts.tolist()
        [0, 5]
    """
    quoted = bool(syntax.quote) and syntax.quote in data
    quotes = None
    if b"\r" not in data:
        quotes = _paired_quotes(data, syntax) if quoted else np.zeros(0, np.int64)
    if quotes is not None:
        feeds = np.flatnonzero(np.frombuffer(data, np.uint8) == _LINE_FEED)
        outside = np.flatnonzero(np.searchsorted(quotes, feeds) % 2 == 0)
        ends = feeds[outside].astype(np.int64)
        nexts = ends + 1
        lines = np.concatenate([[0], outside + 1]).astype(np.int64)
    else:
        found = []
        line = 0
        numbers = [0]
        for match in _lexer(syntax).finditer(data):
            start, end = match.span()
            if data[start] in _LINE_ENDS:
                line += 1
                numbers.append(line)
                found.append((start, end))
            else:
                line += count_line_ends(data[start:end])
        pairs = np.array(found, np.int64).reshape(-1, 2)
        ends, nexts = pairs[:, 0], pairs[:, 1]
        lines = np.array(numbers, np.int64)
    starts = np.concatenate([[0], nexts]).astype(np.int64)
    ends = np.concatenate([ends, [len(data)]]).astype(np.int64)
    filled = ends > starts
    found_rows = Rows(starts[filled], ends[filled], lines[filled])
    return _without_skipped(data, found_rows, syntax) if syntax.skipped else found_rows


def _without_skipped(data: bytes, rows: Rows, syntax: RowSyntax) -> Rows:
    pattern = re.compile(syntax.skipped)
    first = pattern.search(data)
    if first is None:
        return rows
    kept = np.array(
        [pattern.match(data, start) is None for start in rows.starts.tolist()], np.bool_
    )
    return Rows(rows.starts[kept], rows.ends[kept], rows.lines[kept])


def joined(data: bytes, rows: Rows) -> tuple[bytes, Rows]:
    r"""Return the rows without what lies between them, and where they are then.

    Example:
        >>> data, rows = b"# made by hand\na,b\n\nc,d\n", RowSyntax(skipped=b"#")
        >>> joined(data, find_rows(data, rows))[0]
        b'a,b\nc,d\n'
    """
    pairs = zip(rows.starts.tolist(), rows.ends.tolist(), strict=True)
    whole = b"".join(data[start:end] + b"\n" for start, end in pairs)
    nexts = np.cumsum(rows.ends - rows.starts + 1)
    return whole, Rows(nexts - (rows.ends - rows.starts + 1), nexts - 1, rows.lines)


def with_delimiter(data: bytes, rows: Sequence[int], syntax: RowSyntax) -> bytes:
    r"""Append a delimiter to the rows of these numbers.

    Example:
        >>> with_delimiter(b"a,\nb\n", [1], RowSyntax())
        b'a,\nb,\n'
    """
    parts, position = [], 0
    for end in find_rows(data, syntax).ends[list(rows)].tolist():
        parts += [data[position:end], syntax.delimiter]
        position = end
    return b"".join([*parts, data[position:]])


def unescaped(data: bytes, syntax: RowSyntax) -> bytes:
    r"""Return rows with doubled quotes for escaped ones.

    Example:
        >>> unescaped(rb'"a \"b\" c",C:\x', RowSyntax(escape=b"\\"))
        b'"a ""b"" c",C:\\x'
    """
    escape, quote = syntax.escape, syntax.quote
    if not escape or not quote or escape not in data:
        return data
    pair = re.compile(rb"%s([%s%s])" % (re.escape(escape), re.escape(escape), re.escape(quote)))

    def plain(pair: re.Match[bytes]) -> bytes:
        return quote * 2 if pair[1] == quote else pair[1]

    def rewritten(token: re.Match[bytes]) -> bytes:
        return pair.sub(plain, token[0]) if token[0].startswith(quote) else token[0]

    return _lexer(syntax).sub(rewritten, data)


def count_line_ends(data: bytes) -> int:
    r"""Count `\n`, `\r\n` and single `\r`.

    Example:
        >>> count_line_ends(b"a\nb\r\nc\r")
        3
    """
    # numpy counts frequent bytes five times as fast as bytes.count.
    feeds = int(np.count_nonzero(np.frombuffer(data, np.uint8) == _LINE_FEED))
    if b"\r" not in data:
        return feeds
    return feeds + data.count(b"\r") - data.count(b"\r\n")


def first_row_end(data: bytes, syntax: RowSyntax) -> int:
    r"""Return the offset after the first row that ends in `data`; 0 where none does.

    Example:
        >>> first_row_end(b'"a\nb",1\n2,3\n', RowSyntax())
        8
    """
    for match in _lexer(syntax).finditer(data):
        if data[match.start()] in _LINE_ENDS:
            return match.end()
    return 0


@dataclass(frozen=True)
class Rest:
    """What follows after the last row that a quick look found.

    Attributes:
        end: The offset after the last row that ends in it after all; 0 where none does.
        is_open: Whether its last field opens a quote and does not close it.
    """

    end: int = 0
    is_open: bool = False


def rest_of(data: bytes, syntax: RowSyntax) -> Rest:
    r"""Look closely at bytes from the start of a row.

    Example:
        >>> rest_of(b'1,2\r3,"4', RowSyntax())
        Rest(end=4, is_open=True)
    """
    end, last = 0, None
    for match in _lexer(syntax).finditer(data):
        last = match
        if data[match.start()] in _LINE_ENDS:
            end = match.end()
    can_be_open = last is not None and "open" in last.re.groupindex
    return Rest(end, last is not None and can_be_open and last.group("open") is not None)


def seems_inside(data: bytes, syntax: RowSyntax) -> bool:
    r"""Return whether the quotes of a range pair up only if it begins inside quotes.

    Args:
        data: Bytes from the start of a line, with quotes.
        syntax: What separates fields and rows.

    Example:
        >>> seems_inside(b'b",c\n', RowSyntax()), seems_inside(b'"b",c\n', RowSyntax())
        (True, False)
    """
    if _paired_quotes(data, syntax) is not None:
        return False
    return _paired_quotes(syntax.quote + data, syntax) is not None


def _end_before_long_row(data: bytes, syntax: RowSyntax, longest_row: int) -> int:
    """Return the offset of the first row that is too long; that of the end where none is."""
    start = 0
    for match in _lexer(syntax).finditer(data):
        if data[match.start()] in _LINE_ENDS:
            if match.end() - start > longest_row:
                return start
            start = match.end()
    return start if len(data) - start > longest_row else len(data)


def _first_line_end(data: bytes) -> tuple[int, bool]:
    """Return the offset after the first line, and whether the line continues after `data`."""
    match = re.search(rb"\r\n|\r|\n", data)
    return (len(data), True) if match is None else (match.end(), False)


@lru_cache
def _lexer(syntax: RowSyntax) -> re.Pattern[bytes]:
    """Return a pattern of line ends, and of what hides them: quoted fields and skipped lines."""
    edge = re.escape(syntax.delimiter) + rb"\r\n"
    tokens = []
    if syntax.skipped:
        tokens.append(rb"(?<![^\r\n])(?:%s)[^\r\n]*+" % syntax.skipped)
    if syntax.quote:
        quote, escape = re.escape(syntax.quote), re.escape(syntax.escape)
        inside = rb"[^%s]*+(?:%s%s[^%s]*+)*+" % (quote, quote, quote, quote)
        if escape:
            inside = rb"(?:[^%s%s]++|%s(?s:.|\Z)|%s%s)*+" % (quote, escape, escape, quote, quote)
        tokens.append(rb"(?<![^%s])%s%s(?:%s|(?P<open>\Z))" % (edge, quote, inside, quote))
    return re.compile(b"|".join([*tokens, rb"\r\n|\r|\n"]))


def _paired_quotes(data: bytes, syntax: RowSyntax) -> _Numbers | None:
    """Return the offsets of all quotes if they alternate between opening and closing.

    A position is then inside quotes if and only if an odd number of quotes precedes it. They
    alternate if every opening quote is at the start of a field and every closing quote at the end
    of one, or if the two are adjacent: a quote inside quotes.
    """
    if syntax.skipped or (syntax.escape and syntax.escape in data):
        return None
    view = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(view == syntax.quote[0])
    opening, closing = quotes[0::2], quotes[1::2]
    edges = np.zeros(256, np.bool_)
    edges[[syntax.quote[0], _LINE_FEED, _RETURN, syntax.delimiter[0]]] = True
    before = view[opening[opening > 0] - 1]
    after = view[closing[closing < len(data) - 1] + 1]
    return quotes if edges[before].all() and edges[after].all() else None
