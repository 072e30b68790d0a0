"""Opens CSV files as streams of UTF-8, whatever their encoding and compression."""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager

from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.data_ingestion.readers.compression import open_decompressed
from kfp_tabular.components.data_ingestion.readers.csv_dialect import TextEncoding
from kfp_tabular.components.data_ingestion.readers.csv_rows import ByteStream

_REPAIR = "kfp-tabular-cp1252"
_UTF_8 = ("utf-8", "ascii", "utf-8-sig")


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    try:
        return wrong.decode("cp1252"), error.end
    except UnicodeDecodeError:
        return wrong.decode("latin-1"), error.end


codecs.register_error(_REPAIR, _as_cp1252)


def is_bytewise(encoding: TextEncoding) -> bool:
    """Return whether each byte below 128 is the ASCII character, and no part of another one.

    Then line ends, delimiters and quotes can be found without decoding, anywhere in a file. This is
    not so in UTF-16, nor in encodings of Chinese and Japanese.

    Example:
        >>> is_bytewise(TextEncoding.of("cp1252")), is_bytewise(TextEncoding.of("utf-16"))
        (True, False)
    """
    if encoding.codec.name in _UTF_8:
        return True
    ascii_bytes, others = bytes(range(128)), bytes(range(128, 256))
    try:
        return encoding.codec.decode(ascii_bytes, "strict")[0].encode() == ascii_bytes and len(
            encoding.codec.decode(others, "replace")[0]
        ) == len(others)
    except (UnicodeError, ValueError):
        return False


def to_utf8(data: bytes, encoding: TextEncoding) -> bytes:
    """Return whole lines in UTF-8. Bytes that do not decode stay as they are.

    Example:
        >>> to_utf8("été".encode("latin-1"), TextEncoding.of("latin-1")).decode()
        'été'
    """
    if _is_utf8(encoding):
        return data
    return encoding.codec.decode(data, _errors(encoding))[0].encode("utf-8", "surrogateescape")


def _is_utf8(encoding: TextEncoding) -> bool:
    return encoding.codec.name in _UTF_8 and not encoding.repairs


def _errors(encoding: TextEncoding) -> str:
    return _REPAIR if encoding.repairs else "surrogateescape"


class _Transcoded:
    """A stream in another encoding, read as UTF-8. Bytes that do not decode stay as they are."""

    def __init__(self, stream: ByteStream, encoding: TextEncoding) -> None:
        self._stream = stream
        self._decoder = encoding.codec.incrementaldecoder(errors=_errors(encoding))
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        while not self._rest:
            read = self._stream.read(size)
            # A character can take more bytes in UTF-8 than in the file.
            self._rest = self._decoder.decode(read, final=not read).encode(
                "utf-8", "surrogateescape"
            )
            if not read:
                break
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


class _Pushback:
    """A stream that returns some bytes a second time before it continues."""

    def __init__(self, first: bytes, stream: ByteStream) -> None:
        self._first = first
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        if not self._first:
            return self._stream.read(size)
        given, self._first = self._first[:size], self._first[size:]
        return given


@contextmanager
def open_utf8(file: InputFile, encoding: TextEncoding) -> Iterator[ByteStream]:
    """Open a file as UTF-8 without a byte order mark, decompressed.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.storage import LocalFile
        >>> latin = TextEncoding.of("latin-1")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "places.csv")
        ...     _ = path.write_bytes("été".encode("latin-1"))
        ...     with open_utf8(LocalFile("places.csv", path), latin) as stream:
        ...         stream.read(100).decode("utf-8")
        'été'
    """
    with open_decompressed(file) as stream:
        start = stream.read(len(codecs.BOM_UTF8))
        whole = _Pushback(b"" if start == codecs.BOM_UTF8 else start, stream)
        if _is_utf8(encoding):
            yield whole
        else:
            yield _Transcoded(whole, encoding)


def skip(stream: ByteStream, size: int) -> None:
    """Read and drop this many bytes.

    Example:
        >>> import io
        >>> stream = io.BytesIO(b"fare,tip")
        >>> skip(stream, 5)
        >>> stream.read()
        b'tip'
    """
    while size:
        size -= len(stream.read(size))
