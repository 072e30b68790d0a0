"""Writes the rows that are left out of the examples, each with the reason."""

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.examples import ShardDestination, damaged_parquet
from kfp_tabular.components.common.artifacts.examples.shard_file import open_parquet
from kfp_tabular.components.common.storage import is_remote
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
_FOLDER = "_rejected"


def rejected_path(number: int) -> str:
    """Return where the rejected rows of a piece are written, below the destination."""
    return f"{_FOLDER}/part-{number:05d}.parquet"


class RejectedWriter:
    """Writes the rejected rows of a piece with bounded memory; a context manager.

    A piece without any writes no file.

    Args:
        destination: Where the examples are written.
        number: The number of the piece.
    """

    def __init__(self, destination: ShardDestination, number: int) -> None:
        self._destination = destination
        self._path = rejected_path(number)
        self._waiting: list[RejectedRow] = []
        self._file: Path | None = None
        self._writer: pq.ParquetWriter | None = None
        self._files = ExitStack()

    def __enter__(self) -> "RejectedWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._files:
            if kind is None:
                self._flush()
            if self._writer is not None:
                self._writer.close()
            if kind is None and self._file is not None:
                self._destination.put(self._file, self._path)

    def add(self, rows: Sequence[RejectedRow]) -> None:
        """Append rows."""
        self._waiting.extend(rows)
        if len(self._waiting) >= _ROWS_PER_ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        if self._writer is None:
            self._file = self._files.enter_context(self._destination.file())
            self._writer = pq.ParquetWriter(self._file, SCHEMA, compression="zstd")
        rows = [vars(row) for row in self._waiting]
        self._writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
        self._waiting.clear()


def join(
    destination: ShardDestination, numbers: Iterable[int], directory: str | os.PathLike[str]
) -> None:
    """Move the rejected rows of all pieces to one file, which is there also without any.

    Args:
        destination: Where the pieces were written.
        numbers: The pieces that rejected rows, in order.
        directory: An existing directory.
    """
    paths = [rejected_path(number) for number in numbers]
    with pq.ParquetWriter(Path(directory) / FILE_NAME, SCHEMA, compression="zstd") as writer:
        for path in paths:
            uri = f"{destination.root}/{path}"
            with open_parquet(uri) as parquet:
                for group in range(parquet.num_row_groups):
                    read = damaged_parquet.batches(parquet, uri, _ROWS_PER_ROW_GROUP, [group], None)
                    writer.write_table(pa.Table.from_batches(read, SCHEMA))
    destination.discard(paths)
    if not is_remote(destination.root):
        files.remove(Path(destination.root) / _FOLDER)
