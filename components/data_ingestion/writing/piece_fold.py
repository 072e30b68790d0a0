"""The fold over the pieces that a source is written by: what they show, and their shards.

States are merged on the executors, so the driver gets one, however many pieces there are.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kfp_tabular.components.common.artifacts.examples.piece_writer import Shards
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.plain_values import from_plain, to_plain
from kfp_tabular.components.data_ingestion.columns.column_decision import Decision
from kfp_tabular.components.data_ingestion.columns.column_formats import Decider
from kfp_tabular.components.data_ingestion.columns.evidence_fold import EvidenceFold
from kfp_tabular.components.data_ingestion.splits.split_fold import SplitFold
from kfp_tabular.components.data_ingestion.writing.row_facts import RowFacts

Decisions = Mapping[str, Decision]

_SECONDS_BETWEEN_MESSAGES = 10.0

_logger = logging.getLogger(__name__)


class Watch:
    """Tells the pieces of this process that the decisions are wrong, and the user of progress.

    Another process gets one of its own.

    Attributes:
        is_stale: Whether rows showed that the decisions are wrong: nothing more is written.
    """

    def __init__(self) -> None:
        self.is_stale = False
        self._started = self._said = time.monotonic()

    def __reduce__(self) -> tuple[type["Watch"], tuple[()]]:
        return Watch, ()

    def tell(self, rows: int) -> None:
        """Tell of progress from time to time."""
        now = time.monotonic()
        if now - self._said > _SECONDS_BETWEEN_MESSAGES:
            self._said = now
            _logger.info("%d rows read in %.0f s", rows, now - self._started)


@dataclass(frozen=True)
class Assumptions:
    """What a source is written by.

    Attributes:
        decider: Decides how to read columns.
        decisions: How to read them.
        are_final: Whether all rows agree with the decisions, so that no evidence is needed.
        watch: What is known in this process.
    """

    decider: Decider
    decisions: Decisions
    are_final: bool
    watch: Watch = field(default_factory=Watch, compare=False, repr=False)

    def are_outdated(self, evidence: EvidenceFold) -> bool:
        """Return whether what is new in the evidence changes how columns are converted."""
        if self.are_final:
            return False
        shown = evidence.result()
        return any(
            not self.decider.decide(name, shown[name]).converts_as(self.decisions[name])
            for name in evidence.fresh
        )


@dataclass(frozen=True)
class PieceResult:
    """What a piece became.

    Attributes:
        number: The number of the piece.
        shards: The shards that were written, by split.
        facts: What is known about the rows.
        evidence: What the columns show; without anything where the decisions are final.
        split_evidence: What the rows show about how to split them.
        is_stale: Whether the rows showed that the decisions are wrong, so that nothing was written.
    """

    number: int
    shards: Shards
    facts: RowFacts
    evidence: EvidenceFold
    split_evidence: SplitFold
    is_stale: bool = False


@dataclass
class PieceFold:
    """Collects what pieces became.

    Attributes:
        assumed: What they were written by.
        evidence: What the columns show.
        split_evidence: What the rows show about how to split them.
        facts: What is known about the rows.
        shards: What each piece wrote, by its number.
        with_rejected: The numbers of the pieces with rejected rows.
        is_stale: Whether rows showed that the decisions are wrong.
    """

    assumed: Assumptions
    evidence: EvidenceFold = field(init=False)
    split_evidence: SplitFold = field(default_factory=SplitFold)
    facts: RowFacts = field(default_factory=RowFacts)
    shards: dict[int, Shards] = field(default_factory=dict)
    with_rejected: list[int] = field(default_factory=list)
    is_stale: bool = False

    def __post_init__(self) -> None:
        self.evidence = EvidenceFold(list(self.assumed.decisions))

    def add(self, batch: PieceResult) -> None:
        """Add a piece."""
        part = PieceFold(self.assumed)
        part.evidence, part.split_evidence = batch.evidence, batch.split_evidence
        part.facts, part.shards = batch.facts, {batch.number: batch.shards}
        part.with_rejected = [batch.number] if batch.facts.rejected else []
        part.is_stale = batch.is_stale
        if self.shards:
            self.merge(part)
        else:
            vars(self).update(vars(part))
        self._note()

    def merge(self, other: "PieceFold") -> None:
        """Add what other pieces became."""
        self.evidence.merge(other.evidence)
        self.split_evidence.merge(other.split_evidence)
        self.facts.merge(other.facts)
        self.shards |= other.shards
        self.with_rejected += other.with_rejected
        self.is_stale = self.is_stale or other.is_stale
        # The rows of later pieces alone may show less than all rows before them do.
        if 0 in self.shards:
            self.is_stale = self.is_stale or self.assumed.are_outdated(self.evidence)
            self.evidence.fresh.clear()
        self._note()

    def state(self) -> bytes:
        """Return what the pieces so far became."""
        return states.pack(
            {
                "evidence": self.evidence.state(),
                "split_evidence": self.split_evidence.state(),
                "facts": self.facts.state(),
                "shards": to_plain(self.shards),
                "with_rejected": self.with_rejected,
                "is_stale": self.is_stale,
            }
        )

    def from_state(self, state: bytes) -> "PieceFold":
        """Return a fold with a state."""
        found, parts = PieceFold(self.assumed), states.unpack(state)
        found.evidence = self.evidence.from_state(parts["evidence"])
        found.split_evidence = self.split_evidence.from_state(parts["split_evidence"])
        found.facts = self.facts.from_state(parts["facts"])
        found.shards = from_plain(dict[int, Shards], parts["shards"])
        found.with_rejected, found.is_stale = parts["with_rejected"], parts["is_stale"]
        return found

    def result(self) -> "PieceFold":
        """Return what all pieces became, in their order."""
        self.shards = dict(sorted(self.shards.items()))
        self.with_rejected.sort()
        return self

    @property
    def in_order(self) -> Sequence[Shards]:
        """What each piece wrote."""
        return list(self.shards.values())

    def _note(self) -> None:
        watch = self.assumed.watch
        watch.is_stale = watch.is_stale or self.is_stale
        watch.tell(self.facts.rows)
