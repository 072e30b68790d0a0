"""Splits by row: equal rows are numbered over all pieces, without a table of each on the driver."""

import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.examples import ShardDestination
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.values.hashes import mix
from kfp_tabular.components.data_ingestion.splits.row_hashing import RowCounts, RowNumbers
from kfp_tabular.components.data_ingestion.splits.splitting import RowSplit
from kfp_tabular.components.data_ingestion.writing.rows_before import GroupSum, RowsBefore
from tests.pickled_engine import PickledEngine, sent


def hashes(kinds):
    return mix(np.asarray(kinds, np.uint64))


@settings(deadline=None, max_examples=40)
@given(
    pieces=st.lists(st.lists(st.integers(0, 9), max_size=20), min_size=2, max_size=12),
    per_group=st.integers(1, 5),
    pickled=st.booleans(),
)
def test_numbers_are_those_of_one_piece(tmp_path_factory, pieces, per_group, pickled):
    destination = ShardDestination.of(tmp_path_factory.mktemp("numbers"))
    before = RowsBefore(destination, len(pieces), per_group)
    for number, rows in enumerate(pieces):
        counts = RowNumbers()
        counts.count(hashes(rows))
        before.count(number, counts.counts())
    before.sum_up(PickledEngine() if pickled else LocalEngine(2))
    found = [
        RowNumbers(sent(before).of(number)).of(hashes(rows)) for number, rows in enumerate(pieces)
    ]
    whole = RowNumbers().of(hashes([row for rows in pieces for row in rows]))
    assert np.concatenate(found).tolist() == whole.tolist()
    before.discard()
    assert not list(Path(destination.root).iterdir())


def test_a_group_may_be_summed_up_twice(tmp_path):
    before = RowsBefore(ShardDestination.of(tmp_path), 3, per_group=3)
    for number in range(3):
        before.count(number, RowCounts(np.array([5]), np.array([number + 1])))
    before.sum_up(LocalEngine())
    GroupSum(before)(Piece(str(tmp_path), "blocks", 0, 3))
    assert [before.of(number).counts.tolist() for number in range(3)] == [[0], [1], [3]]


def test_memory_of_the_driver_does_not_grow_with_pieces(tmp_path):
    """The engine's part is left out: it runs elsewhere."""

    class Elsewhere:
        def map(self, pieces, function, what=""):
            for piece in pieces:
                tracemalloc.stop()
                result = function(piece)
                tracemalloc.start()
                yield piece, result

    def peak(pieces):
        before = RowsBefore(ShardDestination.of(tmp_path / str(pieces)), pieces, per_group=2)
        for number in range(pieces):
            slots = np.arange(number % 8, 1 << 20, 8)
            before.count(number, RowCounts(slots, np.ones(len(slots), np.int64)))
        tracemalloc.start()
        before.sum_up(Elsewhere())
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    # Tables of 36 more pieces would take 75 MB.
    assert peak(48) < peak(12) + (1 << 20)


@settings(deadline=None, max_examples=40)
@given(
    kinds=st.lists(st.integers(1, 50), min_size=1, max_size=6),
    weights=st.lists(st.floats(0.05, 1), min_size=2, max_size=4),
    salt=st.text("abc", max_size=3),
    seed=st.integers(0, 99),
)
def test_few_kinds_of_rows_have_the_shares_asked_for(kinds, weights, salt, seed):
    """In all rows, and in the rows of each kind that is frequent."""
    rows = 20_000
    limits = np.cumsum(weights) / sum(weights)
    limits[-1] = 1.0
    rng = np.random.default_rng(seed)
    values = rng.choice(len(kinds), rows, p=np.array(kinds) / sum(kinds))
    splitting = RowSplit([str(at) for at in range(len(weights))], limits.tolist(), ["a"], salt)
    splits = splitting.assign(splitting.look({"a": pa.array(values)}), RowNumbers()).splits
    for chosen in (np.ones(rows, bool), *(values == kind for kind in range(len(kinds)))):
        count = np.count_nonzero(chosen)
        for split, share in enumerate(np.diff([0, *limits])):
            off = abs(np.count_nonzero(splits[chosen] == split) - share * count)
            assert off <= 6 * np.sqrt(share * (1 - share) * count) + 3


@settings(deadline=None, max_examples=40)
@given(kinds=st.lists(st.integers(0, 3), max_size=60), seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_change_how_many_of_a_kind_a_split_has(kinds, seed):
    splitting = RowSplit(["train", "test"], [0.6, 1.0], ["a"], "")

    def counted(rows):
        looked_at = splitting.look({"a": pa.array(rows, pa.int64())})
        splits = splitting.assign(looked_at, RowNumbers()).splits
        return sorted(zip(rows, splits.tolist(), strict=True))

    shuffled = np.random.default_rng(seed).permutation(np.array(kinds, np.int64)).tolist()
    assert counted(shuffled) == counted(kinds)
