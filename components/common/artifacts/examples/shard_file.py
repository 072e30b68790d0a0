"""A Parquet shard of examples, on this machine or in an object store."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common.artifacts.examples.damaged_parquet import (
    REMEDY,
    checksum_option,
    explained,
)
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process import lean_imports
from kfp_tabular.components.common.storage import Folder, is_remote
from kfp_tabular.components.common.storage.object_store import CONNECTIONS, StoredObject
from kfp_tabular.components.common.storage.remote_file import Range, RemoteFile

lean_imports.settle_arrow_without_pandas()

_WHOLE_BYTES = 1 << 20
"""Remote shards up to this size are fetched by one request."""

_WINDOW_BYTES = 32 << 20
"""What is held of a remote shard; two are open at a time."""


@dataclass(frozen=True)
class ShardFile:
    """A shard, as the manifest describes it.

    It can be sent to other processes. As text it is its URI.

    Attributes:
        uri: Its path or URI.
        rows: Its rows.
        bytes: Its size.
        digest: The SHA-256 of its content; empty for artifacts without a manifest.
        row_groups: The rows of each row group.
        folder: The folder in a store that it is in; None for a local file.
    """

    uri: str
    rows: int
    bytes: int
    digest: str
    row_groups: tuple[int, ...]
    folder: Folder | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, path: Path) -> "ShardFile":
        """Return a local Parquet file as a shard, described by its footer.

        Raises:
            UserError: The file is not Parquet.
        """
        with explained(str(path)):
            metadata = pq.read_metadata(path)
        groups = tuple(metadata.row_group(n).num_rows for n in range(metadata.num_row_groups))
        return cls(str(path), metadata.num_rows, path.stat().st_size, "", groups)

    def __str__(self) -> str:
        return self.uri

    @contextmanager
    def open(self) -> Iterator[pq.ParquetFile]:
        """Open the shard: memory-mapped, or in the store, by ranges as they are read.

        Raises:
            UserError: The shard is missing, not Parquet, or other than the manifest says.
        """
        with (
            ThreadPoolExecutor(CONNECTIONS) as threads,
            closing(open_shard(self, threads)) as opened,
        ):
            yield opened.parquet


class OpenParquet:
    """An open Parquet file, here or in a store.

    Args:
        uri: Its path or URI.
        source: The file in the store; None for a local file.

    Attributes:
        parquet: Its reader.

    Raises:
        FileNotFoundError: There is no local file.
        UserError: The file is not Parquet.
    """

    def __init__(self, uri: str, source: RemoteFile | None) -> None:
        self._source = source
        checks = checksum_option("page_checksum_verification")
        try:
            with explained(uri):
                if source is None:
                    self.parquet = pq.ParquetFile(uri, memory_map=True, **checks)
                else:
                    # With pre_buffer, all row groups would be fetched before the first is decoded.
                    self.parquet = pq.ParquetFile(
                        pa.PythonFile(source, mode="r"), pre_buffer=False, **checks
                    )
        except BaseException:
            self._close_source()
            raise

    def announce(self, groups: Sequence[int], columns: Sequence[str] | None) -> None:
        """Fetch columns of row groups ahead, if the file is in a store and not fetched whole."""
        if self._source is not None and self._source.size() > _WHOLE_BYTES:
            metadata = self.parquet.metadata
            self._source.announce([extents(metadata.row_group(n), columns) for n in groups])

    def close(self) -> None:
        """Close the file."""
        self.parquet.close()
        self._close_source()

    def _close_source(self) -> None:
        if self._source is not None:
            self._source.close()


def open_shard(shard: ShardFile, threads: Executor) -> OpenParquet:
    """Open a shard.

    Args:
        shard: The shard.
        threads: Fetch from the store.

    Raises:
        UserError: The shard is missing, not Parquet, or other than the manifest says.
    """
    source = None
    if shard.folder is not None:
        stored = shard.folder.stat(shard.uri.removeprefix(f"{shard.folder}/"))
        if stored is None:
            raise missing(shard)
        check_bytes(shard, stored.size)
        source = _remote_file(shard.folder, stored, threads)
    try:
        opened = OpenParquet(shard.uri, source)
    except FileNotFoundError as error:
        raise missing(shard) from error
    metadata = opened.parquet.metadata
    groups = tuple(metadata.row_group(n).num_rows for n in range(metadata.num_row_groups))
    if groups != shard.row_groups:
        opened.close()
        raise UserError(
            f"{shard}: it has {sum(groups)} rows in {len(groups)} row groups, its manifest records "
            f"{shard.rows} in {len(shard.row_groups)}. {REMEDY}"
        )
    return opened


@contextmanager
def open_parquet(
    uri: str,
    groups: Sequence[int] = (),
    columns: Sequence[str] | None = None,
    rows: int = 0,
) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file by its path or URI, without a manifest to compare it with.

    Args:
        uri: The file.
        groups: The row groups that are read; those of a file in a store are fetched ahead.
        columns: The columns of these that are fetched; None for all.
        rows: The rows that these have by the manifest; 0 where that is not known.

    Raises:
        UserError: The file is missing, not Parquet, or has other rows.
    """
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        source = None
        if is_remote(uri):
            parent, _, name = uri.rpartition("/")
            folder = Folder(parent)
            stored = folder.stat(name)
            if stored is None:
                raise UserError(f"{uri}: not found. Run the task that wrote it again.")
            source = _remote_file(folder, stored, threads)
        opened = OpenParquet(uri, source)
        try:
            metadata = opened.parquet.metadata
            counts = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
            if groups and max(groups) >= len(counts):
                raise UserError(
                    f"{uri}: it has {len(counts)} row groups, its manifest records more. {REMEDY}"
                )
            check_rows(uri, groups, sum(counts[n] for n in groups), rows)
            opened.announce(groups, columns)
            yield opened.parquet
        finally:
            opened.close()


def _remote_file(folder: Folder, stored: StoredObject, threads: Executor) -> RemoteFile:
    source = RemoteFile(
        lambda start, end: folder.read(stored, start, end), stored.size, threads, _WINDOW_BYTES
    )
    if stored.size <= _WHOLE_BYTES:
        source.announce([[(0, stored.size)]])
    return source


def extents(row_group: "pq.RowGroupMetaData", columns: Sequence[str] | None = None) -> list[Range]:
    """Return where columns of a row group are in their file.

    Args:
        row_group: The row group.
        columns: The names of columns; None for all.

    Example:
        >>> import io
        >>> stream = io.BytesIO()
        >>> pq.write_table(pa.table({"fare": [4.5, 7.0], "tip": [0, 1]}), stream)
        >>> row_group = pq.read_metadata(stream).row_group(0)
        >>> (fare, tip), (only,) = extents(row_group), extents(row_group, ["tip"])
        >>> stream.getvalue()[: fare[0]], fare[1] == tip[0], only == tip
        (b'PAR1', True, True)
    """
    found = []
    for index in range(row_group.num_columns):
        column = row_group.column(index)
        path = column.path_in_schema
        # A list's values are in a column below its name.
        if columns is None or any(path == name or path.startswith(f"{name}.") for name in columns):
            start = column.data_page_offset
            if column.dictionary_page_offset is not None:
                start = min(start, column.dictionary_page_offset)
            found.append((start, start + column.total_compressed_size))
    return found


def check_bytes(shard: ShardFile, found: int) -> None:
    """Check the size of a shard.

    Raises:
        UserError: It is another one than in the manifest.
    """
    if found != shard.bytes:
        raise UserError(
            f"{shard}: it has {found} bytes, its manifest records {shard.bytes}: the file is "
            f"incomplete or was changed. {REMEDY}"
        )


def check_rows(uri: str, groups: Sequence[int], found: int, expected: int) -> None:
    """Check how many rows some row groups have.

    Args:
        uri: The file.
        groups: The row groups.
        found: Their rows.
        expected: Their rows by the manifest; 0 where that is not known.

    Raises:
        UserError: They have others.
    """
    if expected and found != expected:
        raise UserError(
            f"{uri}: row groups {min(groups)} to {max(groups)} have {found} rows, its manifest "
            f"records {expected}. {REMEDY}"
        )


def missing(shard: ShardFile) -> UserError:
    """Return the error for a shard that is not there."""
    return UserError(f"{shard}: not found, but the manifest names it. {REMEDY}")
