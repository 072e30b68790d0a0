"""The examples artifact: Parquet shards by split, `split=train/part-00000.parquet`.

All splits have the same Arrow schema. Columns are `int64`, `float64` or `string`; a missing value
is null. Every reader of hive-partitioned Parquet (pyarrow, DuckDB, Spark, BigQuery) can read it.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.process import lean_imports

lean_imports.settle_arrow_without_pandas()

_SPLIT_PREFIX = "split="


@dataclass(frozen=True)
class Examples:
    """Reads an examples (or transformed examples) artifact.

    Attributes:
        path: The artifact's directory.
    """

    path: Path

    @cached_property
    def shards(self) -> dict[str, list[Path]]:
        """The Parquet files of each split, in order; splits without a file are absent.

        Raises:
            UserError: The directory has no split.
        """
        found = {
            directory.name.removeprefix(_SPLIT_PREFIX): sorted(directory.glob("*.parquet"))
            for directory in sorted(self.path.glob(f"{_SPLIT_PREFIX}*"))
        }
        found = {split: files for split, files in found.items() if files}
        if not found:
            raise UserError(
                f"{self.path}: no examples found. Expected Parquet files in split=<name>/, as "
                "ingest_data writes them."
            )
        return found

    @property
    def splits(self) -> list[str]:
        """The names of the splits, sorted."""
        return list(self.shards)

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema that all splits share."""
        first = next(iter(self.shards.values()))[0]
        return pq.read_schema(first)

    def rows(self) -> dict[str, int]:
        """Return the row count of each split, read from the Parquet footers."""
        return {
            split: sum(pq.read_metadata(file).num_rows for file in files)
            for split, files in self.shards.items()
        }

    def require(self, split: str) -> list[Path]:
        """Return the files of a split.

        Raises:
            UserError: The split does not exist.
        """
        if split not in self.shards:
            raise UserError(
                f"{self.path}: no split {split!r}; the splits are {', '.join(self.splits)}."
                + closest(split, self.splits)
            )
        return self.shards[split]

    def batches(
        self, split: str, columns: Sequence[str] | None = None, batch_size: int = 65_536
    ) -> Iterator[pa.RecordBatch]:
        """Yield the batches of a split with bounded memory, in the order they were written.

        Args:
            split: The split's name.
            columns: The columns to read; None for all.
            batch_size: The largest number of rows in a batch.

        Yields:
            Record batches. A batch never spans two files, so it may be smaller.

        Raises:
            UserError: The split or a column does not exist.
        """
        names = set(self.schema.names)
        for column in columns or ():
            if column not in names:
                raise UserError(f"{self.path}: no column {column!r}.{closest(column, names)}")
        for file in self.require(split):
            with pq.ParquetFile(file, memory_map=True) as parquet:
                yield from parquet.iter_batches(
                    batch_size=batch_size, columns=None if columns is None else list(columns)
                )


class ExamplesWriter:
    """Writes an examples artifact shard by shard, with bounded memory.

    Use it as a context manager inside `files.atomic_directory`. Rows keep their order. Every split
    gets a file, even if it has no rows.

    Args:
        path: An existing directory to write into.
        schema: The schema that every batch has.
        splits: The names of the splits.
        rows_per_shard: The writer starts a new shard once one has at least this many rows.

    Attributes:
        rows: Rows written so far, by split.

    Example:
        >>> import tempfile
        >>> table = pa.table({"fare": [1.5, 2.5]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ExamplesWriter(folder, table.schema, ["train", "eval"]) as writer:
        ...         writer.write("train", table)
        ...     Examples(Path(folder)).rows()
        {'eval': 0, 'train': 2}
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        schema: pa.Schema,
        splits: Sequence[str],
        rows_per_shard: int = 1_000_000,
    ) -> None:
        self.rows = dict.fromkeys(splits, 0)
        self._path = Path(path)
        self._schema = schema
        self._rows_per_shard = rows_per_shard
        # A dictionary of floats would be built, found too large, and dropped: a waste of time.
        self._repetitive = [field.name for field in schema if not pa.types.is_floating(field.type)]
        self._shards = dict.fromkeys(splits, 0)
        self._in_shard = dict.fromkeys(splits, 0)
        self._open: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> "ExamplesWriter":
        for split in self.rows:
            self._next_shard(split)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for writer in self._open.values():
            writer.close()

    def write(self, split: str, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows to a split.

        Args:
            split: One of the writer's splits.
            batch: Rows in the writer's schema.
        """
        if not batch.num_rows:
            return
        if self._in_shard[split] >= self._rows_per_shard:
            self._next_shard(split)
        writer = self._open[split]
        table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        writer.write_table(table)
        self.rows[split] += batch.num_rows
        self._in_shard[split] += batch.num_rows

    def _next_shard(self, split: str) -> None:
        if split in self._open:
            self._open[split].close()
        directory = self._path / f"{_SPLIT_PREFIX}{split}"
        directory.mkdir(exist_ok=True)
        file = directory / f"part-{self._shards[split]:05d}.parquet"
        self._open[split] = pq.ParquetWriter(
            file, self._schema, compression="zstd", use_dictionary=self._repetitive
        )
        self._shards[split] += 1
        self._in_shard[split] = 0
