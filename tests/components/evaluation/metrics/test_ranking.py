import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.evaluation.metrics import bootstrap
from kfp_tabular.components.evaluation.metrics.ranking import (
    RankStatistics,
    ScoreBins,
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


def counted(scores, positive, bins):
    statistics = RankStatistics(bins, 1)
    rows = len(scores)
    statistics.add(np.zeros(rows, int), bootstrap.groups(0, rows, 0), positive, scores)
    return statistics


@given(scored)
def test_both_areas_equal_their_definitions(rows):
    scores = np.array([score for score, _ in rows], np.float32)
    positive = np.array([flag for _, flag in rows])
    bins = ScoreBins.fit(scores, positive, complete=True)
    area, precision = counted(scores, positive, bins).areas(0)
    assert bins.exact
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
def test_binned_areas_are_within_a_ten_thousandth(name):
    scores, positive = distributions()[name]
    area, precision = binned_areas(scores, positive)
    assert area == pytest.approx(sorted_auc(scores, positive), abs=2e-5)
    assert precision == pytest.approx(stepwise_area(scores, positive), abs=1e-4)


@pytest.mark.parametrize("name", list(distributions()))
def test_bins_hold_for_rows_unlike_the_first_ones(name):
    scores, positive = distributions()[name]
    order = np.argsort(scores)
    scores, positive = scores[order], positive[order]
    area, precision = binned_areas(scores, positive)
    assert area == pytest.approx(sorted_auc(scores, positive), abs=5e-4)
    assert precision == pytest.approx(stepwise_area(scores, positive), abs=2e-3)


def binned_areas(scores, positive):
    first = 131_072
    bins = ScoreBins.fit(scores[:first], positive[:first], complete=False)
    return counted(scores, positive, bins).areas(0)


def stepwise_area(scores, positive):
    values, place = np.unique(scores, return_inverse=True)
    negatives, positives = (
        np.bincount(place[side], minlength=len(values)).astype(float)
        for side in (~positive, positive)
    )
    return float(average_precision(negatives, positives))


def test_the_bootstrap_interval_of_the_area_is_that_of_delong():
    scores, positive = distributions()["rare positives"]
    scores, positive = scores[:20_000], positive[:20_000]
    statistics = counted(scores, positive, ScoreBins.fit(scores, positive, complete=True))
    area, _ = statistics.areas(0)
    areas, precisions = statistics.resampled(0, bootstrap.weights(2000, 1))
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
    bins = ScoreBins.fit(scores, positive, complete=True)
    negatives, positives = counted(scores, positive, bins).histograms(0)
    drawn = curves(negatives, positives, bins.thresholds())
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
    assert drawn_area == pytest.approx(float(roc_auc(negatives, positives)), abs=1e-3)
    # Each point is what its threshold gives.
    for threshold, rate, recall, precision in points.T[1::20]:
        answered = scores >= np.float32(threshold)
        assert rate == pytest.approx(answered[~positive].mean(), abs=1e-9)
        assert recall == pytest.approx(answered[positive].mean(), abs=1e-9)
        assert precision == pytest.approx(positive[answered].mean(), abs=1e-9)


def test_there_is_no_curve_of_one_class():
    ones = np.array([0.0, 3.0])
    assert curves(np.zeros(2), ones, np.array([0.0, 0.5])) is None
    assert curves(ones, np.zeros(2), np.array([0.0, 0.5])) is None
