"""Looks through whole files for what their starts cannot tell."""

import codecs
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import groupby
from typing import BinaryIO

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.data_ingestion.readers.compression import (
    is_compressed,
    open_decompressed,
)
from kfp_tabular.components.data_ingestion.readers.csv_dialect import UTF_8, TextEncoding
from kfp_tabular.components.data_ingestion.readers.csv_index import line_start
from kfp_tabular.components.data_ingestion.readers.csv_rows import ByteStream
from kfp_tabular.components.data_ingestion.readers.csv_stream import (
    is_bytewise,
    open_utf8,
    to_utf8,
)

HEAD_BYTES = 256 << 10
RANGE_BYTES = 32 << 20
"""Longer files are looked through in ranges of this size."""
_NEAR_BYTES = 1 << 20
_HEADS_AT_ONCE = 8
_TAIL_BYTES = 32 << 10
_CHUNK_BYTES = 512 << 10  # Fits the processor's cache: the checks read a chunk several times.
MOST_LINES = 1_000
"""Lines of a kind that are kept. Where there are more, they are rows."""
_LONGEST_LINE = 4_096

_ASCII = bytes(range(128))
_ESCAPED_QUOTE = re.compile(rb"\\[\"']")
_HASH_LINE = re.compile(rb"(?:\A|(?<=[\r\n]))#[^\r\n]*")
_INVALID = re.compile("[\udc80-\udcff]")
_UNDEFINED_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass
class ScanFacts:
    """What a range of whole lines tells, or several ranges that follow each other.

    Attributes:
        tail: Its last bytes, in UTF-8.
        escaped_quotes: Lines with a backslash before a quote, at most a thousand.
        hash_lines: Lines that start with `#`, at most a thousand.
        valid: Where the encoding is to be found out, the bytes above 127 that are valid UTF-8.
        invalid: The number of those that are not.
        high: The bytes above 127 that occur.
        example: What is around the first byte that is not UTF-8.
    """

    tail: bytes = b""
    escaped_quotes: list[bytes] = field(default_factory=list)
    hash_lines: list[bytes] = field(default_factory=list)
    valid: int = 0
    invalid: int = 0
    high: bytes = b""
    example: bytes = b""

    def followed_by(self, other: "ScanFacts") -> "ScanFacts":
        """Return the facts of both, where the other follows this one."""
        return ScanFacts(
            (self.tail + other.tail)[-_TAIL_BYTES:],
            [*self.escaped_quotes, *other.escaped_quotes][:MOST_LINES],
            [*self.hash_lines, *other.hash_lines][:MOST_LINES],
            self.valid + other.valid,
            self.invalid + other.invalid,
            bytes(sorted({*self.high, *other.high})),
            self.example or other.example,
        )

    @property
    def encoding(self) -> TextEncoding:
        """One encoding for all, where it is to be found out."""
        if not self.invalid:
            return UTF_8
        if self.valid > self.invalid:
            return TextEncoding.of("utf-8", repairs=True)
        return TextEncoding.of("latin-1" if _UNDEFINED_IN_CP1252 & {*self.high} else "cp1252")


@dataclass
class FileScan:
    """What the whole of a file tells.

    Attributes:
        encoding: Its encoding.
        head: Its first bytes, in UTF-8.
        is_whole: Whether `head` is all of it.
        tail: Its last bytes, in UTF-8; also where `head` holds them.
        escaped_quotes: Lines with a backslash before a quote, at most a thousand.
        hash_lines: Lines that start with `#`, at most a thousand.
        foreign_bytes: The number of bytes that are not UTF-8, where `encoding` is a guess.
        foreign_example: A text with such a byte, as it is read.
    """

    encoding: TextEncoding = UTF_8
    head: bytes = b""
    is_whole: bool = True
    tail: bytes = b""
    escaped_quotes: list[bytes] = field(default_factory=list)
    hash_lines: list[bytes] = field(default_factory=list)
    foreign_bytes: int = 0
    foreign_example: str = ""

    @property
    def last_line(self) -> bytes:
        """The last line that is not blank."""
        return re.split(rb"[\r\n]", self.tail.rstrip(b"\r\n"))[-1]


def scan(file: InputFile, encoding: str) -> FileScan:
    r"""Look through one file; see `scan_all`.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.storage import LocalFile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "places.csv")
        ...     _ = path.write_bytes("city\nKöln\n".encode("cp1252"))
        ...     found = scan(LocalFile("places.csv", path), "")
        >>> found.encoding.name, found.foreign_bytes, found.foreign_example
        ('CP1252', 1, 'Köln')
    """
    (found,) = scan_all([file], encoding, LocalEngine())
    return found


def scan_all(files: Sequence[InputFile], encoding: str, engine: Engine) -> Iterator[FileScan]:
    """Look through files; yield what each tells, in order.

    A map over ranges of bytes; compressed files, and those that cannot be cut, are a piece each.
    Only their first bytes are read here.

    Args:
        files: The files.
        encoding: The Python name of the encoding to read them with; empty to find it out.
        engine: Runs the map.
    """
    ranges: dict[str, ScannedFile] = {}
    with ThreadPoolExecutor(_HEADS_AT_ONCE) as threads:
        for file, found in zip(
            files, threads.map(partial(_begun, encoding=encoding), files), strict=True
        ):
            ranges[file.place] = found
    pieces = [piece for found in ranges.values() for piece in found.pieces()]
    look_at = RangeScan(ranges)
    # A small file is not worth a thread.
    looked_at = (
        engine.map(pieces, look_at)
        if len(pieces) > 1
        else ((piece, look_at(piece)) for piece in pieces)
    )
    for place, facts in groupby(looked_at, lambda each: each[0].uri):
        whole = reduce(ScanFacts.followed_by, (each for _, each in facts))
        yield _file_scan(ranges[place], whole)


@dataclass(frozen=True)
class ScannedFile:
    """A file to look through.

    Attributes:
        file: The file.
        encoding: Its encoding; UTF-8 where it is to be found out.
        is_guessed: Whether it is to be found out.
        is_cut: Whether ranges of it can be looked through.
    """

    file: InputFile
    encoding: TextEncoding
    is_guessed: bool
    is_cut: bool

    def pieces(self) -> list[Piece]:
        """Return the ranges."""
        step = RANGE_BYTES if self.is_cut else max(self.file.size, 1)
        return [
            Piece(self.file.place, "bytes", start, start + step)
            for start in range(0, max(self.file.size, 1), step)
        ]


@dataclass(frozen=True)
class RangeScan:
    """Looks through ranges of files.

    Attributes:
        files: The files by their places.
    """

    files: Mapping[str, ScannedFile]

    def __call__(self, piece: Piece) -> ScanFacts:
        """Return what the lines that start in a range tell."""
        given = self.files[piece.uri]
        facts, guess = ScanFacts(), _Guess() if given.is_guessed else None
        with _lines(given, piece) as stream:
            for chunk in _chunks(stream, facts):
                if guess is not None:
                    guess.add(chunk)
        if guess is not None:
            guess.note(facts)
        return facts

    def pack(self, result: ScanFacts) -> bytes:
        """Return a result as bytes, for another process."""
        parts = {name: getattr(result, name) for name in ("tail", "high", "example")}
        lines = {f"escaped {at}": line for at, line in enumerate(result.escaped_quotes)}
        lines |= {f"hash {at}": line for at, line in enumerate(result.hash_lines)}
        return states.pack({**parts, "counts": [result.valid, result.invalid], **lines})

    def unpack(self, packed: bytes) -> ScanFacts:
        """Return the result that `pack` was given."""
        parts = states.unpack(packed)
        valid, invalid = parts["counts"]
        escaped, hashes = (
            [line for name, line in parts.items() if name.startswith(kind)]
            for kind in ("escaped ", "hash ")
        )
        return ScanFacts(
            parts["tail"], escaped, hashes, valid, invalid, parts["high"], parts["example"]
        )


def _begun(file: InputFile, encoding: str) -> ScannedFile:
    with open_decompressed(file) as stream:
        start = read(stream, 4096)
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), "")
    wide = (marked if marked != "utf-8" else "") or ("" if encoding else _without_mark(start))
    given = TextEncoding.of(wide or encoding) if wide or encoding else UTF_8
    is_guessed = not (wide or encoding)
    return ScannedFile(file, given, is_guessed, is_bytewise(given) and not is_compressed(file))


@contextmanager
def _lines(given: ScannedFile, piece: Piece) -> Iterator[ByteStream]:
    """Open the lines that start in a range, in UTF-8."""
    if piece.start == 0 and piece.stop >= given.file.size:
        with open_utf8(given.file, given.encoding) as whole:
            yield whole
        return
    with given.file.open(piece.start, piece.stop) as stream:
        edges = [_edge(stream, at, given.file.size) for at in (piece.start, piece.stop)]
        if not piece.start and read(stream, len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            edges[0] = len(codecs.BOM_UTF8)
        stream.seek(edges[0])
        yield _Part(stream, edges[1] - edges[0], given.encoding)


def _edge(stream: BinaryIO, at: int, size: int) -> int:
    """Return where lines are cut: after the first line end from `at` on, if there is one near."""
    if not at or at >= size:
        edge = min(at, size)
    else:
        found = line_start(stream, at, at + _NEAR_BYTES)
        edge = at if found is None else found
    stream.seek(0)
    return edge


class _Part:
    """The next bytes of a stream, in UTF-8. They are cut at line ends."""

    def __init__(self, stream: ByteStream, size: int, encoding: TextEncoding) -> None:
        self._stream = stream
        self._left = size
        self._encoding = encoding

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(min(size, self._left))
        self._left -= len(data)
        return to_utf8(data, self._encoding)


def _file_scan(given: ScannedFile, facts: ScanFacts) -> FileScan:
    with open_utf8(given.file, given.encoding) as stream:
        head = read(stream, HEAD_BYTES)
        is_whole = not stream.read(1)
    encoding = facts.encoding if given.is_guessed else given.encoding
    found = FileScan(encoding, head, is_whole, facts.tail, facts.escaped_quotes, facts.hash_lines)
    if encoding != given.encoding:
        found.foreign_bytes = facts.invalid
        found.foreign_example = _text(facts.example, encoding)
        found.head, found.tail = (_text(part, encoding).encode() for part in (head, facts.tail))
    return found


def _chunks(stream: ByteStream, found: ScanFacts) -> Iterator[bytes]:
    """Yield a stream's bytes, and note tail and lines on the way."""
    line = b""
    while chunk := stream.read(_CHUNK_BYTES):
        rest = max(0, _TAIL_BYTES - len(chunk))
        found.tail = found.tail[len(found.tail) - rest :] + chunk[-_TAIL_BYTES:]
        feed = chunk.rfind(b"\n")
        whole = max(feed, chunk.rfind(b"\r", feed + 1)) + 1
        # One byte is found much faster than a pattern, and most files hold neither.
        for sign, pattern, lines in (
            (b"\\", _ESCAPED_QUOTE, found.escaped_quotes),
            (b"#", _HASH_LINE, found.hash_lines),
        ):
            if whole and len(lines) < MOST_LINES and (sign in chunk or sign in line):
                _note(line + chunk[:whole], pattern, lines)
        line = (chunk[whole:] if whole else line + chunk)[:_LONGEST_LINE]
        yield chunk
    _note(line, _ESCAPED_QUOTE, found.escaped_quotes)
    _note(line, _HASH_LINE, found.hash_lines)


def _note(data: bytes, pattern: re.Pattern[bytes], lines: list[bytes]) -> None:
    last = -1
    for match in pattern.finditer(data):
        if match.start() < last:
            continue
        start = max(data.rfind(b"\n", 0, match.start()), data.rfind(b"\r", 0, match.start())) + 1
        ends = [
            end
            for end in (data.find(b"\n", match.start()), data.find(b"\r", match.start()))
            if end >= 0
        ]
        last = min(ends, default=len(data))
        lines.append(data[start : min(last, start + _LONGEST_LINE)])
        if len(lines) >= MOST_LINES:
            return


class _Guess:
    """Counts what is UTF-8 and what is not."""

    def __init__(self) -> None:
        self._invalid = 0
        self._example = b""
        self._valid = 0
        self._high: set[int] = set()
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        if not self._rest and chunk.isascii():
            return
        data = self._rest + chunk
        # A character may continue in the next chunk.
        cut = len(data)
        while cut and len(data) - cut < 4 and data[cut - 1] >= 128:
            cut -= 1
        data, self._rest = data[:cut], data[cut:]
        self._count(data)

    def note(self, facts: ScanFacts) -> None:
        """Note what was counted."""
        self._count(self._rest)
        self._rest = b""
        facts.valid, facts.invalid, facts.example = self._valid, self._invalid, self._example
        facts.high = bytes(sorted(self._high))

    def _count(self, data: bytes) -> None:
        self._high.update(data.translate(None, _ASCII))
        text = data.decode("utf-8", "surrogateescape")
        if _INVALID.search(text) is None:
            self._valid += len(data) - len(text)
            return
        wrong = _INVALID.findall(text)
        self._invalid += len(wrong)
        high = sum(char > "\x7f" for char in text)
        self._valid += high - len(wrong)
        if not self._example:
            at = _INVALID.search(text)
            position = len(text[: at.start() if at else 0].encode("utf-8", "surrogateescape"))
            before = re.split(rb"[\r\n,;\t|\"]", data[max(0, position - 40) : position])[-1]
            after = re.split(rb"[\r\n,;\t|\"]", data[position : position + 40])[0]
            self._example = before + after


def _text(data: bytes, encoding: TextEncoding) -> str:
    if encoding.repairs:
        return data.decode("utf-8", "kfp-tabular-cp1252")
    return encoding.codec.decode(data, "replace")[0]


def _without_mark(start: bytes) -> str:
    """Return the name of UTF-16 for data where nearly every other byte is zero."""
    if len(start) < 4:
        return ""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    half = len(start) // 2
    if odd > 0.6 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.6 * half and odd < 0.05 * half:
        return "utf-16-be"
    return ""


def read(stream: ByteStream, size: int) -> bytes:
    """Return this many bytes of a stream; fewer only at its end."""
    data = b""
    while len(data) < size and (read := stream.read(size - len(data))):
        data += read
    return data
