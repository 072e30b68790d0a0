"""Gathers batches into row groups: large enough to compress and scan well, small enough to hold."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
from kfp_tabular.components.common.artifacts.manifest import Shard

ROWS_PER_ROW_GROUP = 131_072
_BYTES_PER_ROW_GROUP = 32 << 20


class RowGroups:
    """Gathers batches into row groups and writes them as examples.

    Args:
        directory: An existing, empty directory.
        schema: The schema of the examples.
        splits: The names of the splits.

    Attributes:
        missing: Missing values by column, over all splits.
    """

    def __init__(self, directory: Path, schema: pa.Schema, splits: Sequence[str]) -> None:
        self._writer = ExamplesWriter(directory, schema, splits).__enter__()
        self._waiting: dict[str, list[pa.RecordBatch]] = {split: [] for split in splits}
        self._sizes = dict.fromkeys(splits, (0, 0))
        self.missing = dict.fromkeys(schema.names, 0)

    @property
    def rows(self) -> dict[str, int]:
        """Rows written so far, by split."""
        return dict(self._writer.rows)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the examples."""
        return self._writer.schema

    @property
    def shards(self) -> Mapping[str, Sequence[Shard]]:
        """The shards of each split, once the files are closed."""
        return self._writer.shards

    def add(self, split: str, batch: pa.RecordBatch) -> None:
        """Append rows to a split."""
        rows, size = self._sizes[split]
        rows, size = rows + batch.num_rows, size + batch.nbytes
        self._waiting[split].append(batch)
        self._sizes[split] = (rows, size)
        if rows >= ROWS_PER_ROW_GROUP or size >= _BYTES_PER_ROW_GROUP:
            self._flush(split)

    def flush(self) -> None:
        """Write the rows that are left."""
        for split in self._waiting:
            self._flush(split)

    def close(self) -> None:
        """Close the files; again, nothing happens."""
        self._writer.__exit__(None, None, None)

    def _flush(self, split: str) -> None:
        if not self._waiting[split]:
            return
        table = pa.Table.from_batches(self._waiting[split])
        for name, column in zip(table.column_names, table.columns, strict=True):
            self.missing[name] += column.null_count
        self._writer.write(split, table)
        self._waiting[split].clear()
        self._sizes[split] = (0, 0)
