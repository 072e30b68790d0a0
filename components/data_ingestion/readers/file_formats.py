"""Detects the format of files from their content, and opens them."""

import struct
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.storage import InputFile
from kfp_tabular.components.common.storage.object_store import CONNECTIONS
from kfp_tabular.components.data_ingestion.options import AUTO, CSV, PARQUET, TFRECORD, CsvOptions
from kfp_tabular.components.data_ingestion.readers.column_selection import ColumnSelection
from kfp_tabular.components.data_ingestion.readers.compression import (
    compression,
    open_decompressed,
)
from kfp_tabular.components.data_ingestion.readers.csv_source import CsvSource
from kfp_tabular.components.data_ingestion.readers.source import Source

_PARQUET_MAGIC = b"PAR1"
_LONGEST_RECORD = 1 << 31

_OTHERS = {
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x1f\x9d": "compressed with compress",
    b"%PDF": "a PDF document",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"ARROW1": "an Arrow IPC file",
    b"SQLite format 3": "a SQLite database",
}


def open_source(
    files: Sequence[InputFile],
    data_format: str,
    options: CsvOptions,
    selection: ColumnSelection | None = None,
    expected: Collection[str] = (),
    engine: Engine | None = None,
) -> Source:
    r"""Open files as one source.

    Args:
        files: At least one file.
        data_format: `csv`, `parquet`, `tfrecord`, or `auto`.
        options: How to read CSV.
        selection: Which columns to read, and how those with several values become columns.
            Default: all, and none with several values.
        expected: Columns that other options name, such as the label.
        engine: Looks through the files; None for threads of this process.

    Raises:
        UserError: A file has another format, or the source cannot read it.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.storage import LocalFile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "taxi.csv")
        ...     _ = path.write_text("fare,tip\n5.5,1\n")
        ...     open_source([LocalFile("taxi.csv", path)], "auto", CsvOptions()).columns
        ['fare', 'tip']
    """
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        found = dict(zip(files, threads.map(detect, files), strict=True))
    wanted = found[files[0]] if data_format == AUTO else data_format
    for file, actual in found.items():
        if actual != wanted and file.size:
            raise UserError(
                f"{file.uri}: the file looks like {actual}, expected {wanted}, "
                + (f"the format of {files[0].uri}" if data_format == AUTO else "the data_format")
                + ". Use a glob that excludes it."
            )
    if wanted == PARQUET:
        from kfp_tabular.components.data_ingestion.readers.parquet_source import ParquetSource

        return ParquetSource(files, selection)
    if wanted == TFRECORD:
        # The decoder of tf.Example takes a second to import.
        from kfp_tabular.components.data_ingestion.readers.tfrecord_source import TfRecordSource

        return TfRecordSource(files, selection, engine)
    return CsvSource(files, options, selection, expected, engine)


def detect(file: InputFile) -> str:
    r"""Return the format of a file: `parquet`, `tfrecord`, or otherwise `csv`.

    Raises:
        UserError: The file has a known format that is not supported.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.common.storage import LocalFile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "taxi.csv")
        ...     _ = path.write_bytes(b"ORC")
        ...     detect(LocalFile("taxi.csv", path))
        Traceback (most recent call last):
        kfp_tabular.components.common.errors.UserError: taxi.csv: the file is an ORC file, which
        is not supported. Convert it to CSV or Parquet.
    """
    start, compressed = _start(file)
    if start.startswith(_PARQUET_MAGIC):
        if compressed:
            raise UserError(
                f"{file.uri}: the file is Parquet inside {compressed}. Decompress it: Parquet is "
                "compressed itself."
            )
        return PARQUET
    if _is_tfrecord(start):
        return TFRECORD
    for magic, name in _OTHERS.items():
        if start.startswith(magic):
            raise UserError(
                f"{file.uri}: the file is {name}, which is not supported. Convert it to CSV or "
                "Parquet."
            )
    return CSV


def _start(file: InputFile) -> tuple[bytes, str]:
    """Return the first bytes of a file, decompressed, and the compression."""
    with file.open() as plain:
        name = compression(plain.read(16))
    with open_decompressed(file) as stream:
        return stream.read(16), name


def _is_tfrecord(start: bytes) -> bool:
    """Return whether data start with a record's length and the checksum of that."""
    if len(start) < 12 or struct.unpack("<Q", start[:8])[0] >= _LONGEST_RECORD:
        return False
    from kfp_tabular.components.data_ingestion.readers.tfrecord_source import masked_crc

    checksum: int = struct.unpack("<I", start[8:12])[0]
    return masked_crc(start[:8]) == checksum
