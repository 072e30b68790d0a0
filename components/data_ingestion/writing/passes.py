"""Writes a source as examples, in one pass where the types settle early, else in two."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.examples import ExamplesWriter
from kfp_tabular.components.data_ingestion.columns.column_types import Kind, join
from kfp_tabular.components.data_ingestion.ordered_threads import Window, threads
from kfp_tabular.components.data_ingestion.readers.source import Block, RejectedRow, Source
from kfp_tabular.components.data_ingestion.splits.splitters import Splitter
from kfp_tabular.components.data_ingestion.writing.prepared_block import (
    LabelSeen,
    Prepared,
    prepare,
)
from kfp_tabular.components.data_ingestion.writing.rejected_rows import RejectedWriter

_logger = logging.getLogger(__name__)

_ROWS_PER_WRITE = 131_072
_BYTES_PER_WRITE = 32 << 20
"""A row group holds so much: large enough to compress and scan well, small enough to hold."""

_AHEAD = 8
_SECONDS_BETWEEN_MESSAGES = 10.0


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        kinds: The kinds of all columns, in order.
        rows: Rows by split.
        read: Rows in the source.
        missing: Missing values by column of the examples, over all splits.
        rejected: The number of rejected rows by reason.
        first_rejected: The first few rejected rows.
        label: What the labels are like.
    """

    kinds: Mapping[str, Kind]
    rows: Mapping[str, int]
    read: int
    missing: Mapping[str, int]
    rejected: Mapping[str, int]
    first_rejected: Sequence[RejectedRow]
    label: LabelSeen


def write(
    source: Source, splitter: Splitter, label: str, examples: Path, rejected: Path
) -> Written:
    """Writes a source as examples.

    Types are taken from the first blocks and checked against every one. Where a later block
    needs a wider type after all, the rest is only looked through for more of that, and a second
    pass writes everything with the types that hold for all rows.

    Args:
        source: What to read.
        splitter: Assigns rows to splits.
        label: The label's column; empty where there is none.
        examples: An existing, empty directory for the examples.
        rejected: An existing, empty directory for the rejected rows.
    """
    least: Mapping[str, Kind] = {}
    while True:
        with _Pass(source, splitter, label, examples, rejected, least) as attempt:
            attempt.run()
        if attempt.written is not None:
            return attempt.written
        least = attempt.kinds
        _logger.info("A type widened after rows were written; reading again")
        for directory in (examples, rejected):
            for entry in directory.iterdir():
                files.remove(entry)


class _Pass:
    """One pass over the source; `written` stays None where a type widened too late."""

    def __init__(
        self,
        source: Source,
        splitter: Splitter,
        label: str,
        examples: Path,
        rejected: Path,
        least: Mapping[str, Kind],
    ) -> None:
        self.kinds = dict(least)
        self.written: Written | None = None
        self._source = source
        self._splitter = splitter
        self._label = label
        self._examples = examples
        self._rejected = RejectedWriter(rejected)
        self._shards: _Shards | None = None
        self._stale = False
        self._read = 0
        self._seen = LabelSeen()

    def __enter__(self) -> "_Pass":
        return self

    def __exit__(self, *failure: object) -> None:
        self._rejected.__exit__(None, None, None)
        if self._shards is not None:
            self._shards.close()

    def run(self) -> None:
        start = said = time.monotonic()
        window = Window[Block, Prepared | Mapping[str, Kind]](threads(), _AHEAD)
        with window:
            for block, result in window.map(self._work, self._source.blocks()):
                if self._shards is None and not self._stale:
                    # Nothing is written yet: what the next blocks need comes for free.
                    for other in window.waiting():
                        self._widen(_kinds(other))
                self._take(block, result)
                if time.monotonic() - said > _SECONDS_BETWEEN_MESSAGES:
                    said = time.monotonic()
                    _logger.info("%d rows read in %.0f s", self._read, said - start)
        if self._stale:
            return
        if self._shards is None:
            self._shards = self._open()
        self._shards.flush()
        self.written = Written(
            kinds=self.kinds,
            rows=self._shards.rows,
            read=self._read,
            missing=self._shards.missing,
            rejected=self._rejected.reasons,
            first_rejected=self._rejected.first,
            label=self._seen,
        )

    def _work(self, block: Block) -> "Prepared | Mapping[str, Kind]":
        if self._stale:
            return block.parse(self.kinds).kinds
        return prepare(block, self.kinds, self._splitter, self._label)

    def _take(self, block: Block, result: "Prepared | Mapping[str, Kind]") -> None:
        self._widen(_kinds(result))
        if self._stale or not isinstance(result, Prepared):
            return
        while dict(result.kinds) != self.kinds:
            # Made before others showed that a column is wider.
            before = self.kinds
            result = prepare(block, before, self._splitter, self._label)
            self._widen(result.kinds)
            if self._stale:
                return
            if self.kinds == before != dict(result.kinds):
                raise AssertionError("a block was parsed to narrower kinds than asked for")
        self._write(result)

    def _widen(self, found: Mapping[str, Kind]) -> None:
        wider = {
            name: join(self.kinds.get(name, Kind.NOTHING), kind) for name, kind in found.items()
        }
        wider = {**self.kinds, **wider}
        if wider != self.kinds:
            self.kinds = wider
            self._stale = self._shards is not None

    def _write(self, prepared: Prepared) -> None:
        if self._shards is None:
            self._shards = self._open()
        self._read += prepared.rows
        self._seen = self._seen.with_other(prepared.label)
        self._rejected.add(prepared.rejected)
        for split, batch in prepared.splits.items():
            self._shards.add(split, batch)

    def _open(self) -> "_Shards":
        kept = {name: kind for name, kind in self.kinds.items() if name != self._splitter.drops}
        schema = pa.schema([pa.field(name, kind.arrow) for name, kind in kept.items()])
        return _Shards(self._examples, schema, self._splitter.names)


def _kinds(result: "Prepared | Mapping[str, Kind]") -> Mapping[str, Kind]:
    return result.kinds if isinstance(result, Prepared) else result


class _Shards:
    """Gathers batches into row groups of a good size."""

    def __init__(self, directory: Path, schema: pa.Schema, splits: Sequence[str]) -> None:
        self._writer = ExamplesWriter(directory, schema, splits).__enter__()
        self._waiting: dict[str, list[pa.RecordBatch]] = {split: [] for split in splits}
        self._sizes = dict.fromkeys(splits, (0, 0))
        self.missing = dict.fromkeys(schema.names, 0)

    @property
    def rows(self) -> dict[str, int]:
        return dict(self._writer.rows)

    def add(self, split: str, batch: pa.RecordBatch) -> None:
        rows, size = self._sizes[split]
        rows, size = rows + batch.num_rows, size + batch.nbytes
        self._waiting[split].append(batch)
        self._sizes[split] = (rows, size)
        if rows >= _ROWS_PER_WRITE or size >= _BYTES_PER_WRITE:
            self._flush(split)

    def flush(self) -> None:
        for split in self._waiting:
            self._flush(split)

    def close(self) -> None:
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
