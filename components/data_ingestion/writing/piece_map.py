"""The map that reads a piece, and writes its rows as a shard for each split."""

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pyarrow as pa

from kfp_tabular.components.common.artifacts.examples import PieceWriter, ShardDestination
from kfp_tabular.components.common.processing.ordered_threads import Window
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.data_ingestion.columns.column_evidence import ColumnEvidence
from kfp_tabular.components.data_ingestion.columns.evidence_fold import EvidenceFold
from kfp_tabular.components.data_ingestion.readers.source import Block, Reader
from kfp_tabular.components.data_ingestion.splits.row_hashing import RowNumbers
from kfp_tabular.components.data_ingestion.splits.split_fold import SplitFold
from kfp_tabular.components.data_ingestion.splits.splitting import Splitting
from kfp_tabular.components.data_ingestion.writing import prepared_block
from kfp_tabular.components.data_ingestion.writing.piece_fold import Assumptions, PieceResult
from kfp_tabular.components.data_ingestion.writing.prepared_block import (
    ObservedBlock,
    PreparedBlock,
)
from kfp_tabular.components.data_ingestion.writing.rejected_rows import RejectedWriter
from kfp_tabular.components.data_ingestion.writing.row_facts import BlockFacts, RowFacts
from kfp_tabular.components.data_ingestion.writing.row_groups import RowGroups
from kfp_tabular.components.data_ingestion.writing.rows_before import RowsBefore

AHEAD = 8
"""Blocks that are read ahead where several threads share a piece."""


@dataclass(frozen=True)
class ReadBlock:
    """A block as in the examples, and what it shows.

    Attributes:
        prepared: The block; None where it is not of use any more.
        evidence: What the columns show; empty where the decisions are final.
    """

    prepared: PreparedBlock | None
    evidence: Mapping[str, ColumnEvidence] = field(default_factory=dict)


@dataclass(frozen=True)
class KeptBlocks:
    """The start of a piece that was read already.

    Attributes:
        blocks: The first blocks; each is dropped once it is taken.
        rest: The others.
    """

    blocks: deque[ReadBlock]
    rest: Iterator[Block]

    def taken(self) -> Iterator[ReadBlock]:
        """Yield the first blocks."""
        while self.blocks:
            yield self.blocks.popleft()


@dataclass(frozen=True)
class PieceMap:
    """Reads a piece, and writes its rows.

    Attributes:
        reader: Reads the piece.
        assumed: How columns are read.
        splitting: Assigns rows to splits.
        schema: The schema of the examples.
        destination: Where to write the shards and the rejected rows.
        before: Where rows are numbered, how many come before each piece; None where that plays no
            part, or for one piece.
        threads: How many threads share a piece.
        kept: What is read already of some pieces. It stays in this process.
    """

    reader: Reader
    assumed: Assumptions
    splitting: Splitting
    schema: pa.Schema
    destination: ShardDestination
    before: RowsBefore | None = None
    threads: int = 1
    kept: Mapping[int, KeptBlocks] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "kept": {}}

    def __call__(self, piece: Piece) -> Iterator[PieceResult]:
        """Write the shards of a piece, named by its number, and yield what it became."""
        yield _PieceRun(self, piece).result()

    def prepare(self, observed: ObservedBlock) -> PreparedBlock:
        """Convert a block and check its rows."""
        return prepared_block.prepare(
            observed,
            self.assumed.decisions,
            self.splitting,
            self.assumed.decider.label,
            reject_odd=self.assumed.decider.odd_values == "reject",
        )


class _PieceRun:
    """Reads and writes one piece."""

    def __init__(self, given: PieceMap, piece: Piece) -> None:
        self._given = given
        self._piece = piece
        self._evidence = EvidenceFold(list(given.assumed.decisions))
        self._split_evidence = SplitFold()
        self._facts = RowFacts()
        self._numbers = RowNumbers(given.before.of(piece.number) if given.before else None)
        self._is_stale = given.assumed.watch.is_stale

    def result(self) -> PieceResult:
        given, number = self._given, self._piece.number
        with ExitStack() as files:
            writer = files.enter_context(PieceWriter(given.destination, number, given.schema))
            rejected = files.enter_context(RejectedWriter(given.destination, number))
            groups = RowGroups(writer)
            for block_number, block in enumerate(files.enter_context(self._blocks())):
                self._look(block)
                if block.prepared is not None and not self._is_stale:
                    self._write(block.prepared, block_number, groups, rejected)
            groups.flush()
            self._facts.add(BlockFacts(number, 0, missing=groups.missing))
        return PieceResult(
            number, writer.shards, self._facts, self._evidence, self._split_evidence, self._is_stale
        )

    @contextmanager
    def _blocks(self) -> Iterator[Iterator[ReadBlock]]:
        kept = self._given.kept.get(self._piece.number)
        blocks = iter(self._given.reader(self._piece)) if kept is None else kept.rest
        known: Iterator[ReadBlock] = iter(()) if kept is None else kept.taken()
        if self._given.threads <= 1:
            yield chain(known, map(self._read, blocks))
            return
        with Window[Block, ReadBlock](self._given.threads, AHEAD) as window:
            yield chain(known, (block for _, block in window.map(self._read, blocks)))

    def _read(self, block: Block) -> ReadBlock:
        given, assumed = self._given, self._given.assumed
        observed = ObservedBlock.of(block.parse(), assumed.decider, evidence=not assumed.are_final)
        return ReadBlock(
            None if self._is_stale else given.prepare(observed),
            {} if assumed.are_final else observed.evidence,
        )

    def _look(self, block: ReadBlock) -> None:
        """Add what a block shows. The first piece, which nothing precedes, tells what is stale."""
        assumed = self._given.assumed
        self._evidence.add(block.evidence)
        self._is_stale = self._is_stale or assumed.watch.is_stale
        if self._piece.number == 0 and not self._is_stale:
            self._is_stale = assumed.are_outdated(self._evidence)
            self._evidence.fresh.clear()

    def _write(
        self, prepared: PreparedBlock, block: int, groups: RowGroups, rejected: RejectedWriter
    ) -> None:
        splitting, label = self._given.splitting, self._given.assumed.decider.label
        looked_at, split = prepared.looked_at, prepared.split
        if split is None:
            looked_at = splitting.again(looked_at, prepared.columns)
            assignment = splitting.assign(looked_at, self._numbers)
            split = prepared_block.cut(prepared, assignment, splitting, label)
        if looked_at.evidence is not None:
            self._split_evidence.add(looked_at.evidence)
        places = {}
        for name, rows in prepared.odd.items():
            wanted = rows[: self._facts.wanted(name)]
            if len(wanted):
                lines = prepared.source_lines(wanted)
                places[name] = [(prepared.file, line.line) for line in lines]
        number = self._piece.number
        self._facts.add(
            BlockFacts(number, block, prepared.rows, prepared.rejected, split.label, places)
        )
        rejected.add(prepared.rejected)
        for name, batch in split.splits.items():
            groups.add(name, batch)


@dataclass(frozen=True)
class RowCounter:
    """Counts the rows of a piece that are equal to others, for splits that number rows.

    Attributes:
        given: How the piece is going to be written.
        before: Takes the counts.
    """

    given: PieceMap
    before: RowsBefore

    def __call__(self, piece: Piece) -> int:
        """Write the counts of a piece, and return the number of distinct ones."""
        given, numbers = self.given, RowNumbers()
        for block in given.reader(piece):
            observed = ObservedBlock.of(block.parse(), given.assumed.decider, evidence=False)
            prepared = given.prepare(observed)
            looked_at = given.splitting.again(prepared.looked_at, prepared.columns)
            if looked_at.row_hashes is not None:
                numbers.count(looked_at.row_hashes)
        counts = numbers.counts()
        self.before.count(piece.number, counts)
        return len(counts.slots)
