"""Writes examples by pieces, in any number of processes, and gathers what they wrote."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

import pyarrow as pa

from kfp_tabular.components.common.artifacts import manifest
from kfp_tabular.components.common.artifacts.examples.shard_destination import ShardDestination
from kfp_tabular.components.common.artifacts.examples.shard_writer import (
    ShardWriter,
    schema_as_read,
)
from kfp_tabular.components.common.artifacts.manifest import Shard

Shards = Mapping[str, Sequence[Shard]]
"""Shards by split, as a piece writes them; small, and can be sent to other processes."""


class PieceWriter:
    """Writes what a map makes of one piece: a shard for each split that gets rows.

    Rows keep their order. The shards are named by the piece's number, so a piece that is written
    again replaces them. If the block raises, or the process ends, no shard of it that is
    incomplete is there.

    Args:
        destination: The folder of the attempt.
        number: The number of the piece.
        schema: The schema of all rows.
        rows_per_shard: The writer starts a new shard once one has at least this many rows.

    Attributes:
        shards: After the block, the shards of each split.

    Example:
        >>> import tempfile
        >>> table = pa.table({"fare": [1.5, 2.5]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with PieceWriter(ShardDestination.of(folder), 3, table.schema) as writer:
        ...         writer.write("train", table)
        ...     [(shard.path, shard.rows) for shard in writer.shards["train"]]
        [('split=train/part-00003.parquet', 2)]
    """

    def __init__(
        self,
        destination: ShardDestination,
        number: int,
        schema: pa.Schema,
        rows_per_shard: int = 1_000_000,
    ) -> None:
        self.shards: dict[str, list[Shard]] = {}
        self._destination = destination
        self._number = number
        self._schema = schema
        self._rows_per_shard = rows_per_shard
        self._open: dict[str, ShardWriter] = {}
        self._files = ExitStack()

    def __enter__(self) -> "PieceWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._files:
            for split in list(self._open):
                if kind is None:
                    self._close(split)
                else:
                    self._open.pop(split).abandon()

    def write(self, split: str, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows to a split."""
        if not batch.num_rows:
            return
        if split in self._open and self._open[split].rows >= self._rows_per_shard:
            self._close(split)
        if split not in self._open:
            self._open[split] = self._next_shard(split)
        self._open[split].write(batch)

    def _next_shard(self, split: str) -> ShardWriter:
        part = len(self.shards.get(split, ()))
        file = self._files.enter_context(self._destination.file())
        return ShardWriter(file, manifest.shard_path(split, self._number, part=part), self._schema)

    def _close(self, split: str) -> None:
        writer = self._open.pop(split)
        writer.close()
        shard = writer.described()
        self._destination.put(writer.file, shard.path)
        self.shards.setdefault(split, []).append(shard)


@dataclass(frozen=True)
class GatheredShards:
    """What all pieces wrote, for the manifest.

    Attributes:
        schema: The schema, as readers see it: Parquet renames the items of lists.
        shards: The shards of each split, in the order of their rows; at least one.
    """

    schema: pa.Schema
    shards: Mapping[str, Sequence[Shard]]

    @property
    def rows(self) -> dict[str, int]:
        """Rows by split."""
        return {split: sum(shard.rows for shard in found) for split, found in self.shards.items()}


def gather(
    destination: ShardDestination,
    schema: pa.Schema,
    splits: Iterable[str],
    pieces: Iterable[Shards],
) -> GatheredShards:
    """Gather what pieces wrote. A split without rows gets a shard without rows.

    Args:
        destination: The folder of the attempt.
        schema: The schema that the pieces were written with.
        splits: The names of the splits.
        pieces: What each piece wrote, in the order of the pieces.

    Example:
        >>> import tempfile
        >>> table = pa.table({"fare": [1.5, 2.5]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     destination = ShardDestination.of(folder)
        ...     with PieceWriter(destination, 0, table.schema) as writer:
        ...         writer.write("train", table)
        ...     gather(destination, table.schema, ["train", "eval"], [writer.shards]).rows
        {'train': 2, 'eval': 0}
    """
    gathered: dict[str, list[Shard]] = {split: [] for split in splits}
    for shards in pieces:
        for split, found in shards.items():
            gathered[split] += found
    for split, found in gathered.items():
        if not found:
            found.append(_empty(destination, split, schema))
    return GatheredShards(schema_as_read(schema), gathered)


def _empty(destination: ShardDestination, split: str, schema: pa.Schema) -> Shard:
    with destination.file() as file:
        writer = ShardWriter(file, manifest.shard_path(split, 0), schema)
        writer.close()
        shard = writer.described()
        destination.put(file, shard.path)
    return shard
