"""Gathers batches into row groups: large enough to compress and scan well, small enough to hold."""

from collections import Counter

import pyarrow as pa

from kfp_tabular.components.common.artifacts.examples import PieceWriter

ROWS_PER_ROW_GROUP = 131_072
_BYTES_PER_ROW_GROUP = 32 << 20


class RowGroups:
    """Gathers the batches of a piece into row groups and writes them.

    Args:
        writer: Writes the shards of the piece.

    Attributes:
        missing: Missing values by column, over all splits.
    """

    def __init__(self, writer: PieceWriter) -> None:
        self._writer = writer
        self._waiting: dict[str, list[pa.RecordBatch]] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self.missing: Counter[str] = Counter()

    def add(self, split: str, batch: pa.RecordBatch) -> None:
        """Append rows to a split."""
        rows, size = self._sizes.get(split, (0, 0))
        rows, size = rows + batch.num_rows, size + batch.nbytes
        self._waiting.setdefault(split, []).append(batch)
        self._sizes[split] = (rows, size)
        if rows >= ROWS_PER_ROW_GROUP or size >= _BYTES_PER_ROW_GROUP:
            self._flush(split)

    def flush(self) -> None:
        """Write the rows that are left."""
        for split in self._waiting:
            self._flush(split)

    def _flush(self, split: str) -> None:
        if not self._waiting[split]:
            return
        table = pa.Table.from_batches(self._waiting[split])
        for name, column in zip(table.column_names, table.columns, strict=True):
            self.missing[name] += column.null_count
        self._writer.write(split, table)
        self._waiting[split].clear()
        self._sizes[split] = (0, 0)
