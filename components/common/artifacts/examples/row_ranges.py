"""Pieces of examples: rows of row groups, shared out and read in order."""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common.artifacts.examples import damaged_parquet
from kfp_tabular.components.common.artifacts.examples.shard_file import (
    OpenParquet,
    ShardFile,
    open_shard,
)
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage.object_store import CONNECTIONS


@dataclass(frozen=True)
class RowRange:
    """Some consecutive rows of a row group.

    Attributes:
        shard: The shard.
        group: Index of the row group in the shard.
        start: The first row, counted in the row group.
        rows: Number of rows.
    """

    shard: ShardFile
    group: int
    start: int
    rows: int


class MissingColumnError(UserError):
    """A shard lacks a column.

    Attributes:
        shard: The shard.
        column: The column.
    """

    def __init__(self, shard: ShardFile, column: str) -> None:
        super().__init__(f"{shard}: no column {column!r}.")
        self.shard = shard
        self.column = column


def worker_share(shards: Sequence[ShardFile], worker: int = 0, workers: int = 1) -> list[RowRange]:
    """Return a worker's share of a split: consecutive rows, equal shares to within a row.

    Nothing is read: the manifest knows the row groups.

    Args:
        shards: The split's shards, in order.
        worker: Index of the worker.
        workers: Number of workers.

    Returns:
        Row groups, whole or in part, in the order they were written, without empty ones.

    Example:
        >>> shard = ShardFile("train.parquet", 10, 999, "", row_groups=(4, 4, 2))
        >>> share = worker_share([shard], worker=1, workers=2)
        >>> [(row_range.group, row_range.start, row_range.rows) for row_range in share]
        [(1, 1, 3), (2, 0, 2)]
    """
    total = sum(shard.rows for shard in shards)
    first, end = total * worker // workers, total * (worker + 1) // workers
    share, position = [], 0
    for shard in shards:
        for group, rows in enumerate(shard.row_groups):
            start, stop = max(first - position, 0), min(end - position, rows)
            if stop > start:
                share.append(RowRange(shard, group, start, stop - start))
            position += rows
    return share


def share_batches(
    share: Sequence[RowRange], columns: Sequence[str], size: int
) -> Iterator[tuple[ShardFile, pa.RecordBatch]]:
    """Yield columns of row ranges with their shard, in their order; those of a shard are adjacent.

    Shards in a store are streamed: what comes next is fetched while a batch is in use.

    Args:
        share: The row ranges.
        columns: The columns to read.
        size: The largest number of rows of a batch.

    Raises:
        MissingColumnError: A shard lacks a column.
        UserError: A shard is missing or damaged.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "train.parquet"
        ...     pq.write_table(pa.table({"fare": [4.5, 7.0, 9.5], "tip": [0, 1, 1]}), file)
        ...     share = [RowRange(ShardFile.of(file), group=0, start=1, rows=2)]
        ...     [batch.to_pydict() for _, batch in share_batches(share, ["tip"], size=10)]
        [{'tip': [1, 1]}]
    """
    by_shard: dict[ShardFile, list[RowRange]] = {}
    for row_range in share:
        by_shard.setdefault(row_range.shard, []).append(row_range)
    wanted = [(shard, [row_range.group for row_range in own]) for shard, own in by_shard.items()]
    for shard, parquet in opened_in_turn(wanted, columns):
        for name in columns:
            if name not in parquet.schema_arrow.names:
                raise MissingColumnError(shard, name)
        for batch in _batches(parquet, by_shard[shard], columns, size):
            yield shard, batch


def opened_in_turn(
    wanted: Sequence[tuple[ShardFile, Sequence[int]]], columns: Sequence[str] | None
) -> Iterator[tuple[ShardFile, pq.ParquetFile]]:
    """Yield shards open, one at a time; the next one in a store is opened meanwhile.

    Args:
        wanted: The shards, and the row groups that are read.
        columns: The columns that are read; None for all.
    """
    with (
        ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="shard-fetch") as fetching,
        ThreadPoolExecutor(1, thread_name_prefix="shard-open") as opening,
    ):

        def opened(shard: ShardFile, groups: Sequence[int]) -> OpenParquet:
            found = open_shard(shard, fetching)
            found.announce(groups, columns)
            return found

        ahead: Future[OpenParquet] | None = None
        try:
            for number, (shard, groups) in enumerate(wanted):
                current = opened(shard, groups) if ahead is None else ahead.result()
                ahead = None
                following = wanted[number + 1 : number + 2]
                if following and following[0][0].folder is not None:
                    ahead = opening.submit(opened, *following[0])
                with closing(current):
                    yield shard, current.parquet
        finally:
            fetching.shutdown(wait=False, cancel_futures=True)
            if ahead is not None and not ahead.cancel() and ahead.exception() is None:
                ahead.result().close()


def _batches(
    parquet: pq.ParquetFile, share: Sequence[RowRange], columns: Sequence[str], size: int
) -> Iterator[pa.RecordBatch]:
    uri = share[0].shard.uri
    for whole, run in itertools.groupby(share, _is_whole):
        if whole:
            groups = [row_range.group for row_range in run]
            yield from damaged_parquet.batches(parquet, uri, size, groups, columns)
            continue
        for row_range in run:
            found = damaged_parquet.batches(parquet, uri, size, [row_range.group], columns)
            yield from _cut(found, row_range.start, row_range.start + row_range.rows)


def _is_whole(row_range: RowRange) -> bool:
    return row_range.rows == row_range.shard.row_groups[row_range.group]


def _cut(batches: Iterator[pa.RecordBatch], start: int, stop: int) -> Iterator[pa.RecordBatch]:
    position = 0
    for batch in batches:
        first, end = max(start - position, 0), min(stop - position, batch.num_rows)
        if first < end:
            yield batch.slice(first, end - first)
        position += batch.num_rows
        if position >= stop:
            return
