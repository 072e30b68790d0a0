"""Metrics of predictions against their definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.training.model import prediction_metrics


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])),
        min_size=1,
        max_size=40,
    )
)
def test_auc_is_the_share_of_pairs_in_order(rows):
    positive = np.array([row[0] for row in rows])
    score = np.array([row[1] for row in rows])
    pairs = [(p > n) + 0.5 * (p == n) for p in score[positive] for n in score[~positive]]
    if pairs:
        assert prediction_metrics.auc(positive, score) == pytest.approx(np.mean(pairs))
    else:
        assert math.isnan(prediction_metrics.auc(positive, score))


def test_metrics_of_known_predictions():
    both = prediction_metrics.score("binary", np.array([0, 1]), np.array([[0.8, 0.2], [0.4, 0.6]]))
    expected = -(math.log(0.8) + math.log(0.6)) / 2
    assert both == pytest.approx({"auc": 1.0, "log_loss": expected, "accuracy": 1.0})
    three = prediction_metrics.score(
        "multiclass", np.array([2, 0]), np.array([[0.1, 0.2, 0.7], [0.3, 0.5, 0.2]])
    )
    expected = -(math.log(0.7) + math.log(0.3)) / 2
    assert three == pytest.approx({"log_loss": expected, "accuracy": 0.5})
    line = prediction_metrics.score("regression", np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    assert line == pytest.approx({"rmse": math.sqrt(0.5), "mae": 0.5, "r2": 0.5})
    sure = prediction_metrics.score("binary", np.array([0]), np.array([[0.0, 1.0]]))
    assert math.isfinite(sure["log_loss"])
