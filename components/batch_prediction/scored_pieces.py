"""What all pieces became, as a fold: facts and drift are merged where the pieces are."""

from collections.abc import Sequence

from kfp_tabular.components.batch_prediction.drift import DriftFold, TrainedColumn
from kfp_tabular.components.batch_prediction.piece_records import PieceResult
from kfp_tabular.components.batch_prediction.scored_rows import ScoredRows
from kfp_tabular.components.common.artifacts.manifest import Shard
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.plain_values import from_plain, to_plain


class ScoredPieces:
    """Collects what pieces became.

    Args:
        trained: The columns to measure drift from.

    Attributes:
        facts: What became of the rows.
        drift: What the distances follow from.
        shards: The shards of the predictions, by the number of the piece.
        with_rejected: The numbers of the pieces with rejected rows.
        earlier: How many pieces an earlier attempt had done.
    """

    def __init__(self, trained: Sequence[TrainedColumn]) -> None:
        self._trained = trained
        self.facts = ScoredRows()
        self.drift = DriftFold(trained)
        self.shards: dict[int, Sequence[Shard]] = {}
        self.with_rejected: list[int] = []
        self.earlier = 0

    def add(self, batch: PieceResult) -> None:
        """Add a piece."""
        facts = self.facts.from_state(batch.facts)
        if facts.result().rejected:
            self.with_rejected.append(batch.number)
        self.facts.merge(facts)
        self.drift.merge(self.drift.from_state(batch.drift))
        self.shards[batch.number] = batch.shards
        self.earlier += batch.is_earlier

    def merge(self, other: "ScoredPieces") -> None:
        """Add what other pieces became."""
        self.facts.merge(other.facts)
        self.drift.merge(other.drift)
        self.shards |= other.shards
        self.with_rejected += other.with_rejected
        self.earlier += other.earlier

    def state(self) -> bytes:
        """Return what the pieces so far became."""
        return states.pack(
            {
                "facts": self.facts.state(),
                "drift": self.drift.state(),
                "shards": to_plain(self.shards),
                "with_rejected": self.with_rejected,
                "earlier": self.earlier,
            }
        )

    def from_state(self, state: bytes) -> "ScoredPieces":
        """Return a fold of the same columns with a state."""
        found, parts = ScoredPieces(self._trained), states.unpack(state)
        found.facts = self.facts.from_state(parts["facts"])
        found.drift = self.drift.from_state(parts["drift"])
        found.shards = from_plain(dict[int, Sequence[Shard]], parts["shards"])
        found.with_rejected, found.earlier = parts["with_rejected"], parts["earlier"]
        return found

    def result(self) -> "ScoredPieces":
        """Return what all pieces became, in their order."""
        self.shards = dict(sorted(self.shards.items()))
        self.with_rejected.sort()
        return self
