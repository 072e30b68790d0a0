"""Early stopping, as Katib's medianstop does it."""

import math

import pytest

from kfp_tabular.components.tuning.options import SearchOptions
from kfp_tabular.components.tuning.search.early_stopping import MedianStop, rule
from kfp_tabular.components.tuning.search.objective import Objective

AUC = Objective("eval_auc", "maximize", "max")
RMSE = Objective("eval_rmse", "minimize", "min")


def test_medianstop_is_the_mean_of_means_of_the_first_reports():
    stop = MedianStop(min_trials_required=2, start_step=2)
    assert stop.threshold([[0.1, 0.3, 0.9]]) is None
    assert stop.threshold([[0.1, 0.3, 0.9], []]) is None
    assert stop.threshold([[0.1, 0.3, 0.9], [0.6]]) == pytest.approx(0.4)
    assert stop.threshold([[0.0], [0.0], [0.9]]) == pytest.approx(0.3), "no median: that is 0"


def test_a_trial_is_judged_once_by_its_best_report_so_far():
    stop = MedianStop(min_trials_required=1, start_step=2)
    assert not stop.stops([0.1], 0.4, AUC), "too early"
    assert stop.stops([0.1, 0.39], 0.4, AUC)
    assert stop.stops([0.1, 0.39, 0.8], 0.4, AUC), "what comes later does not count"
    assert not stop.stops([0.5, 0.1], 0.4, AUC)
    assert not stop.stops([0.4, 0.1], 0.4, AUC), "as good is good enough"
    assert stop.stops([0.5, 0.6], 0.4, RMSE)
    assert not stop.stops([0.5, 0.3], 0.4, RMSE)
    assert stop.stops([math.nan, math.nan], 0.4, AUC)
    assert not stop.stops([0.1, 0.1], None, AUC)


def test_early_stopping_settings():
    assert rule(SearchOptions(early_stopping="none")) is None
    assert rule(SearchOptions(min_trials_required=2, start_step=5)) == MedianStop(2, 5)
