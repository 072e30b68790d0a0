"""The objective: defaults, and which report of a trial counts."""

import math

import pytest

from kfp_tabular.components.common import options as common_options
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.tuning.options import SearchOptions
from kfp_tabular.components.tuning.search import objective
from kfp_tabular.components.tuning.search.objective import Objective

AUC = Objective("eval_auc", "maximize", "max")
RMSE = Objective("eval_rmse", "minimize", "min")


def asked(metric: str, goal: str, strategy: str) -> SearchOptions:
    return SearchOptions(objective_metric=metric, objective_goal=goal, objective_strategy=strategy)


@pytest.mark.parametrize(
    ("task", "metric", "goal", "strategy", "expected"),
    [
        ("binary", "", "", "", AUC),
        ("multiclass", "", "", "", Objective("eval_log_loss", "minimize", "min")),
        ("regression", "", "", "", RMSE),
        ("regression", "eval_r2", "", "", Objective("eval_r2", "maximize", "max")),
        ("binary", "train_loss", "", "latest", Objective("train_loss", "minimize", "latest")),
        ("binary", "gain", "maximize", "", Objective("gain", "maximize", "max")),
    ],
)
def test_the_objective_is_completed(task, metric, goal, strategy, expected):
    assert objective.resolve(task, asked(metric, goal, strategy)) == expected


@pytest.mark.parametrize(
    ("metric", "goal", "strategy", "message"),
    [
        ("eval_acuracy", "", "", "Did you mean .*'accuracy'"),
        ("gain", "", "", "Set objective_goal"),
        ("gain", "maximise", "", "expected maximize or minimize.*Did you mean 'maximize'"),
        ("", "", "best", "expected max, min or latest"),
        ("eval auc", "", "", "not a valid metric name"),
    ],
)
def test_an_objective_that_is_not_clear(metric, goal, strategy, message):
    options = asked(metric, goal, strategy)

    with pytest.raises(UserError, match=message):
        common_options.check(options)
        objective.resolve("binary", options)


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
