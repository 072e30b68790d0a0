"""What pieces became, merged in any order: states, shards and numbers of pieces."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.batch_prediction.drift import DriftBatch, DriftFold, TrainedColumn
from kfp_tabular.components.batch_prediction.piece_records import PieceResult
from kfp_tabular.components.batch_prediction.scored_pieces import ScoredPieces
from kfp_tabular.components.batch_prediction.scored_rows import ScoredBatch, ScoredRows
from kfp_tabular.components.common.artifacts.manifest import Shard
from kfp_tabular.components.common.statistics.distances import Bins
from tests import accumulator_laws

AMOUNT = TrainedColumn("amount", "amount", 0.1, Bins.of([0, 1, 2, 5]))


def piece(number: int, amounts: list[float]) -> PieceResult:
    facts, drift = ScoredRows(), DriftFold([AMOUNT])
    reasons = {"too long": 1} if number % 3 == 1 else {}
    facts.add(ScoredBatch(len(amounts) + len(reasons), len(amounts), reasons))
    drift.add(DriftBatch({"amount": np.array(amounts, np.float32)}, len(amounts)))
    path = f"split=predictions/part-{number:05d}.parquet"
    shards = [Shard(path, len(amounts), 90, "sha256:" + "0" * 64, (len(amounts),))]
    return PieceResult(
        number, shards if amounts else [], {}, facts.state(), drift.state(), number % 2 == 0
    )


@settings(deadline=None)
@given(
    data=st.data(),
    pieces=st.lists(st.lists(st.sampled_from([0.5, 1.5, 7.0, float("nan")]), max_size=4)),
)
def test_any_order_gives_the_same(data: st.DataObject, pieces: list[list[float]]) -> None:
    def batch(start: int, stop: int) -> ScoredPieces:
        found = ScoredPieces([AMOUNT])
        for number in range(start, stop):
            found.add(piece(number, pieces[number]))
        return found

    class Merged(ScoredPieces):
        """Takes several pieces at once."""

        def add(self, batch: ScoredPieces) -> None:  # type: ignore[override]
            self.merge(batch)

        def from_state(self, state: bytes) -> "Merged":
            made = Merged([AMOUNT])
            vars(made).update(vars(super().from_state(state)))
            return made

    def seen(found: ScoredPieces) -> list[object]:
        column = found.drift.result()["amount"]
        distance = None if column.distance is None else column.distance.value
        shards = [(number, repr(list(written))) for number, written in found.shards.items()]
        return [
            *(vars(found.facts.result()), column.missing, distance, shards),
            *(found.with_rejected, found.earlier),
        ]

    accumulator_laws.check(data, lambda: Merged([AMOUNT]), len(pieces), batch, seen)
