"""Writes a source as examples: by one map, or by another where the last rows change a decision."""

import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.examples import (
    GatheredShards,
    ShardDestination,
    gather,
)
from kfp_tabular.components.common.artifacts.examples.piece_writer import Shards
from kfp_tabular.components.common.artifacts.manifest import Shard
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.ordered_threads import Window, threads
from kfp_tabular.components.common.processing.pieces import Piece, numbered
from kfp_tabular.components.data_ingestion.columns import column_decision
from kfp_tabular.components.data_ingestion.columns.column_formats import Decider
from kfp_tabular.components.data_ingestion.columns.evidence_fold import EvidenceFold
from kfp_tabular.components.data_ingestion.readers.column_observer import ColumnObserver
from kfp_tabular.components.data_ingestion.readers.source import Block, Source
from kfp_tabular.components.data_ingestion.splits.row_hashing import RowNumbers
from kfp_tabular.components.data_ingestion.splits.split_fold import SplitFold
from kfp_tabular.components.data_ingestion.splits.splitting import Splitting
from kfp_tabular.components.data_ingestion.writing import rejected_rows
from kfp_tabular.components.data_ingestion.writing.piece_map import (
    AHEAD,
    Decisions,
    KeptBlocks,
    PieceMap,
    PieceResult,
    ReadBlock,
    RowCounter,
    are_outdated,
)
from kfp_tabular.components.data_ingestion.writing.prepared_block import (
    ObservedBlock,
    PreparedBlock,
)
from kfp_tabular.components.data_ingestion.writing.row_facts import ReadRows, RowFacts

_logger = logging.getLogger(__name__)

_FIRST_BLOCKS = 9
_SECONDS_BETWEEN_MESSAGES = 10.0


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

    The first blocks decide how to read the columns and how to split the rows. A map writes rows
    with that, and returns what they show. If all of it leads to other decisions, another map writes
    all rows with those.

    Args:
        source: What to read.
        decider: Decides how to read columns.
        splitting: Assigns rows to splits.
        destination: Where to write the shards.
        rejected: An existing, empty directory for the rejected rows.
        engine: Runs the map.
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
            attempt = _Attempt(self._with_numbers(self._map(decisions, are_final)), self._pieces)
            attempt.run(self._engine)
            if not are_final and (attempt.is_stale or not self._seen_all):
                assumed, decisions = decisions, self._decided(attempt)
                if not all(found.converts_as(assumed[name]) for name, found in decisions.items()):
                    self._splitting.forget()
                    attempt.is_stale = True
            why = "the format of a column changed"
            if not attempt.is_stale:
                facts = attempt.facts.result()
                if not facts.rows or self._splitting.is_settled(attempt.split_evidence.result()):
                    return self._written(attempt, decisions, facts)
                why = "the columns that decide the split changed"
            _logger.info("Reading again, because after rows were written, %s", why)
            self._remove()
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

    def _decided(self, attempt: "_Attempt") -> Decisions:
        """Decide from the evidence of all rows."""
        if attempt.rest:
            shown = self._engine.fold(
                attempt.rest,
                partial(EvidenceFold, self._columns),
                ColumnObserver(self._reader, self._decider),
            )
            attempt.evidence.add(shown)
        return self._decide(attempt.evidence)

    def _map(self, decisions: Decisions, are_final: bool) -> PieceMap:
        return PieceMap(
            self._reader,
            self._decider,
            decisions,
            are_final,
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
        numbers, before = RowNumbers(), {}
        for piece, counted in self._engine.map(self._pieces, RowCounter(replace(given, kept={}))):
            before[piece.number] = numbers.after(counted)
        return replace(given, before=before)

    def _written(
        self, attempt: "_Attempt", decisions: Decisions, facts: ReadRows
    ) -> WrittenExamples:
        gathered: GatheredShards = gather(
            self._destination, attempt.given.schema, self._splitting.names, attempt.shards
        )
        rejected_rows.join(self._destination, attempt.with_rejected, self._rejected)
        return WrittenExamples(decisions, gathered.rows, facts, gathered.schema, gathered.shards)

    def _remove(self) -> None:
        """Remove what a wrong attempt wrote. Elsewhere, the next one writes over it."""
        if not self._destination.shards_uri:
            for entry in Path(self._destination.root).iterdir():
                files.remove(entry)


class _Attempt:
    """A map over all pieces, and what they show together.

    Attributes:
        given: The map.
        evidence: What the columns show.
        split_evidence: What the rows show about how to split them.
        facts: What is known about the rows.
        shards: What each piece wrote.
        with_rejected: The numbers of the pieces with rejected rows.
        is_stale: Whether rows showed that the decisions are wrong.
        rest: The pieces whose evidence is lacking then.
    """

    def __init__(self, given: PieceMap, pieces: Sequence[Piece]) -> None:
        self.given = given
        self.evidence = EvidenceFold(list(given.decisions))
        self.split_evidence = SplitFold()
        self.facts = RowFacts()
        self.shards: list[Shards] = []
        self.with_rejected: list[int] = []
        self.is_stale = False
        self.rest = list(pieces)

    def run(self, engine: Engine) -> None:
        start = said = time.monotonic()
        for _, result in engine.map(self.rest, self.given):
            self._add(result)
            if self.is_stale:
                break
            if time.monotonic() - said > _SECONDS_BETWEEN_MESSAGES:
                said = time.monotonic()
                _logger.info("%d rows read in %.0f s", self.facts.rows, said - start)
        self.rest = self.rest[len(self.shards) :]

    def _add(self, result: PieceResult) -> None:
        self.evidence.merge(result.evidence)
        self.split_evidence.merge(result.split_evidence)
        if result.facts.rejected:
            self.with_rejected.append(result.number)
        self.facts.merge(result.facts)
        self.shards.append(result.shards)
        if not self.given.are_final:
            given = self.given
            self.is_stale = result.is_stale or are_outdated(
                given.decisions, self.evidence, given.decider
            )
            self.evidence.fresh.clear()


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
