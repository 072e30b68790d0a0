"""The decisions of a search that need no trial: objective, early stopping, algorithms."""

import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.tuning import limits
from kfp_tabular.components.tuning.local import samplers, trial_scheduler
from kfp_tabular.components.tuning.search import objective, search_space, trials
from kfp_tabular.components.tuning.search.algorithm_settings import NOT_OFFERED
from kfp_tabular.components.tuning.search.early_stopping import MedianStop, rule
from kfp_tabular.components.tuning.search.objective import Objective
from kfp_tabular.components.tuning.search.trials import Trial

AUC = Objective("eval_auc", "maximize", "max")
RMSE = Objective("eval_rmse", "minimize", "min")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("binary",), AUC),
        (("multiclass",), Objective("eval_log_loss", "minimize", "min")),
        (("regression",), RMSE),
        (("regression", "eval_r2"), Objective("eval_r2", "maximize", "max")),
        (("binary", "train_loss", "", "latest"), Objective("train_loss", "minimize", "latest")),
        (("binary", "gain", "maximize"), Objective("gain", "maximize", "max")),
    ],
)
def test_the_objective_is_completed(arguments, expected):
    assert objective.resolve(*arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("binary", "eval_acuracy"), "Did you mean .*'accuracy'"),
        (("binary", "gain"), "Set objective_goal"),
        (("binary", "gain", "maximise"), "Did you mean 'maximize'"),
        (("binary", "", "", "best"), "expected max, min or latest"),
        (("binary", "eval auc"), "no metric's name"),
    ],
)
def test_an_objective_that_is_not_clear(arguments, message):
    with pytest.raises(UserError, match=message):
        objective.resolve(*arguments)


def test_reports_are_found_among_other_text():
    text = (
        "2026-01-01T00:00:00Z epoch=1 loss=0.5 eval_auc=0.75\n"
        "the checkpoint of eval_auc=0.1x is at a=b\n"
        "epoch=2, not_eval_auc=0.9, eval_auc=nan, eval_auc_2=3\n"
        "eval_auc = 8e-1\n"
    )
    found = objective.reports(text, "eval_auc")
    assert found[0] == 0.75
    assert math.isnan(found[1])
    assert found[2:] == [0.8]


@pytest.mark.parametrize(
    ("strategy", "reports", "expected"),
    [
        ("max", [0.1, 0.9, 0.5], 0.9),
        ("min", [0.1, 0.9, 0.5], 0.1),
        ("latest", [0.1, 0.9, 0.5], 0.5),
        ("max", [0.1, math.nan], 0.1),
        ("latest", [0.1, math.inf], None),
        ("max", [math.nan], None),
        ("max", [], None),
    ],
)
def test_the_strategy_picks_the_report(strategy, reports, expected):
    assert Objective("m", "maximize", strategy).value(reports) == expected


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
    assert rule("none", 3, 4) is None
    assert rule("medianstop", 2, 5) == MedianStop(2, 5)
    with pytest.raises(UserError, match="min_trials_required: must be at least 1, found 0"):
        rule("medianstop", 0, 4)


SPACE = search_space.parse(
    [
        {
            "name": "dropout",
            "parameterType": "double",
            "feasibleSpace": {"min": "0", "max": "0.3", "step": "0.1"},
        },
        {
            "name": "hidden_units",
            "parameterType": "categorical",
            "feasibleSpace": {"list": ["64", "32", "16"]},
        },
    ]
)


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_a_grid_visits_each_point_once(seed):
    points = [tuple(point.items()) for point in samplers.grid(SPACE, seed)]
    assert len(points) == len(set(points)) == samplers.grid_size(SPACE) == 12


def test_algorithm_settings_are_katibs():
    parsed = samplers.parse("tpe", {"n_startup_trials": "5", "n_EI_candidates": 12.0}, SPACE)
    assert parsed.settings == {"n_startup_trials": "5", "n_EI_candidates": "12"}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("tpe", {"gamma": "0.3", "prior_weight": 2, "n_EI_candidates": 8, "n_startup_trials": 2}),
        ("multivariate-tpe", {"n_startup_trials": 2, "n_ei_candidates": 8}),
        ("cmaes", {"sigma": 0.2, "restart_strategy": "none"}),
    ],
)
def test_every_setting_reaches_the_sampler(name, settings):
    import optuna

    space = {"x": optuna.distributions.FloatDistribution(0, 1), "y": None}
    space["y"] = space["x"]
    numbers = search_space.parse(
        [
            {
                "name": name,
                "parameterType": "double",
                "feasibleSpace": {"min": "0", "max": "1"},
            }
            for name in ("dropout", "l2")
        ]
    )
    sampler = samplers.parse(name, settings, numbers).sampler(seed=1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler)
    for _ in range(6):
        asked = study.ask(space)
        study.tell(asked.number, asked.params["x"] - asked.params["y"])
    other = samplers.parse(name, {}, numbers).sampler(seed=1)
    plain = optuna.create_study(sampler=other)
    for _ in range(6):
        asked = plain.ask(space)
        plain.tell(asked.number, asked.params["x"] - asked.params["y"])
    assert [t.params for t in study.trials] != [t.params for t in plain.trials]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        *((name, {}, "needs backend katib; backend local has") for name in samplers.KATIB_ONLY),
        *((name, {}, "is not offered: it") for name in NOT_OFFERED),
        ("tpe", {"gamma": 1}, "a number above 0 and below 1, found 1"),
        ("cmaes", {"restart_strategy": "ipop"}, "one of none, found 'ipop'"),
        ("cmaes", {}, r"search_space \(hidden_units\): cmaes searches numbers only"),
        ("tpe", {"random_state": 3}, "is the component's argument 'seed'"),
        ("tpe", {"sigma": 3}, "tpe has no setting 'sigma'"),
        ("random", {"sigma": 3}, "It has none"),
        ("tpe", {"n_startup_trials": "many"}, "a whole number of at least 0, found 'many'"),
        ("tpe", {"n_startup_trials": 1.5}, "a whole number of at least 0, found 1.5"),
        ("tpe", {"n_startup_trials": -1}, "at least 0"),
        ("tpe", {"n_startup_trials": float("nan")}, "at least 0"),
        ("tpe", {"n_startup_trials": True}, "at least 0"),
    ],
)
def test_an_algorithm_that_does_not_fit(name, settings, message):
    with pytest.raises(UserError, match=message):
        samplers.parse(name, settings, SPACE)


def test_limits_of_grid_and_cmaes():
    rate = {
        "name": "l2",
        "parameterType": "double",
        "feasibleSpace": {"min": "0", "max": "1"},
    }
    with pytest.raises(UserError, match=r"\(l2\): the grid algorithm needs a step"):
        samplers.parse("grid", {}, search_space.parse([rate]))
    rate["feasibleSpace"]["step"] = "0.000001"
    with pytest.raises(UserError, match="1,000,001 points is beyond the limit"):
        samplers.parse("grid", {}, search_space.parse([rate]))
    with pytest.raises(UserError, match="at least two"):
        samplers.parse("cmaes", {}, search_space.parse([rate]))


def test_a_failure_names_trials_and_reasons_together():
    crashed = Trial(1, {}, "failed", message="signal 9: out of memory")
    refused = Trial(2, {}, "failed", message="exit code 2: no such split")
    also = Trial(3, {}, "failed", message="exit code 2: no such split")
    error = trials.failure([crashed, refused, also], "no trial succeeded")
    assert isinstance(error, RuntimeError)
    assert str(error) == (
        "tuning: no trial succeeded. trial 1: signal 9: out of memory; "
        "trials 2, 3: exit code 2: no such split"
    )
    assert isinstance(trials.failure([refused, also], "no trial succeeded"), UserError)


def test_trials_share_the_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    inherited = {"PATH": "/bin", "TF_CONFIG": "{}", "OMP_NUM_THREADS": "3"}
    alone = trial_scheduler.environment(inherited, parallel=1)
    assert "TF_CONFIG" not in alone
    assert "TF_NUM_INTRAOP_THREADS" not in alone
    assert alone["TF_USE_LEGACY_KERAS"] == "1"
    shared = trial_scheduler.environment(inherited, parallel=4)
    assert shared["TF_NUM_INTRAOP_THREADS"] == "2"
    assert shared["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-1, 1, 0), "max_trials: must be at least 0"),
        ((1, 0, 0), "parallel_trials: must be at least 1"),
        ((1, 1, -1), "max_failed_trials: must be at least 0"),
    ],
)
def test_limits(values, message):
    with pytest.raises(UserError, match=message):
        limits.Limits(*values).check()


def test_a_task_starts_trials_as_it_was_started(monkeypatch, tmp_path):
    python = tmp_path / "python3"
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("_KFP_RUNTIME", raising=False)
    assert trial_scheduler.worker()[0] == sys.executable
    monkeypatch.setenv("_KFP_RUNTIME", "true")
    assert trial_scheduler.worker()[0] == str(python)
