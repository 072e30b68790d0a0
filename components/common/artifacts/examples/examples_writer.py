"""Writes an examples artifact: shards by split, then the manifest."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from kfp_tabular.components.common.artifacts import lineage, manifest
from kfp_tabular.components.common.artifacts.examples import arrow_schema
from kfp_tabular.components.common.artifacts.examples.shard_writer import (
    ShardWriter,
    schema_as_read,
)
from kfp_tabular.components.common.artifacts.manifest import Manifest, Shard
from kfp_tabular.components.common.storage import Folder, is_remote
from kfp_tabular.components.common.storage.location import parse


class ExamplesWriter:
    """Writes an examples artifact shard by shard, with bounded memory.

    Use it as a context manager inside `files.atomic_directory`. Rows keep their order. Every split
    gets a file, even if it has no rows.

    Args:
        path: An existing directory to write into.
        schema: The schema that every batch has.
        splits: The names of the splits.
        rows_per_shard: The writer starts a new shard once one has at least this many rows.
        attempt: A name for the shards of this attempt, where several may write into the directory.

    Attributes:
        rows: Rows written so far, by split.
        schema: The schema, as readers see it.
        shards: After the block, the shards of each split, for the manifest.

    Example:
        >>> import tempfile
        >>> table = pa.table({"fare": [1.5, 2.5]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ExamplesWriter(folder, table.schema, ["train", "eval"]) as writer:
        ...         writer.write("train", table)
        ...     [(shard.path, shard.rows) for shard in writer.shards["train"]]
        [('split=train/part-00000.parquet', 2)]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        schema: pa.Schema,
        splits: Sequence[str],
        rows_per_shard: int = 1_000_000,
        attempt: str = "",
    ) -> None:
        self.rows = dict.fromkeys(splits, 0)
        self.schema = schema_as_read(schema)
        self._given = schema
        self.shards: dict[str, list[Shard]] = {}
        self._path = Path(path)
        self._rows_per_shard = rows_per_shard
        self._attempt = attempt
        self._open: dict[str, ShardWriter] = {}
        self._closed: dict[str, list[Future[Shard]]] = {split: [] for split in splits}
        # A closed shard is hashed while the next one is written.
        self._hashing = ThreadPoolExecutor(2, thread_name_prefix="shard-digest")

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
        for split in list(self._open):
            if kind is None:
                self._close(split)
            else:
                self._open.pop(split).abandon()
        self._hashing.shutdown(wait=True, cancel_futures=kind is not None)
        if kind is None and not self.shards:
            self.shards = {
                split: [closed.result() for closed in shards]
                for split, shards in self._closed.items()
            }

    def write(self, split: str, batch: pa.RecordBatch | pa.Table) -> None:
        """Append rows to a split.

        Args:
            split: One of the writer's splits.
            batch: Rows in the writer's schema.
        """
        if not batch.num_rows:
            return
        if self._open[split].rows >= self._rows_per_shard:
            self._next_shard(split)
        self._open[split].write(batch)
        self.rows[split] += batch.num_rows

    def _next_shard(self, split: str) -> None:
        if split in self._open:
            self._close(split)
        path = manifest.shard_path(split, len(self._closed[split]), self._attempt)
        file = self._path / path
        file.parent.mkdir(exist_ok=True)
        self._open[split] = ShardWriter(file, path, self._given)

    def _close(self, split: str) -> None:
        shard = self._open.pop(split)
        shard.close()
        self._closed[split].append(self._hashing.submit(shard.described))


def record(
    directory: str | os.PathLike[str],
    schema: pa.Schema,
    shards: Mapping[str, Sequence[Shard]],
    *,
    inputs: Mapping[str, str | os.PathLike[str]],
    libraries: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
    shards_uri: str = "",
) -> dict[str, Any]:
    """Write the manifest of examples, with their lineage; the last thing that is written.

    Args:
        directory: The artifact's directory, complete except for its manifest.
        schema: The schema of all shards.
        shards: The shards of each split, in the order of their rows, whoever wrote them.
        inputs: The path of each input artifact by name. Their lineages are included.
        libraries: Distributions whose versions affect the content.
        extra: Further facts for the lineage, JSON-serializable.
        shards_uri: The URI below which the shards are; empty for the directory. A copy of the
            manifest is written there, too, which tells that the attempt did not fail.

    Returns:
        The lineage, as `lineage.read` returns it.

    Example:
        >>> import tempfile
        >>> table = pa.table({"fare": [1.5, 2.5]})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ExamplesWriter(folder, table.schema, ["train", "eval"]) as writer:
        ...         writer.write("train", table)
        ...     recorded = record(folder, writer.schema, writer.shards, inputs={})
        ...     lineage.read(folder) == recorded, recorded["rows"]
        (True, {'train': 2, 'eval': 0})
    """
    made = Manifest(
        arrow_schema.columns_of(schema),
        {split: tuple(found) for split, found in shards.items()},
        lineage.facts(inputs=inputs, libraries=libraries, extra=extra),
        shards_uri,
    )
    if shards_uri:
        _write_copy(dataclasses.replace(made, shards_uri=""), shards_uri)
    manifest.write(made, directory)
    return made.whole_lineage


def _write_copy(made: Manifest, uri: str) -> None:
    if is_remote(uri):
        Folder(uri).write_text(manifest.FILE_NAME, manifest.as_json(made))
    else:
        manifest.write(made, parse(uri).path)
