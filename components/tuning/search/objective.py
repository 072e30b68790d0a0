"""What a trial is judged by: one metric, its goal, and which of its reports counts."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError, closest

Goal = Literal["maximize", "minimize"]
Strategy = Literal["max", "min", "latest"]

DEFAULT_METRICS: dict[TaskKind, str] = {
    "binary": "eval_auc",
    "multiclass": "eval_log_loss",
    "regression": "eval_rmse",
}
"""The objective of each task, where none is given."""

_GOALS: dict[str, Goal] = {
    **dict.fromkeys(("auc", "pr_auc", "accuracy", "precision", "recall", "f1", "r2"), "maximize"),
    **dict.fromkeys(("loss", "log_loss", "rmse", "mse", "mae"), "minimize"),
}
_SPLIT_PREFIXES = ("eval_", "train_")

_METRIC = re.compile(r"(?<![^\s,;])([\w|-]+)\s*=\s*([^\s,;]+)")


@dataclass(frozen=True)
class Objective:
    """The objective of a search, in Katib's terms.

    Attributes:
        metric: The name under which trials report it.
        goal: `maximize` or `minimize`.
        strategy: Which report of a trial counts as its value: the largest (`max`), the smallest
            (`min`) or the last (`latest`).
    """

    metric: str
    goal: Goal
    strategy: Strategy

    def better(self, value: float, than: float) -> bool:
        """Tells whether a value is strictly better than another."""
        return value > than if self.goal == "maximize" else value < than

    def best(self, values: Iterable[float]) -> float:
        """Gives the best of at least one value."""
        return max(values) if self.goal == "maximize" else min(values)

    def value(self, reports: Sequence[float]) -> float | None:
        """Gives a trial's value by the strategy.

        Args:
            reports: Every value that the trial reported, in order.

        Returns:
            The value; None where there is no finite report, or where the last counts and is not
            finite.
        """
        return counted(reports, self.strategy)

    def reached(self, value: float, target: float) -> bool:
        """Tells whether a value is as good as a target."""
        return not self.better(target, than=value)


def counted(reports: Sequence[float], strategy: Strategy) -> float | None:
    """Gives the report that counts.

    Args:
        reports: Every value that a trial reported of a metric, in order.
        strategy: `max`, `min` or `latest`.

    Returns:
        The value; None where there is no finite report, or where the last counts and is not
        finite.
    """
    finite = [report for report in reports if math.isfinite(report)]
    if not finite or (strategy == "latest" and not math.isfinite(reports[-1])):
        return None
    if strategy == "latest":
        return finite[-1]
    return max(finite) if strategy == "max" else min(finite)


def resolve(task: TaskKind, metric: str = "", goal: str = "", strategy: str = "") -> Objective:
    """Completes what was asked for to an objective.

    Args:
        task: The kind of task, which the default metric follows from.
        metric: The metric's name; empty for the task's default.
        goal: `maximize` or `minimize`; empty where it follows from the metric's name.
        strategy: `max`, `min` or `latest`; empty for the best report, Katib's default.

    Raises:
        UserError: Where the goal of an unknown metric is not given, or a value is unknown.
    """
    metric = metric or DEFAULT_METRICS[task]
    _check_name("objective_metric", metric)
    if goal and goal not in get_args(Goal):
        raise UserError(
            f"objective_goal: expected maximize or minimize, found {goal!r}."
            + closest(goal, get_args(Goal))
        )
    if not goal:
        base = _base(metric)
        if base not in _GOALS:
            raise UserError(
                f"objective_metric: {metric!r} is not a metric whose goal is known."
                f"{closest(metric, [*DEFAULT_METRICS.values(), *_GOALS])} Set objective_goal to "
                "maximize or minimize."
            )
        goal = _GOALS[base]
    if strategy and strategy not in get_args(Strategy):
        raise UserError(
            f"objective_strategy: expected max, min or latest, found {strategy!r}."
            + closest(strategy, get_args(Strategy))
        )
    best_report = "max" if goal == "maximize" else "min"
    return Objective(
        metric=metric, goal=cast(Goal, goal), strategy=cast(Strategy, strategy or best_report)
    )


def target(text: str) -> float | None:
    """Reads the value at which a search ends.

    Args:
        text: A number; empty for none.

    Raises:
        UserError: For anything else.
    """
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"objective_target: expected a number or nothing, found {text!r}.")
    return number


def additional(objective: Objective, strategies: Mapping[str, str]) -> dict[str, Strategy]:
    """Completes the metrics that are collected beside the objective.

    Args:
        objective: The objective.
        strategies: By metric, which report counts; empty for the best one where the metric's goal
            is known, else for the last.

    Raises:
        UserError: For what is no metric's name, the objective itself, or an unknown strategy.
    """
    completed: dict[str, Strategy] = {}
    for metric, strategy in strategies.items():
        if metric == objective.metric:
            raise UserError(f"additional_metrics: {metric!r} is the objective already.")
        _check_name("additional_metrics", metric)
        if strategy and strategy not in get_args(Strategy):
            raise UserError(
                f"additional_metrics: expected max, min or latest for {metric}, found "
                f"{strategy!r}.{closest(strategy, get_args(Strategy))}"
            )
        goal = _GOALS.get(_base(metric))
        default = "latest" if goal is None else "max" if goal == "maximize" else "min"
        completed[metric] = cast(Strategy, strategy or default)
    return completed


def reports(text: str, metric: str) -> list[float]:
    """Finds the values of a metric in Katib's text format.

    Args:
        text: Complete lines with `name=value` pairs, among whatever else.
        metric: The metric's name.

    Returns:
        The values in order, those that are not finite among them.
    """
    found = []
    for name, value in _METRIC.findall(text):
        if name == metric:
            try:
                found.append(float(value))
            except ValueError:
                # Something else of that name, such as a path.
                continue
    return found


def _check_name(where: str, metric: str) -> None:
    if not re.fullmatch(r"[\w|-]+", metric, re.ASCII):
        raise UserError(
            f"{where}: {metric!r} is no metric's name; names are letters, digits, '_' and '-', "
            "such as eval_auc."
        )


def _base(metric: str) -> str:
    for prefix in _SPLIT_PREFIXES:
        metric = metric.removeprefix(prefix)
    return metric
