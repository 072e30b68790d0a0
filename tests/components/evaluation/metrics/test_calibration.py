"""Calibration: bins, their intervals, and the expected calibration error with its interval."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.evaluation.metrics import binary, calibration
from kfp_tabular.components.evaluation.metrics.ranking import RankStatistics
from tests import accumulator_laws

WEIGHTS = bootstrap.weights(300, 0)
seeds = st.integers(0, 2**32)


class Rows:
    """Random rows, with probabilities that are a little off."""

    def __init__(self, rows, seed, distinct=10**6):
        random = np.random.default_rng(seed)
        truth = random.beta(1.5, 3, rows)
        self.positive = random.random(rows) < truth
        self.scores = (np.round(np.clip(truth**1.3, 0, 1) * distinct) / distinct).astype(np.float32)
        self.groups = random.integers(0, bootstrap.GROUPS, rows)

    def part(self, start, stop):
        part = slice(start, stop)
        cells = np.zeros(len(self.scores[part]), np.int64)
        return cells, self.groups[part], self.positive[part], self.scores[part]


class Ranks(RankStatistics):
    def __init__(self):
        super().__init__(1)

    def add(self, part):
        super().add(*part)

    def from_state(self, state):
        found = Ranks()
        found.__dict__.update(super().from_state(state).__dict__)
        return found

    def result(self):
        return self


def measured(ranks, weights=WEIGHTS, *, clustered=False):
    found = ranks.histograms(0)
    grouped = ranks.grouped(0, calibration.edges(found))
    return calibration.measure(found, grouped, weights, clustered=clustered)


def counted(rows):
    ranks = Ranks()
    ranks.add(rows.part(0, None))
    return ranks


@pytest.mark.parametrize("clustered", [False, True])
@given(data=st.data(), rows=st.integers(0, 120), seed=seeds, distinct=st.sampled_from([4, 10**6]))
def test_any_cut_gives_the_same_calibration(clustered, data, rows, seed, distinct):
    made = Rows(rows, seed, distinct)

    def seen(ranks):
        found = measured(ranks, clustered=clustered)
        return None if found is None else dataclasses.asdict(found)

    accumulator_laws.check(data, Ranks, rows, made.part, seen)


@settings(deadline=None)
@given(rows=st.integers(1, 400), seed=seeds, distinct=st.sampled_from([4, 50, 10**6]))
def test_bins_and_error_are_those_of_their_definitions(rows, seed, distinct):
    made = Rows(rows, seed, distinct)
    found = measured(counted(made))
    cuts = np.unique(
        np.quantile(made.scores.astype(np.float64), np.arange(1, calibration.BINS) / 15)
    )
    place = np.searchsorted(cuts, made.scores.astype(np.float64), side="right")
    expected = []
    for each in np.unique(place):
        scores, positive = made.scores[place == each], made.positive[place == each]
        expected.append((scores.astype(np.float64).mean(), positive.mean(), len(scores)))
    seen = [(part.predicted, part.observed, part.rows) for part in found.bins]
    np.testing.assert_allclose(seen, expected, atol=1e-9)
    error = sum(abs(scores - share) * count for scores, share, count in expected) / rows
    assert found.error.value == pytest.approx(error, abs=1e-9)
    # With a row or two, many resamples have none.
    if rows > 2:
        low, high = found.error.interval
        assert 0 <= low <= found.error.value <= high <= 1
    for part in found.bins:
        assert 0 <= part.interval[0] <= part.observed <= part.interval[1] <= 1


@given(positives=st.integers(0, 300), others=st.integers(0, 300))
def test_the_interval_of_a_share_is_wilsons(positives, others):
    stats = pytest.importorskip("scipy.stats")
    rows = positives + others
    if rows:
        expected = stats.binomtest(positives, rows).proportion_ci(0.95, method="wilson")
        found = calibration.wilson(positives / rows, rows)
        assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_rows_that_belong_together_count_as_fewer():
    made = Rows(6000, 0)
    for name in ("positive", "scores", "groups"):
        setattr(made, name, np.repeat(getattr(made, name), 9))
    alone, together = (measured(counted(made), clustered=clustered) for clustered in (False, True))
    widths = [np.array([np.ptp(part.interval) for part in each.bins]) for each in (alone, together)]
    # The width grows with the root of the number of copies.
    assert np.median(widths[1] / widths[0]) == pytest.approx(3, rel=0.1)
    assert [part.observed for part in alone.bins] == [part.observed for part in together.bins]


def test_a_cluster_without_spread_counts_as_one_row():
    rows = 200
    ranks = Ranks()
    zeros = np.zeros(rows, np.int64)
    ranks.add((zeros, np.arange(rows) % 4, np.zeros(rows, bool), np.full(rows, 0.1, np.float32)))
    (alone,) = measured(ranks).bins
    (together,) = measured(ranks, clustered=True).bins
    assert alone.interval == pytest.approx(calibration.wilson(0, 200))
    assert together.interval == pytest.approx(calibration.wilson(0, 4))

    # Beside a bin whose rows are of one class each, in fours, it is the spread of that bin.
    owners = np.arange(rows) // 4
    mixed = np.random.default_rng(0).random(rows)[owners] < 0.5
    ranks.add((zeros, 4 + owners, mixed, np.full(rows, 0.6, np.float32)))
    first, second = measured(ranks, clustered=True).bins
    assert second.interval[1] - second.interval[0] > 0.2
    assert first.interval == pytest.approx(calibration.wilson(0, 200 / 4), rel=0.3)


@pytest.mark.parametrize(("rows", "power"), [(600, 1.0), (3000, 1.1), (3000, 1.6)])
def test_the_interval_contains_the_true_error(rows, power):
    random = np.random.default_rng(rows)

    def drawn(count):
        scores = random.beta(2, 4, count)
        return scores, scores**power

    # The true error, with bins at the quantiles of the scores.
    scores, chance = drawn(1_000_000)
    place = np.searchsorted(np.quantile(scores, np.arange(1, 15) / 15), scores, side="right")
    truth = np.abs(np.bincount(place, scores - chance)).sum() / len(scores)
    inside, draws = 0, 150
    weights = bootstrap.weights(200, 1)
    for _ in range(draws):
        made = Rows(rows, 0)
        made.scores, chance = drawn(rows)
        made.scores = made.scores.astype(np.float32)
        made.positive = random.random(rows) < chance
        made.groups = random.integers(0, bootstrap.GROUPS, rows)
        low, high = measured(counted(made), weights).error.interval
        inside += low - 1e-9 <= truth <= high
    # In simulations at least 89%; the bound allows three standard errors.
    assert inside / draws >= 0.81
    if power == 1:
        # Perfect calibration is not refuted.
        assert truth < 1e-9


def test_calibration_is_the_gap_between_what_is_said_and_what_happens():
    random = np.random.default_rng(0)
    chance = random.random(200_000).astype(np.float32)
    positive = random.random(len(chance)) < chance
    errors = []
    for scores in (chance, np.clip(chance + 0.1, 0, 1)):
        made = Rows(0, 0)
        made.scores, made.positive = scores, positive
        made.groups = random.integers(0, bootstrap.GROUPS, len(chance))
        ranks = Ranks()
        for start in range(0, len(chance), 40_000):
            ranks.add(made.part(start, start + 40_000))
        found = measured(ranks)
        assert np.sum(binary.score_histogram(ranks.histograms(0))) == len(chance)
        counts = [part.rows for part in found.bins]
        assert sum(counts) == len(chance)
        if scores is chance:
            assert counts == pytest.approx([len(chance) / calibration.BINS] * 15, abs=10)
        errors.append(found.error)
    assert errors[0].value < 0.006
    assert errors[0].interval[0] == 0
    assert errors[1].value == pytest.approx(0.095, abs=0.01)
    assert errors[1].interval[0] > 0.08
