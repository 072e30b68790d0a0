import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.evaluation.explanations import thresholds
from kfp_tabular.components.evaluation.explanations.thresholds import ErrorCosts
from kfp_tabular.components.evaluation.metrics import ranking
from kfp_tabular.components.evaluation.metrics.ranking import RankStatistics


def counted(scores, positive, parts):
    """Histograms of rows that are added part by part, in accumulators that are merged."""
    total = RankStatistics(1)
    for part in parts:
        statistics = RankStatistics(1)
        zeros = np.zeros(len(part), np.int64)
        statistics.add(zeros, zeros, positive[part], scores[part])
        total.merge(statistics)
    return total.histograms(0)


def confusion(scores, positive, threshold):
    answered = scores >= np.float32(threshold)
    return np.array(
        [
            [(~answered & ~positive).sum(), (answered & ~positive).sum()],
            [(~answered & positive).sum(), (answered & positive).sum()],
        ]
    )


ROWS = st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=200)


@settings(deadline=None)
@given(
    rows=ROWS,
    cuts=st.lists(st.integers(0, 200), max_size=5),
    seed=st.integers(0, 100),
    costs=st.tuples(st.floats(0, 50), st.floats(0, 50)),
)
def test_thresholds_equal_direct_computation_in_any_order_and_any_parts(rows, cuts, seed, costs):
    scores = np.array([score / 40 for score, _ in rows], np.float32)
    positive = np.array([label for _, label in rows])
    order = np.random.default_rng(seed).permutation(len(rows))
    parts = [p for p in np.split(order, sorted(min(c, len(rows)) for c in cuts)) if len(p)]
    own = 0.33
    found = thresholds.table(
        counted(scores, positive, parts),
        ErrorCosts(*costs),
        (own, confusion(scores, positive, own)),
    )
    assert found == thresholds.table(
        counted(scores, positive, [np.arange(len(rows))]),
        ErrorCosts(*costs),
        (own, confusion(scores, positive, own)),
    )
    assert [row["threshold"] for row in found] == sorted({row["threshold"] for row in found})
    for row in found:
        answered = scores >= np.float32(row["threshold"])
        right = int((answered & positive).sum())
        wrong = int((answered & ~positive).sum())
        missed = int((~answered & positive).sum())
        assert row["predicted_positive"] == answered.mean()
        assert row["precision"] == (right / (right + wrong) if right + wrong else None)
        assert row["recall"] == (right / (right + missed) if right + missed else None)
        cost = (wrong * costs[0] + missed * costs[1]) / len(rows)
        assert row["cost"] == pytest.approx(cost)
    marks = [mark for row in found for mark in row["marks"]]
    assert sorted(marks) == sorted(
        ["decision_threshold", "least_cost", *(["best_f1"] if positive.any() else [])]
    )
    least = next(row for row in found if "least_cost" in row["marks"])
    every = [confusion(scores, positive, t) for t in np.unique(scores)]
    assert least["cost"] * len(rows) == pytest.approx(
        min(m[0, 1] * costs[0] + m[1, 0] * costs[1] for m in every)
    )
    if positive.any():
        best = next(row for row in found if "best_f1" in row["marks"])
        assert best["f1"] == pytest.approx(
            max(2 * m[1, 1] / (2 * m[1, 1] + m[0, 1] + m[1, 0]) for m in every)
        )


@settings(deadline=None)
@given(rows=ROWS, cuts=st.lists(st.integers(0, 200), max_size=5), seed=st.integers(0, 100))
def test_gain_equals_the_expected_share_of_ties_in_random_order(rows, cuts, seed):
    scores = np.array([score / 40 for score, _ in rows], np.float32)
    positive = np.array([label for _, label in rows])
    order = np.random.default_rng(seed).permutation(len(rows))
    parts = [p for p in np.split(order, sorted(min(c, len(rows)) for c in cuts)) if len(p)]
    drawn = counted(scores, positive, parts)
    found = thresholds.gain(drawn.negatives, drawn.positives)
    if positive.all() or not positive.any():
        assert found is None
        return
    for share, captured in zip(found["shares"], found["captured"], strict=True):
        rank = share * len(rows)
        expected = sum(
            label * min(max((rank - (scores > s).sum()) / (scores == s).sum(), 0), 1)
            for s, label in zip(scores, positive, strict=True)
        )
        assert captured == pytest.approx(expected / positive.sum())
    assert found["deciles"][-1]["captured"] == 1
    assert np.mean([row["lift"] for row in found["deciles"]]) == pytest.approx(1)


def test_with_many_distinct_scores_every_figure_is_still_exact(monkeypatch):
    monkeypatch.setattr(ranking, "_FINE", (256, 256))
    random = np.random.default_rng(0)
    scores = random.random(50_000).astype(np.float32) ** 4
    positive = random.random(50_000) < scores
    parts = np.split(np.arange(50_000), 7_000 * np.arange(1, 7))
    found = thresholds.table(
        counted(scores, positive, parts),
        ErrorCosts(1, 10),
        (0.5, confusion(scores, positive, 0.5)),
    )
    for row in found:
        matrix = confusion(scores, positive, row["threshold"])
        assert row["recall"] == matrix[1, 1] / positive.sum()
    # Missing a positive row costs ten times as much, so a low threshold is best.
    least = next(row for row in found if "least_cost" in row["marks"])
    assert least["threshold"] == pytest.approx(1 / 11, abs=0.03)


def test_rare_positives_have_thresholds_where_their_scores_are():
    random = np.random.default_rng(0)
    scores = (random.random(20_000) * 0.04).astype(np.float32)
    positive = random.random(20_000) < scores
    found = thresholds.table(
        counted(scores, positive, [np.arange(20_000)]),
        ErrorCosts(),
        (0.5, confusion(scores, positive, 0.5)),
    )
    shares = [row["predicted_positive"] for row in found]
    assert any(share == pytest.approx(0.01, rel=0.1) for share in shares)
    assert found[-1]["marks"] == ("decision_threshold",)
    assert found[-1]["precision"] is None
