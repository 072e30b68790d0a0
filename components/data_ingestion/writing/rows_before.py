"""How many equal rows come before each piece, for splits that number equal rows.

A piece's counts can be as large as its rows, so none of them is held for all pieces: they are files
beside the shards, until these are written. Each piece writes its counts. Groups of pieces are
summed up where the engine runs, and the driver sums up the groups, with one table in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.examples import ShardDestination
from kfp_tabular.components.common.artifacts.examples.damaged_parquet import explained
from kfp_tabular.components.common.artifacts.examples.shard_file import open_parquet
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import is_remote
from kfp_tabular.components.data_ingestion.splits.row_hashing import RowCounts, RowNumbers

FOLDER = "_row_numbers"
"""Where the files are, below the destination."""

PIECES_PER_GROUP = 64


@dataclass(frozen=True)
class RowsBefore:
    """The counts of rows before each piece, as files. It can be sent to other processes.

    Attributes:
        destination: Where the examples are written.
        pieces: The number of pieces.
        per_group: Pieces that are summed up by one task.
    """

    destination: ShardDestination
    pieces: int
    per_group: int = PIECES_PER_GROUP

    def count(self, number: int, counted: RowCounts) -> None:
        """Write the counts of a piece's own rows."""
        self._write(f"piece-{number:05d}", counted)

    def sum_up(self, engine: Engine) -> None:
        """Sum up the counts of all pieces, which are written.

        Args:
            engine: Sums up the groups.
        """
        groups = [
            Piece(
                self.destination.root,
                "blocks",
                start,
                min(start + self.per_group, self.pieces),
                number=number,
            )
            for number, start in enumerate(range(0, self.pieces, self.per_group))
        ]
        for _ in engine.map(groups, GroupSum(self)):
            pass
        numbers = RowNumbers()
        for group in groups[:-1]:
            numbers.after(self._read(f"group-{group.number:05d}"))
            following = group.number + 1
            self._write(f"before-group-{following:05d}", numbers.counts())

    def sum_group(self, group: Piece) -> None:
        """Write how many rows of its group come before each piece, and those of the whole group."""
        numbers = RowNumbers()
        for number in range(group.start, group.stop):
            self._write(f"before-{number:05d}", numbers.after(self._read(f"piece-{number:05d}")))
        if group.stop < self.pieces:
            self._write(f"group-{group.number:05d}", numbers.counts())

    def of(self, number: int) -> RowCounts:
        """Return how many rows come before a piece, of those that it has itself."""
        in_group = self._read(f"before-{number:05d}")
        group = number // self.per_group
        if not group:
            return in_group
        earlier = RowNumbers(self._read(f"before-group-{group:05d}")).after(in_group)
        return RowCounts(in_group.slots, in_group.counts + earlier.counts)

    def discard(self) -> None:
        """Remove the files."""
        self.destination.discard(f"{FOLDER}/{name}.parquet" for name in self._names())
        if not is_remote(self.destination.root):
            files.remove(Path(self.destination.root) / FOLDER)

    def _names(self) -> Iterator[str]:
        for number in range(self.pieces):
            yield f"piece-{number:05d}"
            yield f"before-{number:05d}"
        groups = -(-self.pieces // self.per_group)
        for number in range(1, groups):
            yield f"group-{number - 1:05d}"
            yield f"before-group-{number:05d}"

    def _write(self, name: str, counts: RowCounts) -> None:
        table = pa.table({"slots": counts.slots, "counts": counts.counts})
        with self.destination.file() as file:
            # Ascending numbers and small ones: some bits each, instead of 16 bytes a row.
            pq.write_table(
                table,
                file,
                compression="zstd",
                use_dictionary=False,
                column_encoding="DELTA_BINARY_PACKED",
            )
            self.destination.put(file, f"{FOLDER}/{name}.parquet")

    def _read(self, name: str) -> RowCounts:
        uri = f"{self.destination.root}/{FOLDER}/{name}.parquet"
        with open_parquet(uri) as parquet, explained(uri):
            table = parquet.read()
        return RowCounts(
            *(np.asarray(table[column].to_numpy(), np.int64) for column in ("slots", "counts"))
        )


@dataclass(frozen=True)
class GroupSum:
    """Sums up a group of pieces.

    Attributes:
        before: The counts.
    """

    before: RowsBefore

    def __call__(self, piece: Piece) -> int:
        """Sum up the pieces that a piece names by `start` and `stop`; return their number."""
        self.before.sum_group(piece)
        return piece.stop - piece.start
