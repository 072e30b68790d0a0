"""Writes a source as examples: in one pass, or in more where the last rows change a decision."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.manifest import Shard
from kfp_tabular.components.common.processing.ordered_threads import Window, threads
from kfp_tabular.components.data_ingestion.columns import column_decision
from kfp_tabular.components.data_ingestion.columns.column_decision import Decision
from kfp_tabular.components.data_ingestion.columns.column_evidence import ColumnEvidence
from kfp_tabular.components.data_ingestion.columns.column_formats import Decider
from kfp_tabular.components.data_ingestion.readers.source import (
    Block,
    RejectedRow,
    Source,
    blocks,
)
from kfp_tabular.components.data_ingestion.splits.splitting import Splitting
from kfp_tabular.components.data_ingestion.writing import prepared_block
from kfp_tabular.components.data_ingestion.writing.prepared_block import (
    MOST_PLACES,
    LabelFacts,
    ObservedBlock,
    PreparedBlock,
)
from kfp_tabular.components.data_ingestion.writing.rejected_rows import RejectedWriter
from kfp_tabular.components.data_ingestion.writing.row_groups import RowGroups

_logger = logging.getLogger(__name__)

_AHEAD = 8
_SECONDS_BETWEEN_MESSAGES = 10.0

Decisions = Mapping[str, Decision]


@dataclass(frozen=True)
class WrittenExamples:
    """The examples that were written.

    Attributes:
        decisions: How each column was read, in order.
        rows: Rows by split.
        read: Rows in the source.
        missing: Missing values by column of the examples, over all splits.
        rejected: The number of rejected rows by reason.
        first_rejected: The first few rejected rows.
        label: Facts about the labels.
        places: By column, the file and line of the first values that do not fit.
        schema: The schema of the examples.
        shards: Their shards by split.
    """

    decisions: Decisions
    rows: Mapping[str, int]
    read: int
    missing: Mapping[str, int]
    rejected: Mapping[str, int]
    first_rejected: Sequence[RejectedRow]
    label: LabelFacts
    places: Mapping[str, Sequence[tuple[str, int]]]
    schema: pa.Schema
    shards: Mapping[str, Sequence[Shard]]


def write(
    source: Source, decider: Decider, splitting: Splitting, examples: Path, rejected: Path
) -> WrittenExamples:
    """Write a source as examples.

    The first blocks decide how to read the columns and how to split the rows, and rows are written
    with that while evidence is still collected. If all of it leads to other decisions, another pass
    writes all rows with those.

    Args:
        source: What to read.
        decider: Decides how to read columns.
        splitting: Assigns rows to splits.
        examples: An existing, empty directory for the examples.
        rejected: An existing, empty directory for the rejected rows.
    """
    final: Decisions | None = None
    while True:
        with _Pass(source, decider, splitting, examples, rejected, final) as attempt:
            attempt.run()
        if attempt.written is not None:
            return attempt.written
        final = attempt.decisions
        _logger.info("%s after rows were written; reading again", attempt.why_again)
        for directory in (examples, rejected):
            for entry in directory.iterdir():
                files.remove(entry)


@dataclass
class _Result:
    """What a thread made of a block.

    Attributes:
        evidence: What the columns show; empty where the decisions are final, and once it is added.
        observed: The block as it was read, as long as its columns cannot be decided.
        prepared: The block as in the examples.
    """

    evidence: Mapping[str, ColumnEvidence] = field(default_factory=dict)
    observed: ObservedBlock | None = None
    prepared: PreparedBlock | None = None


class _Pass:
    """One pass over the source.

    Attributes:
        decisions: How to read the columns; after `run`, by the evidence of all rows.
        written: What was written; None if it turned out to be wrong.
        why_again: What was wrong with it.
    """

    def __init__(
        self,
        source: Source,
        decider: Decider,
        splitting: Splitting,
        examples: Path,
        rejected: Path,
        final: Decisions | None,
    ) -> None:
        self.decisions = final
        self.written: WrittenExamples | None = None
        self.why_again = "The format of a column changed"
        self._source = source
        self._decider = decider
        self._splitting = splitting
        self._examples = examples
        self._rejected = RejectedWriter(rejected)
        self._are_final = final is not None
        self._is_split_chosen = False
        self._evidence = {name: ColumnEvidence() for name in source.columns}
        self._is_evidence_decided = False
        self._row_groups: RowGroups | None = None
        self._stale = False
        self._read = 0
        self._seen = LabelFacts()
        self._places: dict[str, list[tuple[str, int]]] = {}

    def __enter__(self) -> "_Pass":
        return self

    def __exit__(self, *failure: object) -> None:
        self._rejected.__exit__(None, None, None)
        if self._row_groups is not None:
            self._row_groups.close()

    def run(self) -> None:
        self._splitting.start()
        start = said = time.monotonic()
        with Window[Block, _Result](threads(), _AHEAD) as window:
            for block, result in window.map(self._work, blocks(self._source)):
                if self.decisions is None:
                    for waiting in (result, *window.waiting()):
                        self._add_evidence(waiting)
                    self.decisions = self._decide()
                if not self._is_split_chosen:
                    window.again(self._convert)
                    self._choose_split([self._convert(block, result), *window.waiting()])
                self._take(block, result)
                if time.monotonic() - said > _SECONDS_BETWEEN_MESSAGES:
                    said = time.monotonic()
                    _logger.info("%d rows read in %.0f s", self._read, said - start)
        self._finish()

    def _work(self, block: Block) -> _Result:
        stale, final = self._stale, self._are_final
        observed = ObservedBlock.of(block.parse(), self._decider, evidence=not final)
        result = _Result({} if final else observed.evidence, None if stale else observed)
        return self._convert(block, result)

    def _convert(self, block: Block, result: _Result) -> _Result:  # noqa: ARG002 - `Window.again`
        """Convert a block as soon as its columns are decided."""
        if result.observed is not None and self.decisions is not None:
            result.prepared = prepared_block.prepare(
                result.observed,
                self.decisions,
                self._splitting,
                self._decider.label,
                reject_odd=self._decider.odd_values == "reject",
            )
            result.observed = None
        return result

    def _add_evidence(self, result: _Result) -> list[str]:
        """Add what a block shows; return the columns in which it shows anything of a new kind."""
        added, result.evidence = result.evidence, {}
        if added:
            self._is_evidence_decided = False
        return [name for name, of_block in added.items() if self._evidence[name].add(of_block)]

    def _decide(self) -> Decisions:
        self._is_evidence_decided = True
        return {name: self._decider.decide(name, shown) for name, shown in self._evidence.items()}

    def _known(self) -> Decisions:
        if self.decisions is None:
            raise AssertionError("rows are written before the columns are decided")
        return self.decisions

    def _choose_split(self, results: Sequence[_Result]) -> None:
        blocks = [result.prepared for result in results if result.prepared is not None]
        self._splitting.choose(
            [block.looked_at for block in blocks], [block.columns for block in blocks]
        )
        self._is_split_chosen = True

    def _take(self, block: Block, result: _Result) -> None:
        decisions = self._known()
        for name in self._add_evidence(result):
            if self._row_groups is not None and not self._stale:
                # What is new may change the decision; if it does, writing on is of no use.
                decision = self._decider.decide(name, self._evidence[name])
                self._stale = not decision.converts_as(decisions[name])
        prepared = self._convert(block, result).prepared
        if not self._stale and prepared is not None:
            self._write(prepared)

    def _finish(self) -> None:
        assumed = self.decisions
        if not self._are_final and not self._is_evidence_decided:
            self.decisions = self._decide()
            if assumed is not None and any(
                not decision.converts_as(assumed[name]) for name, decision in self.decisions.items()
            ):
                self._splitting.forget()
                return
        if self._stale:
            return
        if self._row_groups is None:
            self._row_groups = self._open()
        self._row_groups.flush()
        if self._read and not self._splitting.is_settled():
            self.why_again = "The columns that decide the split changed"
            return
        self._row_groups.close()
        self.written = WrittenExamples(
            decisions=self._known(),
            rows=self._row_groups.rows,
            read=self._read,
            missing=self._row_groups.missing,
            rejected=self._rejected.reasons,
            first_rejected=self._rejected.first,
            label=self._seen,
            places=self._places,
            schema=self._row_groups.schema,
            shards=self._row_groups.shards,
        )

    def _write(self, prepared: PreparedBlock) -> None:
        if self._row_groups is None:
            self._row_groups = self._open()
        assignment = self._splitting.assign(prepared.looked_at, prepared.columns)
        split = prepared.split or prepared_block.cut(
            prepared, assignment, self._splitting, self._decider.label
        )
        self._read += prepared.rows
        self._seen = self._seen.with_other(split.label)
        self._rejected.add(prepared.rejected)
        for name, rows in prepared.odd.items():
            places = self._places.setdefault(name, [])
            wanted = rows[: MOST_PLACES - len(places)]
            if len(wanted):
                lines = prepared.source_lines(wanted)
                places.extend((prepared.file, line.line) for line in lines)
        for name, batch in split.splits.items():
            self._row_groups.add(name, batch)

    def _open(self) -> RowGroups:
        decisions = self._known()
        fields = [
            pa.field(name, decision.arrow)
            for name, decision in decisions.items()
            if name != self._splitting.drops
        ]
        fields += [
            pa.field(name, column_decision.arrow_type(given))
            for decision in decisions.values()
            for name, given in decision.derived.items()
        ]
        return RowGroups(self._examples, pa.schema(fields), self._splitting.names)
