"""Opens files decompressed, by their content rather than by their names."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import pyarrow as pa

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import InputFile

_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"
_ARROW_CODECS = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
_ZIP, _EMPTY_ZIP = b"PK\x03\x04", b"PK\x05\x06"
_NAMES = {_GZIP: "gzip", _BZIP2: "bzip2", _XZ: "xz", _ZIP: "zip", _EMPTY_ZIP: "zip"}

_ENCRYPTED = 1  # A bit of the flags of a member of a zip archive.
_DOCUMENTS = {
    "xl/": "an Excel workbook",
    "word/": "a Word document",
    "content.xml": "an OpenDocument file",
    ".npy": "a numpy archive",
}
_MOST_NAMES = 5


def compression(start: bytes) -> str:
    r"""Return the name of the compression that data start with; empty for none.

    Example:
        >>> compression(b"\x1f\x8b\x08"), compression(b"fare,tip")
        ('gzip', '')
    """
    for magic, name in {**_NAMES, **_ARROW_CODECS}.items():
        if start.startswith(magic):
            return name
    return ""


def is_compressed(file: InputFile) -> bool:
    """Return whether a file is compressed, by its content."""
    with file.open() as stream:
        return bool(compression(stream.read(8)))


@contextmanager
def open_decompressed(file: InputFile) -> Iterator[BinaryIO]:
    """Open a file that is plain, or compressed with gzip, bzip2, xz, zstd, lz4, or zip.

    Raises:
        UserError: The compressed data are damaged, or a zip archive does not hold exactly one
            file.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.storage import LocalFile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "places")
        ...     _ = path.write_bytes(bz2.compress(b"city"))
        ...     with open_decompressed(LocalFile("places", path)) as stream:
        ...         stream.read(100)
        b'city'
    """
    with file.open() as plain:
        start = plain.read(8)
        plain.seek(0)
        name = compression(start)
        if not name:
            yield plain
            return
        with _damage(file, name), _decompressed(file, plain, name) as stream:
            yield stream


def _decompressed(file: InputFile, plain: BinaryIO, name: str) -> BinaryIO:
    if name == "gzip":
        return cast(BinaryIO, gzip.open(plain))
    if name == "bzip2":
        return cast(BinaryIO, bz2.open(plain))
    if name == "xz":
        return cast(BinaryIO, lzma.open(plain))
    if name == "zip":
        return _only_member(file, plain)
    return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(plain, mode="r"), name))


def _only_member(file: InputFile, plain: BinaryIO) -> BinaryIO:
    archive = zipfile.ZipFile(plain)
    members = archive.infolist()
    for part, kind in _DOCUMENTS.items():
        if any(
            member.filename.startswith(part) or member.filename.endswith(part) for member in members
        ):
            raise UserError(
                f"{file.uri}: the file is {kind}, which is not supported. Save it as CSV."
            )
    # What macOS adds to archives, and files that are hidden in a directory as well.
    found = [
        member
        for member in members
        if not member.is_dir()
        and not any(part[:1] in ("_", ".") for part in member.filename.split("/"))
    ]
    if len(found) != 1:
        names = ", ".join(member.filename for member in found[:_MOST_NAMES])
        more = f" and {len(found) - _MOST_NAMES} more" if len(found) > _MOST_NAMES else ""
        raise UserError(
            f"{file.uri}: the zip archive holds {len(found)} files"
            + (f" ({names}{more})" if found else "")
            + ", expected one. Unpack it and give the directory."
        )
    if found[0].flag_bits & _ENCRYPTED:
        raise UserError(f"{file.uri}: the zip archive has a password. Unpack it first.")
    return cast(BinaryIO, archive.open(found[0]))


@contextmanager
def _damage(file: InputFile, name: str) -> Iterator[None]:
    try:
        yield
    except (
        EOFError,
        gzip.BadGzipFile,
        zlib.error,
        lzma.LZMAError,
        zipfile.BadZipFile,
        NotImplementedError,  # A method of compression that zipfile does not know.
    ) as error:
        raise _damaged(file, name, error) from error
    except OSError as error:
        # The errors of bz2 and of Arrow's codecs have no number; those of the system have one.
        if error.errno is not None:
            raise
        raise _damaged(file, name, error) from error


def _damaged(file: InputFile, name: str, error: Exception) -> UserError:
    return UserError(
        f"{file.uri}: the {name} data are truncated or damaged ({error}). Copy the file again."
    )
