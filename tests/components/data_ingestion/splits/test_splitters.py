import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.data_ingestion.splits import split_names, split_times
from kfp_tabular.components.data_ingestion.splits.splitters import HashSplitter, TimeSplitter
from kfp_tabular.components.data_ingestion.splits.time_cuts import TimeCounts, time_cuts

NAMES = st.text("abcdefgh", min_size=1, max_size=4)
WEIGHTS = st.dictionaries(NAMES, st.floats(0.01, 100), min_size=1, max_size=5)


@given(WEIGHTS)
def test_shares_add_up_and_keep_their_proportions(weights):
    shares = split_names.parse_fractions(weights)
    assert sum(shares.values()) == pytest.approx(1)
    name = next(iter(weights))
    assert shares[name] == pytest.approx(weights[name] / sum(weights.values()))
    limits = split_names.limits(list(shares.values()))
    assert limits == sorted(limits)
    assert limits[-1] == 1.0


def test_splits_have_one_order():
    given_order = {"z": 1, "test": 1, "a": 1, "eval": 1, "train": 1}
    assert list(split_names.parse_fractions(given_order)) == ["train", "eval", "test", "a", "z"]


@given(WEIGHTS)
def test_a_hash_split_has_the_shares_asked_for(weights):
    shares = split_names.parse_fractions(weights)
    splitter = HashSplitter(list(shares), split_names.limits(list(shares.values())), (), "")
    rows = 20_000
    assigned = splitter.assign({"a": pa.array(range(rows))}).splits
    for index, share in enumerate(shares.values()):
        found = np.mean(assigned == index)
        assert abs(found - share) < 6 * np.sqrt(share * (1 - share) / rows) + 1e-9


@given(st.floats(0.05, 0.9), st.floats(0.0, 0.05))
def test_a_larger_train_share_only_adds_to_it(share, more):
    column = {"a": pa.array(range(2000))}

    def train(part):
        shares = split_names.parse_fractions({"train": part, "test": 1 - part})
        splitter = HashSplitter(list(shares), split_names.limits(list(shares.values())), (), "")
        return splitter.assign(column).splits == 0

    assert not np.any(train(share) & ~train(share + more))


TIMES = st.lists(st.one_of(st.none(), st.integers(-50, 50)), min_size=1, max_size=200)


@given(TIMES, WEIGHTS)
def test_a_time_split_is_in_order_and_keeps_ties_together(times, weights):
    shares = split_names.parse_fractions(weights)
    values = pa.array(times, pa.int64())
    counts = TimeCounts("t", "")
    counts.add(values)
    cuts = time_cuts(lambda _: counts.result(), list(shares.values()))
    known = [time for time in times if time is not None]
    if not known:
        assert cuts == []
        return
    assignment = TimeSplitter(list(shares), "t", cuts).assign({"t": values})
    missing = np.zeros(len(times), bool) if assignment.missing is None else assignment.missing
    assert missing.tolist() == [time is None for time in times]
    pairs = sorted((t, s) for t, s in zip(times, assignment.splits, strict=True) if t is not None)
    found = [split for _, split in pairs]
    assert found == sorted(found)
    assert len({time for time, _ in pairs}) == len(set(pairs))
    # A split starts at its rank, or earlier where its first rows tie with the one there.
    for index, limit in enumerate(split_names.limits(list(shares.values()))[:-1]):
        rank = min(int(limit * len(known)), len(known) - 1)
        assert sum(split <= index for split in found) <= rank


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-01-31", "2024-02-01"],
        ["2024-01-31 10:00", "2024-01-31 10:00:00.000001"],
        ["2024-01-31T10:00:00Z", "2024-01-31T10:00:00-01:00"],
        ["0001-01-01", "9999-12-31"],
    ],
)
def test_text_sorts_like_the_time_it_says(texts):
    keys = split_times.time_keys(pa.array([*texts, None]), "t")
    assert keys[0] < keys[1]
    assert np.isnan(keys[2])
