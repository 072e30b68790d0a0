"""Writes the rows that are left out of the examples, each with the reason."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.data_ingestion.readers.source import RejectedRow

FILE_NAME = "part-00000.parquet"
SCHEMA = pa.schema(
    [
        pa.field("file", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("text", pa.string()),
    ]
)

_ROWS_PER_ROW_GROUP = 10_000


class RejectedWriter:
    """Writes rejected rows to Parquet with bounded memory; a context manager.

    It writes the file even if no row is rejected.

    Args:
        directory: An existing directory.
        keep: The number of rows to keep in `first`.

    Attributes:
        reasons: The number of rejected rows by reason.
        first: The first rejected rows.
    """

    def __init__(self, directory: str | os.PathLike[str], keep: int = 10) -> None:
        self.reasons: Counter[str] = Counter()
        self.first: list[RejectedRow] = []
        self._keep = keep
        self._waiting: list[RejectedRow] = []
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

    def add(self, rows: Sequence[RejectedRow]) -> None:
        """Append rows."""
        self.reasons.update(row.reason for row in rows)
        self.first.extend(rows[: self._keep - len(self.first)])
        self._waiting.extend(rows)
        if len(self._waiting) >= _ROWS_PER_ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            rows = [vars(row) for row in self._waiting]
            self._writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
            self._waiting.clear()
