"""Opens CSV files as streams of UTF-8, whatever their encoding and compression."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.readers.csv_dialect import CsvDialect
from kfp_tabular.components.data_ingestion.readers.csv_rows import ByteStream

_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class _Transcoded:
    """A stream in another encoding, read as UTF-8. Bytes that do not decode stay as they are."""

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
def open_utf8(file: LocalFile, dialect: CsvDialect) -> Iterator[ByteStream]:
    """Open a file as UTF-8 without a byte order mark, decompressed.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> latin = CsvDialect(b",", codecs.lookup("latin-1"), missing_values=())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "places.csv")
        ...     _ = path.write_bytes("été".encode("latin-1"))
        ...     with open_utf8(LocalFile("places.csv", path), latin) as stream:
        ...         stream.read(100).decode("utf-8")
        'été'
    """
    with file.path.open("rb") as plain:
        zipped = plain.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        plain.seek(0)
        with gzip.open(plain) if zipped else plain as stream, _compression_errors(file):
            start = stream.read(len(codecs.BOM_UTF8))
            if start.startswith(_UTF16_MARKS):
                yield _Transcoded(_Pushback(start, stream), codecs.lookup("utf-16"))
            elif dialect.codec.name in ("utf-8", "ascii", "utf-8-sig"):
                yield _Pushback(b"" if start == codecs.BOM_UTF8 else start, stream)
            else:
                yield _Transcoded(_Pushback(start, stream), dialect.codec)


@contextmanager
def _compression_errors(file: LocalFile) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"{file.uri}: the gzip data are truncated or damaged ({error}). Copy the file again."
        ) from error


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
