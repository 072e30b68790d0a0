"""Reads the header of a CSV file."""

import csv
import io
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import LocalFile
from kfp_tabular.components.data_ingestion.readers import csv_rows
from kfp_tabular.components.data_ingestion.readers.csv_dialect import CsvDialect
from kfp_tabular.components.data_ingestion.readers.csv_stream import open_utf8

_logger = logging.getLogger(__name__)

_LONGEST_HEADER = 16 << 20


@dataclass(frozen=True)
class CsvHeader:
    """The header of a CSV file.

    Attributes:
        columns: The names of the columns.
        size: The bytes up to the first row, in UTF-8.
        lines: The lines up to the first row.
    """

    columns: tuple[str, ...]
    size: int
    lines: int


def read_header(file: LocalFile, dialect: CsvDialect) -> CsvHeader | None:
    r"""Read the header of a file; None where the file is empty.

    Raises:
        UserError: The header cannot be read, or two columns have the same name.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from kfp_tabular.components.data_ingestion.options import CsvOptions
        >>> dialect = CsvDialect.of(CsvOptions(csv_delimiter=";"))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "taxi.csv")
        ...     _ = path.write_text("fare;tip\n5.5;1\n")
        ...     read_header(LocalFile("taxi.csv", path), dialect)
        CsvHeader(columns=('fare', 'tip'), size=9, lines=1)
    """
    data = b""
    with open_utf8(file, dialect) as stream:
        while True:
            read = stream.read(1 << 20)
            data += read
            blank = len(data) - len(data.lstrip(b"\r\n"))
            end = csv_rows.first_row_end(data[blank:], dialect.delimiter)
            if end or not read or len(data) > _LONGEST_HEADER:
                break
    if not data:
        return None
    size = blank + end if end else len(data)
    line = data[blank:size].rstrip(b"\r\n")
    if not line:
        raise UserError(f"{file.uri}: the file has only blank lines. Expected a header and rows.")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{file.uri}: the header is not valid {dialect.encoding_name} ({error.reason} at byte "
            f"{error.start}). Set csv_encoding, for example to latin-1."
        ) from error
    if "\0" in text:
        raise UserError(
            f"{file.uri}: the header holds zero bytes. The file is not CSV, or it needs "
            "csv_encoding utf-16-le or utf-16-be."
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=dialect.delimiter.decode())
    try:
        names = _named(file, next(reader))
    except csv.Error as error:
        raise UserError(f"{file.uri}: the header is not valid CSV: {error}.") from error
    return CsvHeader(names, size, csv_rows.count_line_ends(data[:size]))


def _named(file: LocalFile, names: Sequence[str]) -> tuple[str, ...]:
    twice = [name for name, count in Counter(name for name in names if name).items() if count > 1]
    if twice:
        raise UserError(
            f"{file.uri}: the header has more than one column {twice[0]!r}. Rename one of them."
        )
    named = []
    for number, name in enumerate(names, start=1):
        if not name:
            # The index as pandas writes it, or a delimiter at the end of each line.
            replacement = f"unnamed_{number}"
            while replacement in names:
                replacement += "_"
            _logger.warning("%s: column %d has no name; using %r", file.uri, number, replacement)
            named.append(replacement)
        else:
            named.append(name)
    return tuple(named)
