"""Cuts examples into pieces, and reads a piece."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.artifacts.examples import Examples, damaged_parquet
from kfp_tabular.components.common.artifacts.examples.shard_file import open_parquet
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.processing.pieces import Piece, join, numbered

ROWS_PER_PIECE = 131_072
"""Pieces have about so many rows: a row group as ingestion writes them."""

_MOST_PIECES = 64  # a larger split has larger pieces, because merging costs time for each
_MOST_ROWS = 1 << 20  # but not too large for a task of a cluster, which may be tried again


def pieces(examples: Examples, split: str, rows: int = 0) -> list[Piece]:
    """Cut a split into pieces of whole row groups.

    Args:
        examples: The examples.
        split: The split's name.
        rows: The wanted number of rows of a piece; 0 for a number that suits one machine. It does
            not change results, except for the last digits of sums.

    Raises:
        UserError: The split does not exist.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import pyarrow as pa
        >>> from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
        >>> table = pa.table({"fare": [1.5, 2.5]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ExamplesWriter(folder, table.schema, ["train"]) as writer:
        ...         writer.write("train", table)
        ...         writer.write("train", table)
        ...     found = pieces(Examples(Path(folder)), "train", rows=1)
        >>> [(piece.start, piece.stop, piece.first_row) for piece in found]
        [(0, 1, 0), (1, 2, 2)]
    """
    found, first = [], 0
    for shard in examples.require(split):
        for group, count in enumerate(shard.row_groups):
            piece = Piece(shard.uri, "row-groups", group, group + 1, split, count, first)
            found.append(piece)
            first += count
    return numbered(
        join(found, rows or min(max(ROWS_PER_PIECE, first // _MOST_PIECES), _MOST_ROWS))
    )


@dataclass(frozen=True)
class PieceReader:
    """Reads pieces of examples as batches. Made by `reader`.

    Attributes:
        columns: The columns to read; None for all.
        batch_size: The largest number of rows in a batch.
    """

    columns: tuple[str, ...] | None
    batch_size: int

    def __call__(self, piece: Piece) -> Iterator[Rows]:
        """Yield the rows of a piece in order.

        Raises:
            UserError: The file is missing, damaged, or not that of the manifest.
        """
        first = piece.first_row
        groups = range(piece.start, piece.stop)
        with open_parquet(piece.uri, groups, self.columns, piece.rows) as parquet:
            for batch in damaged_parquet.batches(
                parquet, piece.uri, self.batch_size, groups, self.columns, use_threads=False
            ):
                yield Rows(batch, first, piece.split)
                first += batch.num_rows


def reader(
    examples: Examples, columns: Sequence[str] | None = None, batch_size: int = 65_536
) -> PieceReader:
    """Return what reads the pieces of some examples.

    Args:
        examples: The examples.
        columns: The columns to read; None for all.
        batch_size: The largest number of rows in a batch.

    Raises:
        UserError: A column does not exist.
    """
    names = examples.schema.names
    for column in columns or ():
        if column not in names:
            raise UserError(f"{examples.path}: no column {column!r}.{closest(column, names)}")
    return PieceReader(None if columns is None else tuple(columns), batch_size)
