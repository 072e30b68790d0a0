"""Writes a source as examples: by one fold, or by another where the last rows change a decision."""

import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from kfp_tabular.components.common.artifacts.examples import (
    GatheredShards,
    ShardDestination,
    gather,
)
from kfp_tabular.components.common.artifacts.manifest import Shard
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.ordered_threads import Window, threads
from kfp_tabular.components.common.processing.pieces import numbered
from kfp_tabular.components.data_ingestion.columns import column_decision
from kfp_tabular.components.data_ingestion.columns.column_formats import Decider
from kfp_tabular.components.data_ingestion.columns.evidence_fold import EvidenceFold
from kfp_tabular.components.data_ingestion.readers.source import Block, Source
from kfp_tabular.components.data_ingestion.splits.splitting import Splitting
from kfp_tabular.components.data_ingestion.writing import rejected_rows
from kfp_tabular.components.data_ingestion.writing.piece_fold import (
    Assumptions,
    Decisions,
    PieceFold,
)
from kfp_tabular.components.data_ingestion.writing.piece_map import (
    AHEAD,
    KeptBlocks,
    PieceMap,
    ReadBlock,
    RowCounter,
)
from kfp_tabular.components.data_ingestion.writing.prepared_block import (
    ObservedBlock,
    PreparedBlock,
)
from kfp_tabular.components.data_ingestion.writing.row_facts import ReadRows
from kfp_tabular.components.data_ingestion.writing.rows_before import RowsBefore

_logger = logging.getLogger(__name__)

_FIRST_BLOCKS = 9


@dataclass(frozen=True)
class WrittenExamples:
    """The examples that were written.

    Attributes:
        decisions: How each column was read, in order.
        rows: Rows by split.
        read: What is known about the rows in the source.
        schema: The schema of the examples.
        shards: Their shards by split.
    """

    decisions: Decisions
    rows: Mapping[str, int]
    read: ReadRows
    schema: pa.Schema
    shards: Mapping[str, Sequence[Shard]]


def write(
    source: Source,
    decider: Decider,
    splitting: Splitting,
    destination: ShardDestination,
    rejected: Path,
    engine: Engine,
) -> WrittenExamples:
    """Write a source as examples.

    The first blocks decide how to read the columns and how to split the rows. A fold writes rows
    with that, and collects what they show. If all of it leads to other decisions, another fold
    writes all rows with those.

    Args:
        source: What to read.
        decider: Decides how to read columns.
        splitting: Assigns rows to splits.
        destination: Where to write the shards.
        rejected: An existing, empty directory for the rejected rows.
        engine: Runs the fold.
    """
    return _Writing(source, decider, splitting, destination, rejected, engine).run()


class _Writing:
    """Writes a source, in as many attempts as it takes."""

    def __init__(
        self,
        source: Source,
        decider: Decider,
        splitting: Splitting,
        destination: ShardDestination,
        rejected: Path,
        engine: Engine,
    ) -> None:
        self._pieces = numbered(source.pieces(engine))
        self._reader = source.reader()
        self._columns = list(source.columns)
        self._decider = decider
        self._splitting = splitting
        self._destination = destination
        self._rejected = rejected
        self._engine = engine
        self._kept: dict[int, KeptBlocks] = {}
        # Whether the first blocks are all there are.
        self._seen_all = False

    def run(self) -> WrittenExamples:
        decisions, are_final = self._begin(None), False
        while True:
            given = self._with_numbers(self._map(decisions, are_final))
            attempt = self._engine.fold(
                self._pieces, partial(PieceFold, given.assumed), given, what="reading"
            )
            if given.before is not None:
                given.before.discard()
            if not are_final and (attempt.is_stale or not self._seen_all):
                assumed, decisions = decisions, self._decide(attempt.evidence)
                if not all(found.converts_as(assumed[name]) for name, found in decisions.items()):
                    self._splitting.forget()
                    attempt.is_stale = True
            why = "the format of a column changed"
            if not attempt.is_stale:
                facts = attempt.facts.result()
                if not facts.rows or self._splitting.is_settled(attempt.split_evidence.result()):
                    return self._written(given.schema, attempt, decisions, facts)
                why = "the columns that decide the split changed"
            _logger.info("Reading again, because after rows were written, %s", why)
            self._destination.clear()
            decisions, are_final = self._begin(decisions), True

    def _begin(self, final: Decisions | None) -> Decisions:
        """Read the first blocks, to decide by and to be written.

        Args:
            final: How to read columns, where that is decided.
        """
        taken: list[int] = []
        rests: dict[int, Iterator[Block]] = {}

        def blocks() -> Iterator[Block]:
            for piece in self._pieces:
                rests[piece.number] = rest = iter(self._reader(piece))
                for block in islice(rest, _FIRST_BLOCKS - len(taken)):
                    taken.append(piece.number)
                    yield block
                if len(taken) == _FIRST_BLOCKS:
                    return
            self._seen_all = True

        look = partial(_observed, self._decider, evidence=final is None)
        with Window[Any, Any](threads(), AHEAD) as window:
            observed: list[ObservedBlock] = [found for _, found in window.map(look, blocks())]
            decisions, prepared = self._prepared(window, observed, final)
        if prepared:
            self._splitting.choose(
                [block.looked_at for block in prepared], [block.columns for block in prepared]
            )
        kept: dict[int, deque[ReadBlock]] = {number: deque() for number in rests}
        for number, block, shown in zip(taken, prepared, observed, strict=True):
            kept[number].append(ReadBlock(block, shown.evidence if final is None else {}))
        self._kept = {number: KeptBlocks(found, rests[number]) for number, found in kept.items()}
        return decisions

    def _prepared(
        self, window: Window[Any, Any], observed: Sequence[ObservedBlock], final: Decisions | None
    ) -> tuple[Decisions, list[PreparedBlock]]:
        """Decide how to read columns unless that is done, and convert blocks."""
        if final is None:
            evidence = EvidenceFold(self._columns)
            for block in observed:
                evidence.add(block.evidence)
        decisions = self._decide(evidence) if final is None else final
        given = self._map(decisions, are_final=final is not None)
        return decisions, [found for _, found in window.map(given.prepare, observed)]

    def _decide(self, evidence: EvidenceFold) -> Decisions:
        shown = evidence.result()
        return {name: self._decider.decide(name, of_column) for name, of_column in shown.items()}

    def _map(self, decisions: Decisions, are_final: bool) -> PieceMap:
        return PieceMap(
            self._reader,
            Assumptions(self._decider, decisions, are_final),
            self._splitting,
            _schema(decisions, self._splitting.drops),
            self._destination,
            threads=max(1, threads() // max(len(self._pieces), 1)),
            kept=self._kept,
        )

    def _with_numbers(self, given: PieceMap) -> PieceMap:
        """Return a map that knows how many equal rows precede each piece, if that matters."""
        if not self._splitting.is_numbered or len(self._pieces) <= 1:
            return given
        before = RowsBefore(self._destination, len(self._pieces))
        for _ in self._engine.map(self._pieces, RowCounter(replace(given, kept={}), before)):
            pass
        before.sum_up(self._engine)
        return replace(given, before=before)

    def _written(
        self, schema: pa.Schema, attempt: PieceFold, decisions: Decisions, facts: ReadRows
    ) -> WrittenExamples:
        gathered: GatheredShards = gather(
            self._destination, schema, self._splitting.names, attempt.in_order
        )
        rejected_rows.join(self._destination, attempt.with_rejected, self._rejected)
        return WrittenExamples(decisions, gathered.rows, facts, gathered.schema, gathered.shards)


def _observed(decider: Decider, block: Block, *, evidence: bool) -> ObservedBlock:
    return ObservedBlock.of(block.parse(), decider, evidence=evidence)


def _schema(decisions: Decisions, drops: str | None) -> pa.Schema:
    fields = [pa.field(name, found.arrow) for name, found in decisions.items() if name != drops]
    fields += [
        pa.field(name, column_decision.arrow_type(given))
        for decision in decisions.values()
        for name, given in decision.derived.items()
    ]
    return pa.schema(fields)
