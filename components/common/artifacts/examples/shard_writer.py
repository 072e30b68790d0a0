"""Writes one shard."""

from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples.damaged_parquet import checksum_option
from kfp_tabular.components.common.artifacts.manifest import Shard


class ShardWriter:
    """Writes a Parquet file with bounded memory; each write makes a row group.

    Args:
        file: The file; its directory exists.
        path: The shard's path below its artifact, for the manifest.
        schema: The schema of all rows.

    Attributes:
        rows: Rows written so far.

    Example:
        >>> import tempfile
        >>> table = pa.table({"fare": [1.5, 2.5]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = ShardWriter(
        ...         Path(folder) / "part", "split=train/part-00000.parquet", table.schema
        ...     )
        ...     writer.write(table)
        ...     writer.close()
        ...     writer.described().row_groups
        (2,)
    """

    def __init__(self, file: Path, path: str, schema: pa.Schema) -> None:
        self.file = file
        self.rows = 0
        self._path = path
        self._footers: list[pq.FileMetaData] = []
        # A dictionary of floats would be built, found too large, and dropped: a waste of time.
        repetitive = [field.name for field in schema if not pa.types.is_floating(field.type)]
        self._writer = pq.ParquetWriter(
            file,
            schema,
            compression="zstd",
            use_dictionary=repetitive,
            **checksum_option("write_page_checksum"),
            metadata_collector=self._footers,
        )

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows."""
        table = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        self._writer.write_table(table)
        self.rows += batch.num_rows

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def abandon(self) -> None:
        """Close the file after an error, without another one, such as for a full disk."""
        for opened in (self._writer, self._writer.file_handle):
            # Parquet's writer raises a RuntimeError if it could not write.
            with suppress(OSError, RuntimeError):
                opened.close()

    def described(self) -> Shard:
        """Return the closed shard as the manifest describes it; reads the file for its digest."""
        footer = self._footer()
        groups = tuple(footer.row_group(n).num_rows for n in range(footer.num_row_groups))
        digest = lineage.digest_file(self.file)
        return Shard(self._path, footer.num_rows, self.file.stat().st_size, digest, groups)

    def _footer(self) -> "pq.FileMetaData":
        (footer,) = self._footers
        return footer


def schema_as_read(schema: pa.Schema) -> pa.Schema:
    """Return a schema as readers of a shard see it: Parquet renames the items of lists.

    Example:
        >>> schema_as_read(pa.schema([("tags", pa.list_(pa.field("tag", pa.string())))]))
        tags: list<element: string>
          child 0, element: string
    """
    stream = pa.BufferOutputStream()
    pq.ParquetWriter(stream, schema).close()
    return pq.read_schema(pa.BufferReader(stream.getvalue())).remove_metadata()
