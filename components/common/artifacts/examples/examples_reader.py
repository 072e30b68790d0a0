"""Reads an examples artifact: shards by split, as its manifest names them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common.artifacts import manifest
from kfp_tabular.components.common.artifacts.examples import arrow_schema, damaged_parquet
from kfp_tabular.components.common.artifacts.examples.row_ranges import opened_in_turn
from kfp_tabular.components.common.artifacts.examples.shard_file import (
    ShardFile,
    check_bytes,
    missing,
)
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.storage import Folder, is_remote
from kfp_tabular.components.common.storage.location import parse

_SPLIT_PREFIX = "split="


@dataclass(frozen=True)
class Examples:
    """Reads an examples (or transformed examples) artifact.

    Attributes:
        path: The artifact's directory.
    """

    path: Path

    @cached_property
    def manifest(self) -> manifest.Manifest | None:
        """The manifest; None for artifacts of earlier releases and of other programs.

        Raises:
            UserError: It is damaged.
        """
        return manifest.read(self.path)

    @cached_property
    def shards(self) -> dict[str, list[ShardFile]]:
        """The shards of each split, in order. Without a manifest, the Parquet files there are.

        Raises:
            UserError: The directory has no split, or a shard is missing or has another size.
        """
        if self.manifest is None:
            found = {
                directory.name.removeprefix(_SPLIT_PREFIX): [
                    ShardFile.of(file) for file in sorted(directory.glob("*.parquet"))
                ]
                for directory in sorted(self.path.glob(f"{_SPLIT_PREFIX}*"))
            }
            found = {split: files for split, files in found.items() if files}
        else:
            found = located(self.manifest, self.path)
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
        if self.manifest is not None:
            return arrow_schema.schema_of(self.manifest.columns, self.path / manifest.FILE_NAME)
        first = next(iter(self.shards.values()))[0]
        return pq.read_schema(first.uri)

    def rows(self) -> dict[str, int]:
        """Return the row count of each split."""
        return {split: sum(file.rows for file in files) for split, files in self.shards.items()}

    def require(self, split: str) -> list[ShardFile]:
        """Return the shards of a split.

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
        wanted = [(shard, range(len(shard.row_groups))) for shard in self.require(split)]
        names_read = None if columns is None else list(columns)
        for shard, parquet in opened_in_turn(wanted, names_read):
            groups = range(parquet.num_row_groups)
            yield from damaged_parquet.batches(parquet, shard.uri, batch_size, groups, names_read)


def located(found: manifest.Manifest, directory: Path) -> dict[str, list[ShardFile]]:
    """Return the shards of a manifest with their places, by split.

    Local shards are looked up at once, those in a store when they are opened.

    Args:
        found: The manifest.
        directory: The artifact's directory.

    Raises:
        UserError: A local shard is missing or has another size.
    """
    root = found.shards_uri or str(directory)
    folder = Folder(root) if is_remote(root) else None
    base = str(parse(root).path) if folder is None else str(folder)
    splits = {
        split: [
            ShardFile(
                f"{base}/{shard.path}",
                shard.rows,
                shard.bytes,
                shard.digest,
                shard.row_groups,
                folder,
            )
            for shard in found.splits[split]
        ]
        for split in sorted(found.splits)
    }
    if folder is None:
        for shards in splits.values():
            for shard in shards:
                try:
                    check_bytes(shard, Path(shard.uri).stat().st_size)
                except (FileNotFoundError, NotADirectoryError) as error:
                    raise missing(shard) from error
    return splits
