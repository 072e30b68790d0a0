import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.processing import row_keys
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.evaluation.metrics import ranking, score_keys
from kfp_tabular.components.evaluation.metrics.ranking import (
    Histograms,
    RankStatistics,
    average_precision,
    curves,
    roc_auc,
)

scored = st.lists(
    st.tuples(st.floats(0, 1, width=32) | st.sampled_from([0.0, 0.5, 1.0]), st.booleans()),
    min_size=1,
    max_size=40,
)


def pairwise_auc(scores, positive):
    """Return the share of correctly ranked pairs, from the pairs themselves."""
    above = scores[positive][:, None] - scores[~positive][None, :]
    return ((above > 0) + 0.5 * (above == 0)).mean()


def sorted_auc(scores, positive):
    """The same from average ranks, for many rows."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    p, n = positive.sum(), (~positive).sum()
    return (ranks[positive].sum() - p * (p + 1) / 2) / (p * n)


def stepwise_precision(scores, positive):
    """Average precision by its definition: every distinct score is a threshold."""
    total, recall = 0.0, 0.0
    for threshold in np.unique(scores)[::-1]:
        answered = scores >= threshold
        now = (answered & positive).sum() / positive.sum()
        total += (now - recall) * (answered & positive).sum() / answered.sum()
        recall = now
    return total


def counted(scores, positive, parts=1):
    total = RankStatistics(1)
    groups = bootstrap.groups_of(row_keys.keys(0, len(scores), 0))
    for part in np.array_split(np.arange(len(scores)), parts):
        statistics = RankStatistics(1)
        cells = np.zeros(len(part), int)
        statistics.add(cells, groups[part], positive[part], scores[part])
        total.merge(statistics)
    return total


@given(scored)
def test_both_areas_equal_their_definitions(rows):
    scores = np.array([score for score, _ in rows], np.float32)
    positive = np.array([flag for _, flag in rows])
    statistics = counted(scores, positive)
    area, precision = statistics.areas(0)
    assert statistics.are_exact
    if positive.all() or not positive.any():
        assert np.isnan(area)
    else:
        assert area == pytest.approx(pairwise_auc(scores, positive))
    if positive.any():
        assert precision == pytest.approx(stepwise_precision(scores, positive))
    else:
        assert np.isnan(precision)


def distributions():
    random = np.random.default_rng(7)
    rows = 300_000
    rare = random.random(rows) < 0.02
    half = random.random(rows) < 0.5

    def probability(logits):
        return (1 / (1 + np.exp(-logits))).astype(np.float32)

    return {
        "spread": (probability(random.normal(half * 1.5, 2.0, rows)), half),
        "rare positives": (probability(random.normal(rare * 3.0 - 5, 1.5, rows)), rare),
        # A model that hardly tells rows apart: all scores within a thousandth.
        "crowded": ((0.02 + 1e-3 * random.normal(rare, 1, rows) ** 2).astype(np.float32), rare),
        "saturated": (probability(random.normal(half * 20 - 10, 15, rows)), half),
        "few values": (np.round(probability(random.normal(half, 2, rows)), 1), half),
    }


@pytest.mark.parametrize("name", list(distributions()))
def test_the_areas_of_many_rows_are_exact(name):
    scores, positive = distributions()[name]
    statistics = counted(scores, positive, parts=7)
    area, precision = statistics.areas(0)
    assert statistics.are_exact
    assert area == pytest.approx(sorted_auc(scores, positive), rel=1e-12)
    assert precision == pytest.approx(stepwise_area(scores, positive), rel=1e-12)


@pytest.mark.parametrize("name", list(distributions()))
def test_areas_from_bins_are_within_a_ten_thousandth(name, monkeypatch):
    # A sixteenth of the bins, as for a sixteenth of the rows that need bins.
    monkeypatch.setattr(ranking, "_FINE", (1 << 15, 1 << 15))
    scores, positive = distributions()[name]
    statistics = counted(scores, positive, parts=7)
    area, precision = statistics.areas(0)
    assert statistics.are_exact == (name == "few values")
    assert area == pytest.approx(sorted_auc(scores, positive), abs=2e-5)
    assert precision == pytest.approx(stepwise_area(scores, positive), abs=1e-4)


@given(
    st.lists(st.floats(0, 1, width=32) | st.floats(-2, 2, width=32), min_size=1, max_size=20),
    st.integers(0, 31),
)
def test_the_lowest_score_of_a_bin_separates_it_from_lower_scores(values, dropped):
    scores = np.sort(np.array(values, np.float32))
    keys = score_keys.keys(scores)
    assert (np.diff(keys) >= 0).all()
    bins = keys & ~np.int64((1 << dropped) - 1)
    for lowest, own in zip(score_keys.lowest(bins).astype(np.float32), bins, strict=True):
        assert (scores[bins >= own] >= lowest).all()
        assert (scores[bins < own] < lowest).all()
    within = np.abs(scores) <= 1
    assert score_keys.lowest(keys)[within].tolist() == scores[within].astype(float).tolist()


def stepwise_area(scores, positive):
    values, place = np.unique(scores, return_inverse=True)
    negatives, positives = (
        np.bincount(place[side], minlength=len(values)).astype(float)
        for side in (~positive, positive)
    )
    return float(average_precision(negatives, positives))


@pytest.mark.parametrize("name", ["rare positives", "crowded"])
@pytest.mark.parametrize("most", [1 << 20, 1 << 18])
def test_the_bootstrap_interval_of_the_area_is_that_of_delong(name, most, monkeypatch):
    monkeypatch.setattr(ranking, "_GROUPED", (most, most))
    scores, positive = distributions()[name]
    scores, positive = scores[:20_000], positive[:20_000]
    statistics = counted(scores, positive)
    area, precision = statistics.areas(0)
    areas, precisions = statistics.resampled(0, bootstrap.weights(2000, 1), (area, precision))
    # DeLong, DeLong and Clarke-Pearson, 1988.
    ups, downs = np.sort(scores[~positive]), np.sort(scores[positive])
    of_positive = np.searchsorted(ups, scores[positive]) / len(ups)
    of_negative = 1 - np.searchsorted(downs, scores[~positive]) / len(downs)
    error = np.sqrt(of_positive.var() / len(downs) + of_negative.var() / len(ups))
    assert areas.std() == pytest.approx(error, rel=0.15)
    assert areas.mean() == pytest.approx(area, abs=error / 4)
    low, high = bootstrap.interval(areas)
    assert low < area < high
    assert np.isfinite(precisions).all()


def test_curves_have_few_finite_points_and_keep_the_area():
    scores, positive = distributions()["spread"]
    found = counted(scores, positive).histograms(0)
    drawn = curves(found)
    points = np.array(
        [drawn.thresholds, drawn.false_positive_rates, drawn.recalls, drawn.precisions]
    )
    assert points.shape[1] <= 200
    assert np.isfinite(points).all()
    assert (np.diff(points[0]) < 0).all()
    assert (np.diff(points[1:3]) >= 0).all()
    assert points[1:3, 0].tolist() == [0, 0]
    assert points[1:3, -1].tolist() == [1, 1]
    drawn_area = np.trapezoid(points[2], points[1])
    assert drawn_area == pytest.approx(float(roc_auc(found.negatives, found.positives)), abs=1e-3)
    # Each point is what its threshold gives.
    for threshold, rate, recall, precision in points.T[1::20]:
        answered = scores >= np.float32(threshold)
        assert rate == pytest.approx(answered[~positive].mean(), abs=1e-9)
        assert recall == pytest.approx(answered[positive].mean(), abs=1e-9)
        assert precision == pytest.approx(positive[answered].mean(), abs=1e-9)


def test_there_is_no_curve_of_one_class():
    ones, scores = np.array([0.0, 3.0]), np.array([0.0, 0.5])
    assert curves(Histograms(scores, np.zeros(2), ones)) is None
    assert curves(Histograms(scores, ones, np.zeros(2))) is None
