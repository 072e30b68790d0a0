"""Writes a source as examples: in one pass, or in two where a type widens late."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from kfp_tabular.components.common import files
from kfp_tabular.components.data_ingestion.columns.column_types import ColumnType, join
from kfp_tabular.components.data_ingestion.ordered_threads import Window, threads
from kfp_tabular.components.data_ingestion.readers.source import Block, RejectedRow, Source
from kfp_tabular.components.data_ingestion.splits.splitting import Splitting
from kfp_tabular.components.data_ingestion.writing.prepared_block import (
    LabelFacts,
    PreparedBlock,
    cut,
    prepare,
)
from kfp_tabular.components.data_ingestion.writing.rejected_rows import RejectedWriter
from kfp_tabular.components.data_ingestion.writing.row_groups import RowGroups

_logger = logging.getLogger(__name__)

_AHEAD = 8
_SECONDS_BETWEEN_MESSAGES = 10.0


@dataclass(frozen=True)
class WrittenExamples:
    """The examples that were written.

    Attributes:
        column_types: The types of all columns, in order.
        rows: Rows by split.
        read: Rows in the source.
        missing: Missing values by column of the examples, over all splits.
        rejected: The number of rejected rows by reason.
        first_rejected: The first few rejected rows.
        label: Facts about the labels.
    """

    column_types: Mapping[str, ColumnType]
    rows: Mapping[str, int]
    read: int
    missing: Mapping[str, int]
    rejected: Mapping[str, int]
    first_rejected: Sequence[RejectedRow]
    label: LabelFacts


def write(
    source: Source, splitting: Splitting, label: str, examples: Path, rejected: Path
) -> WrittenExamples:
    """Write a source as examples.

    The first blocks set the types, and every block is checked against them. If a later block needs
    a wider type, the rest of the pass only looks for further widening, and a second pass writes
    all rows with the final types.

    Args:
        source: What to read.
        splitting: Assigns rows to splits.
        label: The label's column; empty for no label.
        examples: An existing, empty directory for the examples.
        rejected: An existing, empty directory for the rejected rows.
    """
    least: Mapping[str, ColumnType] = {}
    while True:
        with _Pass(source, splitting, label, examples, rejected, least) as attempt:
            attempt.run()
        if attempt.written is not None:
            return attempt.written
        least = attempt.column_types
        _logger.info("%s after rows were written; reading again", attempt.why_again)
        for directory in (examples, rejected):
            for entry in directory.iterdir():
                files.remove(entry)


class _Pass:
    """One pass over the source; `written` stays None if the rows have to be written again.

    Attributes:
        column_types: The types so far.
        written: What was written; None if it turned out to be wrong.
        why_again: What was wrong with it.
    """

    def __init__(
        self,
        source: Source,
        splitting: Splitting,
        label: str,
        examples: Path,
        rejected: Path,
        least: Mapping[str, ColumnType],
    ) -> None:
        self.column_types = dict(least)
        self.written: WrittenExamples | None = None
        self.why_again = "A type widened"
        self._source = source
        self._splitting = splitting
        self._label = label
        self._examples = examples
        self._rejected = RejectedWriter(rejected)
        self._row_groups: RowGroups | None = None
        self._stale = False
        self._read = 0
        self._seen = LabelFacts()

    def __enter__(self) -> "_Pass":
        return self

    def __exit__(self, *failure: object) -> None:
        self._rejected.__exit__(None, None, None)
        if self._row_groups is not None:
            self._row_groups.close()

    def run(self) -> None:
        self._splitting.start()
        start = said = time.monotonic()
        window = Window[Block, PreparedBlock | Mapping[str, ColumnType]](threads(), _AHEAD)
        with window:
            for block, result in window.map(self._work, self._source.blocks()):
                if self._row_groups is None and not self._stale:
                    # Nothing is written yet, so widening for the next blocks costs nothing.
                    first = [result, *window.waiting()]
                    for other in first:
                        self._widen(_types_of(other))
                    self._choose_split(first)
                self._take(block, result)
                if time.monotonic() - said > _SECONDS_BETWEEN_MESSAGES:
                    said = time.monotonic()
                    _logger.info("%d rows read in %.0f s", self._read, said - start)
        if self._stale:
            return
        if self._row_groups is None:
            self._row_groups = self._open()
        self._row_groups.flush()
        if self._read and not self._splitting.is_settled():
            self.why_again = "The columns that decide the split changed"
            return
        self.written = WrittenExamples(
            column_types=self.column_types,
            rows=self._row_groups.rows,
            read=self._read,
            missing=self._row_groups.missing,
            rejected=self._rejected.reasons,
            first_rejected=self._rejected.first,
            label=self._seen,
        )

    def _work(self, block: Block) -> "PreparedBlock | Mapping[str, ColumnType]":
        if self._stale:
            return block.parse(self.column_types).column_types
        return prepare(block, self.column_types, self._splitting, self._label)

    def _take(self, block: Block, result: "PreparedBlock | Mapping[str, ColumnType]") -> None:
        self._widen(_types_of(result))
        if self._stale or not isinstance(result, PreparedBlock):
            return
        while dict(result.column_types) != self.column_types:
            # The block was parsed before another one widened a column.
            before = self.column_types
            result = prepare(block, before, self._splitting, self._label)
            self._widen(result.column_types)
            if self._stale:
                return
            if self.column_types == before != dict(result.column_types):
                raise AssertionError("a block was parsed to narrower types than requested")
        self._write(result)

    def _widen(self, found: Mapping[str, ColumnType]) -> None:
        wider = {
            name: join(self.column_types.get(name, ColumnType.NOTHING), column_type)
            for name, column_type in found.items()
        }
        wider = {**self.column_types, **wider}
        if wider != self.column_types:
            self.column_types = wider
            self._stale = self._row_groups is not None

    def _choose_split(self, first: "list[PreparedBlock | Mapping[str, ColumnType]]") -> None:
        blocks = [block for block in first if isinstance(block, PreparedBlock)]
        self._splitting.choose(
            [block.looked_at for block in blocks], [block.columns for block in blocks]
        )

    def _write(self, prepared: PreparedBlock) -> None:
        if self._row_groups is None:
            self._row_groups = self._open()
        assignment = self._splitting.assign(prepared.looked_at, prepared.columns)
        split = prepared.split or cut(prepared, assignment, self._splitting, self._label)
        self._read += prepared.rows
        self._seen = self._seen.with_other(split.label)
        self._rejected.add(prepared.rejected)
        for name, batch in split.splits.items():
            self._row_groups.add(name, batch)

    def _open(self) -> "RowGroups":
        fields = [
            pa.field(name, column_type.arrow)
            for name, column_type in self.column_types.items()
            if name != self._splitting.drops
        ]
        schema = pa.schema(fields)
        return RowGroups(self._examples, schema, self._splitting.names)


def _types_of(result: "PreparedBlock | Mapping[str, ColumnType]") -> Mapping[str, ColumnType]:
    return result.column_types if isinstance(result, PreparedBlock) else result
