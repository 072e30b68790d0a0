"""The metrics of each task against references that hold all rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.processing import row_keys
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.evaluation.metrics import binary, multiclass, regression
from kfp_tabular.components.evaluation.metrics.binary import BinaryStatistics
from kfp_tabular.components.evaluation.metrics.multiclass import MulticlassStatistics
from kfp_tabular.components.evaluation.metrics.regression import (
    RegressionCharts,
    RegressionStatistics,
)

WEIGHTS = bootstrap.weights(200, 0)
seeds = st.integers(0, 2**32)


def fill(statistics, labels, predictions, cells=None, parts=1):
    """Add rows in parts, as they come from a stream."""
    groups = bootstrap.groups_of(row_keys.keys(0, len(labels), 0))
    cells = np.zeros(len(labels), np.int64) if cells is None else cells
    for part in np.array_split(np.arange(len(labels)), parts):
        statistics.add(cells[part], groups[part], labels[part], predictions[part])
    return statistics


def binary_data(seed, rows=500):
    random = np.random.default_rng(seed)
    labels = (random.random(rows) < 0.3).astype(np.int64)
    scores = (1 / (1 + np.exp(-random.normal(labels * 2 - 1.5, 1.2)))).astype(np.float32)
    return labels, np.stack([1 - scores, scores], axis=1)


@settings(max_examples=25)
@given(seeds, st.sampled_from([0.1, 0.5, 0.9]), st.integers(1, 7))
def test_binary_metrics_equal_their_definitions(seed, threshold, parts):
    labels, predictions = binary_data(seed)
    statistics = fill(BinaryStatistics(threshold, 1), labels, predictions, parts=parts)
    measured = statistics.measured(0, WEIGHTS)
    scores = predictions[:, 1].astype(np.float64)
    answered = scores >= np.float32(threshold)
    right = answered[labels == 1].sum()
    expected = {
        "accuracy": (answered == labels).mean(),
        "log_loss": -np.where(labels, np.log(scores), np.log(predictions[:, 0])).mean(),
        "brier": ((scores - labels) ** 2).mean(),
        "precision": right / answered.sum() if answered.any() else np.nan,
        "recall": right / labels.sum(),
        "f1": 2 * right / (answered.sum() + labels.sum()),
    }
    assert measured.rows == len(labels)
    assert set(measured.points) == set(binary.METRICS)
    for name, value in expected.items():
        assert measured.points[name] == pytest.approx(value, rel=1e-6, nan_ok=True), name
    assert statistics.confusion().tolist() == [
        [((labels == a) & (answered == b)).sum() for b in (0, 1)] for a in (0, 1)
    ]


def test_binary_metrics_agree_with_keras():
    import tf_keras

    labels, predictions = binary_data(3, rows=20_000)
    points = fill(BinaryStatistics(0.5, 1), labels, predictions).measured(0, WEIGHTS).points
    scores = predictions[:, 1]
    references = {
        "auc": (tf_keras.metrics.AUC(num_thresholds=5000), 2e-4),
        "log_loss": (tf_keras.metrics.BinaryCrossentropy(), 1e-5),
        "precision": (tf_keras.metrics.Precision(), 1e-6),
        "recall": (tf_keras.metrics.Recall(), 1e-6),
    }
    for name, (metric, tolerance) in references.items():
        metric.update_state(labels, scores)
        assert points[name] == pytest.approx(float(metric.result()), abs=tolerance), name


def test_a_probability_of_zero_for_the_true_class_costs_a_bounded_loss():
    labels = np.array([1, 0])
    predictions = np.array([[1, 0], [1, 0]], np.float32)
    points = fill(BinaryStatistics(0.5, 1), labels, predictions).measured(0, WEIGHTS).points
    assert points["log_loss"] == pytest.approx(-np.log(1e-7) / 2)


@pytest.mark.parametrize("only", [0, 1])
def test_with_one_class_what_is_undefined_is_nan_and_the_rest_is_not(only):
    labels = np.full(50, only)
    _, predictions = binary_data(1, rows=50)
    points = fill(BinaryStatistics(0.5, 1), labels, predictions).measured(0, WEIGHTS).points
    undefined = {name for name, value in points.items() if np.isnan(value)}
    # Without a positive row a positive answer is wrong, so precision and f1 are 0.
    assert undefined == ({"auc", "pr_auc", "recall"} if only == 0 else {"auc"})


def test_cells_are_counted_apart():
    labels, predictions = binary_data(5, rows=3000)
    cells = np.random.default_rng(0).integers(0, 3, len(labels))
    together = fill(BinaryStatistics(0.5, 3), labels, predictions, cells)
    for cell in range(3):
        kept = cells == cell
        alone = fill(BinaryStatistics(0.5, 1), labels[kept], predictions[kept]).measured(0, WEIGHTS)
        assert together.measured(cell, WEIGHTS).points == pytest.approx(alone.points)


def test_intervals_cover_the_truth_as_often_as_they_say():
    covered = 0
    truth = fill(BinaryStatistics(0.5, 1), *binary_data(999, rows=400_000)).measured(0, WEIGHTS)
    trials = 60
    for seed in range(trials):
        labels, predictions = binary_data(seed, rows=800)
        statistics = fill(BinaryStatistics(0.5, 1), labels, predictions)
        measured = statistics.measured(0, bootstrap.weights(400, seed))
        for name, estimate in measured.estimates().items():
            low, high = estimate.interval
            covered += (low <= truth.points[name] <= high) / len(measured.points)
    assert 0.90 < covered / trials < 0.985


def test_models_are_compared_row_by_row():
    labels, predictions = binary_data(11, rows=5000)
    # The same model but for a little noise: each interval is wide, that of the change is not.
    noise = np.random.default_rng(0).normal(0, 0.01, len(labels)).astype(np.float32)
    other = np.clip(predictions[:, 1] + noise, 0, 1)
    other = np.stack([1 - other, other], axis=1)
    ours, theirs = (
        fill(BinaryStatistics(0.5, 1), labels, values).measured(0, WEIGHTS)
        for values in (predictions, other)
    )
    alone = ours.estimates()["auc"]
    change = ours.minus(theirs).estimates()["auc"]
    assert change.value == pytest.approx(ours.points["auc"] - theirs.points["auc"])
    assert np.diff(change.interval)[0] < np.diff(alone.interval)[0] / 10
    assert change.interval[0] <= change.value <= change.interval[1]


def multiclass_data(seed, rows=600, classes=4):
    random = np.random.default_rng(seed)
    # The last class occurs in no row and may be answered all the same.
    labels = random.integers(0, classes - 1, rows)
    logits = random.normal(size=(rows, classes)) + 2 * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return labels, probabilities.astype(np.float32)


@settings(max_examples=25)
@given(seeds, st.integers(1, 5))
def test_multiclass_metrics_equal_their_definitions(seed, parts):
    labels, predictions = multiclass_data(seed)
    statistics = fill(
        MulticlassStatistics(predictions.shape[1], 1), labels, predictions, parts=parts
    )
    points = statistics.measured(0, WEIGHTS).points
    assert set(points) == set(multiclass.METRICS)

    answered = predictions.argmax(1)
    by_class = {"precision": [], "recall": [], "f1": [], "auc": []}
    rows = []
    for index in range(predictions.shape[1]):
        actual, said = labels == index, answered == index
        right = (actual & said).sum()
        rows.append(actual.sum())
        by_class["precision"].append(right / said.sum() if said.any() else np.nan)
        by_class["recall"].append(right / actual.sum() if actual.any() else np.nan)
        either = actual.sum() + said.sum()
        by_class["f1"].append(2 * right / either if either else np.nan)
        score = predictions[:, index]
        above = score[actual][:, None] - score[~actual][None, :]
        by_class["auc"].append(((above > 0) + (above == 0) / 2).mean() if actual.any() else np.nan)
    occurs = np.isin(np.arange(4), np.concatenate([labels, answered]))
    expected = {
        "accuracy": (answered == labels).mean(),
        "log_loss": -np.log(predictions[np.arange(len(labels)), labels].astype(float)).mean(),
        "auc": np.nanmean(by_class["auc"]),
    }
    for name in ("precision", "recall", "f1"):
        values = np.nan_to_num(by_class[name])
        expected[name] = values[occurs].mean()
        expected[f"{name}_weighted"] = np.average(values, weights=rows)
    assert points == pytest.approx(expected, rel=1e-6)
    for name, values in by_class.items():
        assert statistics.per_class()[name] == pytest.approx(values, nan_ok=True), name
    assert statistics.confusion().sum(1).tolist() == rows


def test_slices_of_very_many_classes_have_no_area():
    labels, predictions = multiclass_data(0, classes=51)
    cells = np.arange(len(labels)) % 2
    sliced = fill(MulticlassStatistics(predictions.shape[1], 2), labels, predictions, cells)
    estimates = sliced.measured(1, WEIGHTS).estimates()
    assert set(multiclass.METRICS) - set(estimates) == {"auc"}
    with pytest.raises(ValueError, match="one cell"):
        sliced.confusion()
    whole = fill(MulticlassStatistics(predictions.shape[1], 1), labels, predictions)
    assert "auc" in whole.measured(0, WEIGHTS).estimates()


def test_multiclass_intervals_hold_the_value():
    labels, predictions = multiclass_data(0)
    estimates = fill(MulticlassStatistics(predictions.shape[1], 1), labels, predictions).measured(
        0, WEIGHTS
    )
    for name, estimate in estimates.estimates().items():
        low, high = estimate.interval
        assert low < estimate.value < high, name
        assert high - low < 0.2, name


@settings(max_examples=25)
@given(seeds, st.sampled_from([0.0, 1e6, -3e4]), st.integers(1, 5))
def test_regression_metrics_equal_their_definitions(seed, level, parts):
    random = np.random.default_rng(seed)
    labels = level + random.normal(size=400)
    predictions = (labels + random.normal(0.2, 0.5, 400)).astype(np.float32)
    statistics = RegressionStatistics(1)
    points = fill(statistics, labels, predictions, parts=parts).measured(0, WEIGHTS).points
    errors = predictions.astype(np.float64) - labels
    assert set(points) == set(regression.METRICS)
    assert points == pytest.approx(
        {
            "rmse": np.sqrt((errors**2).mean()),
            "mae": np.abs(errors).mean(),
            "bias": errors.mean(),
            "r2": 1 - (errors**2).sum() / ((labels - labels.mean()) ** 2).sum(),
        },
        rel=1e-6,
    )


def test_r2_of_a_constant_label_is_undefined():
    labels = np.full(30, 0.1)
    statistics = fill(RegressionStatistics(1), labels, labels.astype(np.float32))
    points = statistics.measured(0, WEIGHTS).points
    assert np.isnan(points["r2"])
    assert points["rmse"] < 1e-6


def test_pictures_of_regression_count_every_row():
    random = np.random.default_rng(0)
    labels = random.normal(size=5000)
    predictions = (labels + random.normal(size=5000)).astype(np.float32)
    pictures = RegressionCharts.of(labels, predictions)
    assert pictures.residuals.sum() == pictures.map.sum() == 5000
    assert (np.diff(pictures.residual_edges) > 0).all()
    # Of such predictions about half is signal: the actual value regresses to the mean.
    predicted, actual = np.array(pictures.means).T
    assert np.polyfit(predicted, actual, 1)[0] == pytest.approx(0.5, abs=0.05)


def test_pictures_of_constant_predictions_are_drawn_too():
    labels = np.zeros(10)
    pictures = RegressionCharts.of(labels, np.ones(10, np.float32))
    assert pictures.residuals.sum() == 10
    assert pictures.means == [(1.0, 0.0)]
