"""Rates by group and their gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.evaluation import fairness
from kfp_tabular.components.evaluation.metrics.binary import BinaryStatistics
from kfp_tabular.components.evaluation.slices import Cut, Slicing

SEX = Slicing("sex", (Cut("sex"),), (("f",), ("m",), ("x",)), 0)
WEIGHTS = bootstrap.weights(300, 0)


def measured(labels, scores, cells, threshold=0.5):
    statistics = BinaryStatistics(threshold, 3)
    groups = np.random.default_rng(0).integers(0, bootstrap.GROUPS, len(labels))
    both = np.stack([1 - scores, scores], axis=1).astype(np.float32)
    statistics.add(cells, groups, labels, both)
    return fairness.measure(statistics, SEX, WEIGHTS)


def drawn(rows, seed, shift=0.0):
    random = np.random.default_rng(seed)
    cells = random.choice(3, rows, p=[0.5, 0.45, 0.05])
    labels = (random.random(rows) < 0.4).astype(np.int64)
    scores = np.clip(0.3 * labels + random.random(rows) * 0.7 + shift * (cells == 1), 0, 1)
    return labels, scores.astype(np.float32), cells


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), shift=st.floats(-0.2, 0.2))
def test_gaps_are_those_of_their_definitions(seed, shift):
    labels, scores, cells = drawn(6000, seed, shift)
    found = measured(labels, scores, cells)
    answered = scores >= np.float32(0.5)
    rates = {
        "selection_rate": lambda rows: answered[rows].mean(),
        "true_positive_rate": lambda rows: answered[rows & (labels == 1)].mean(),
        "false_positive_rate": lambda rows: answered[rows & (labels == 0)].mean(),
        "calibration": lambda rows: (scores[rows].astype(float) - labels[rows]).mean(),
    }
    for rate, of in rates.items():
        values = [of(cells == cell) for cell in range(3)]
        for cell, value in enumerate(values):
            assert found["groups"][cell][rate]["value"] == pytest.approx(value, abs=1e-9)
        gap = found["gaps"][rate]
        assert gap["value"] == pytest.approx(max(values) - min(values), abs=1e-9)
        assert gap["highest"] == f"sex={'fmx'[int(np.argmax(values))]}"
        assert gap["lowest"] == f"sex={'fmx'[int(np.argmin(values))]}"


def test_the_interval_contains_a_true_gap():
    inside = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        cells = random.integers(0, 2, 3000)
        labels = (random.random(3000) < 0.4).astype(np.int64)
        scores = np.where(random.random(3000) < 0.3 + 0.2 * cells, 0.9, 0.1).astype(np.float32)
        low, high = measured(labels, scores, cells)["gaps"]["selection_rate"]["interval"]
        inside += low <= 0.2 <= high
    assert inside >= 34


def test_small_groups_are_shown_and_not_judged():
    labels, scores, cells = drawn(1500, 3)
    cells = np.where((cells == 2) & (np.cumsum(cells == 2) > 20), 0, cells)
    scores = np.where(cells == 2, np.float32(0.9), scores)
    found = measured(labels, scores, cells)
    assert found["groups"][2]["rows"] == 20
    assert found["groups"][2]["selection_rate"]["value"] == 1
    assert "sex=x" not in {gap["highest"] for gap in found["gaps"].values()}


def test_bounds_decide():
    labels, scores, cells = drawn(6000, 0, 0.2)
    found = [measured(labels, scores, cells)]
    gap = found[0]["gaps"]["selection_rate"]["value"]
    assert gap > 0.1
    for most, passed in ((gap + 0.01, True), (gap - 0.01, False)):
        bounds = fairness.parse_bounds({"selection_rate": {"max_gap": most}}, ["sex"], "binary")
        (check,) = fairness.judge(bounds, found)
        assert check.passed == passed
        assert check.slice == "sex"
        assert check.interval[0] < gap < check.interval[1]
    other = fairness.parse_bounds(
        {"calibration": [{"max_gap": 0.5, "column": "sex"}, {"max_gap": 0.9, "column": "age"}]},
        ["sex", "age"],
        "binary",
    )
    assert [check.metric for check in fairness.judge(other, found)] == ["calibration"]


@pytest.mark.parametrize(
    ("document", "columns", "task", "message"),
    [
        ({"tpr": {"max_gap": 0.1}}, ["sex"], "binary", "'tpr' is not a rate"),
        ({"calibration": 0.1}, ["sex"], "binary", "expected a bound such as"),
        ({"calibration": {"max_gap": "a"}}, ["sex"], "binary", "must be a number from 0 to 1"),
        ({"calibration": {"max_gap": 2}}, ["sex"], "binary", "must be a number from 0 to 1"),
        ({"calibration": {"max_gap": 0.1, "slice": "sex"}}, ["sex"], "binary", "'slice' is unkn"),
        (
            {"calibration": {"max_gap": 0.1, "column": "sx"}},
            ["sex"],
            "binary",
            "'sx' is not among fairness_columns. Did you mean 'sex'",
        ),
        ({"calibration": {"max_gap": 0.1}}, [], "binary", "name the columns of groups"),
        ({}, ["sex"], "regression", "only a binary model has such rates, not a regression one"),
    ],
)
def test_bad_bounds_are_refused(document, columns, task, message):
    with pytest.raises(UserError, match=message):
        fairness.parse_bounds(document, columns, task)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32), threshold=st.sampled_from([0.3, 0.5, 0.8]))
def test_rates_and_gaps_are_those_of_fairlearn(seed, threshold):
    metrics = pytest.importorskip("fairlearn.metrics")
    labels, scores, cells = drawn(4000, seed, 0.1)
    found = measured(labels, scores, cells, threshold)
    answered = (scores >= np.float32(threshold)).astype(int)
    of = {
        "selection_rate": metrics.selection_rate,
        "true_positive_rate": metrics.true_positive_rate,
        "false_positive_rate": metrics.false_positive_rate,
    }
    frame = metrics.MetricFrame(
        metrics=of, y_true=labels, y_pred=answered, sensitive_features=cells
    )
    for rate in of:
        ours = [group[rate]["value"] for group in found["groups"]]
        assert ours == pytest.approx(frame.by_group[rate].tolist(), abs=1e-9)
        gap = found["gaps"][rate]["value"]
        assert gap == pytest.approx(frame.difference()[rate], abs=1e-9)
    given_groups = {"sensitive_features": cells}
    parity = metrics.demographic_parity_difference(labels, answered, **given_groups)
    odds = metrics.equalized_odds_difference(labels, answered, **given_groups)
    gaps = {rate: gap["value"] for rate, gap in found["gaps"].items()}
    assert gaps["selection_rate"] == pytest.approx(parity, abs=1e-9)
    worst = max(gaps["true_positive_rate"], gaps["false_positive_rate"])
    assert worst == pytest.approx(odds, abs=1e-9)
