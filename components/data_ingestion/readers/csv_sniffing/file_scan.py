"""Reads a whole file once for what its start cannot tell."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.readers.compression import open_decompressed
from kfp_tabular.components.data_ingestion.readers.csv_dialect import UTF_8, TextEncoding
from kfp_tabular.components.data_ingestion.readers.csv_rows import ByteStream
from kfp_tabular.components.data_ingestion.readers.csv_stream import open_utf8

HEAD_BYTES = 256 << 10
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


def scan(file: LocalFile, encoding: str) -> FileScan:
    r"""Read a file.

    Args:
        file: The file.
        encoding: The Python name of the encoding to read it with; empty to find it out.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "places.csv")
        ...     _ = path.write_bytes("city\nKöln\n".encode("cp1252"))
        ...     found = scan(LocalFile("places.csv", path), "")
        >>> found.encoding.name, found.foreign_bytes, found.foreign_example
        ('CP1252', 1, 'Köln')
    """
    with open_decompressed(file) as stream:
        start = read(stream, 4096)
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), "")
    wide = marked if marked != "utf-8" else ""
    if wide or encoding or (wide := _without_mark(start)):
        found = FileScan(TextEncoding.of(wide or encoding))
        with open_utf8(file, found.encoding) as stream:
            for _ in _chunks(stream, found):
                pass
        return found
    found = FileScan()
    guess = _Guess()
    with open_utf8(file, UTF_8) as stream:
        for chunk in _chunks(stream, found):
            guess.add(chunk)
    found.encoding = guess.encoding
    if found.encoding != UTF_8:
        found.foreign_bytes = guess.invalid
        found.foreign_example = _text(guess.example, found.encoding)
        for name in ("head", "tail"):
            setattr(found, name, _text(getattr(found, name), found.encoding).encode())
    return found


def _chunks(stream: ByteStream, found: FileScan) -> Iterator[bytes]:
    """Yield a stream's bytes, and note head, tail and lines on the way."""
    line = b""
    while chunk := stream.read(_CHUNK_BYTES):
        if len(found.head) < HEAD_BYTES:
            found.is_whole = len(found.head) + len(chunk) <= HEAD_BYTES
            found.head += chunk[: HEAD_BYTES - len(found.head)]
        else:
            found.is_whole = False
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
    """Counts what is UTF-8 and what is not, to choose one encoding for a file."""

    def __init__(self) -> None:
        self.invalid = 0
        self.example = b""
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

    @property
    def encoding(self) -> TextEncoding:
        self._count(self._rest)
        self._rest = b""
        if not self.invalid:
            return UTF_8
        if self._valid > self.invalid:
            return TextEncoding.of("utf-8", repairs=True)
        return TextEncoding.of("latin-1" if self._high & _UNDEFINED_IN_CP1252 else "cp1252")

    def _count(self, data: bytes) -> None:
        self._high.update(data.translate(None, _ASCII))
        text = data.decode("utf-8", "surrogateescape")
        if _INVALID.search(text) is None:
            self._valid += len(data) - len(text)
            return
        wrong = _INVALID.findall(text)
        self.invalid += len(wrong)
        high = sum(char > "\x7f" for char in text)
        self._valid += high - len(wrong)
        if not self.example:
            at = _INVALID.search(text)
            position = len(text[: at.start() if at else 0].encode("utf-8", "surrogateescape"))
            before = re.split(rb"[\r\n,;\t|\"]", data[max(0, position - 40) : position])[-1]
            after = re.split(rb"[\r\n,;\t|\"]", data[position : position + 40])[0]
            self.example = before + after


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
