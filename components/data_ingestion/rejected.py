"""Rows that were left out, and why."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

FILE_NAME = "part-00000.parquet"
SCHEMA = pa.schema(
    [
        pa.field("file", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("text", pa.string()),
    ]
)

MOST_TEXT = 10_000
"""Characters of a rejected row that are kept: a runaway quote can swallow megabytes."""

_ROWS_PER_WRITE = 10_000


@dataclass(frozen=True)
class Rejected:
    r"""A row that is not among the examples.

    Attributes:
        file: The URI of the file that it is in.
        line: In CSV the line that it starts on, counted from 1, the header included; in other
            formats the row's number, counted from 1.
        reason: Why it was left out.
        text: The row as it stands in the file (bytes that are not text as `\\xNN`); in formats
            other than CSV the row as JSON. At most `MOST_TEXT` characters.
    """

    file: str
    line: int
    reason: str
    text: str


class RejectedWriter:
    """Writes the rejected rows to Parquet with bounded memory; a context manager.

    The file is there even if no row is rejected.

    Args:
        directory: An existing directory.
        keep: The first so many are kept in `first`.

    Attributes:
        reasons: How many rows were rejected, by reason.
        first: The first rejected rows.
    """

    def __init__(self, directory: str | os.PathLike[str], keep: int = 10) -> None:
        self.reasons: Counter[str] = Counter()
        self.first: list[Rejected] = []
        self._keep = keep
        self._waiting: list[Rejected] = []
        self._writer = pq.ParquetWriter(Path(directory) / FILE_NAME, SCHEMA, compression="zstd")

    def __enter__(self) -> "RejectedWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._flush()
        self._writer.close()

    def add(self, rows: Sequence[Rejected]) -> None:
        """Appends rows."""
        self.reasons.update(row.reason for row in rows)
        self.first.extend(rows[: self._keep - len(self.first)])
        self._waiting.extend(rows)
        if len(self._waiting) >= _ROWS_PER_WRITE:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            rows = [vars(row) for row in self._waiting]
            self._writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
            self._waiting.clear()
