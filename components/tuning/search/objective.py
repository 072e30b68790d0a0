"""What a search optimizes: one metric, its goal, and which report of a trial counts."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.tuning.options import STRATEGIES, SearchOptions

Goal = Literal["maximize", "minimize"]
Strategy = Literal["max", "min", "latest"]

DEFAULT_METRICS: dict[TaskKind, str] = {
    "binary": "eval_auc",
    "multiclass": "eval_log_loss",
    "regression": "eval_rmse",
}
"""The objective's metric by kind of task, if none is given."""

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
        strategy: Which report of a trial is its value: the largest (`max`), the smallest (`min`)
            or the last one (`latest`).

    Example:
        >>> auc = Objective("eval_auc", "maximize", "max")
        >>> auc.value([0.7, 0.9, 0.8]), auc.is_better(0.9, than=0.8)
        (0.9, True)
    """

    metric: str
    goal: Goal
    strategy: Strategy

    def is_better(self, value: float, than: float) -> bool:
        """Return whether a value is strictly better than another."""
        return value > than if self.goal == "maximize" else value < than

    def best(self, values: Iterable[float]) -> float:
        """Return the best of at least one value."""
        return max(values) if self.goal == "maximize" else min(values)

    def value(self, reports: Sequence[float]) -> float | None:
        """Return a trial's value by the strategy, as `counted` does.

        Args:
            reports: All values that the trial reported, in order.
        """
        return counted(reports, self.strategy)

    def is_reached(self, value: float, target: float) -> bool:
        """Return whether a value is at least as good as a target."""
        return not self.is_better(target, than=value)


def counted(reports: Sequence[float], strategy: Strategy) -> float | None:
    """Return the report that counts.

    Args:
        reports: All values that a trial reported of a metric, in order.
        strategy: `max`, `min` or `latest`.

    Returns:
        The value; None if there is no finite report, or if the last one counts and is not finite.

    Example:
        >>> counted([0.5, float("nan"), 0.4], "min")
        0.4
        >>> counted([0.5, float("nan")], "latest") is None
        True
    """
    finite = [report for report in reports if math.isfinite(report)]
    if not finite or (strategy == "latest" and not math.isfinite(reports[-1])):
        return None
    if strategy == "latest":
        return finite[-1]
    return max(finite) if strategy == "max" else min(finite)


def resolve(task: TaskKind, options: SearchOptions) -> Objective:
    """Return the objective of a search, with defaults filled in.

    Args:
        task: The kind of task, which decides the default metric.
        options: The search's options, checked.

    Raises:
        UserError: If a goal is needed for an unknown metric, or the metric's name is not valid.

    Example:
        >>> resolve("regression", SearchOptions())
        Objective(metric='eval_rmse', goal='minimize', strategy='min')
    """
    metric = options.objective_metric or DEFAULT_METRICS[task]
    _check_name("objective_metric", metric)
    goal = options.objective_goal or known_goal(metric)
    if not goal:
        raise UserError(
            f"objective_metric: the goal of {metric!r} is not known."
            f"{closest(metric, [*DEFAULT_METRICS.values(), *_GOALS])} Set objective_goal to "
            "maximize or minimize."
        )
    best_report = "max" if goal == "maximize" else "min"
    return Objective(
        metric=metric,
        goal=cast(Goal, goal),
        strategy=cast(Strategy, options.objective_strategy or best_report),
    )


def known_goal(metric: str) -> Goal | None:
    """Return the goal that follows from a metric's name; None for an unknown metric.

    Example:
        >>> known_goal("eval_log_loss"), known_goal("eval_profit")
        ('minimize', None)
    """
    for prefix in _SPLIT_PREFIXES:
        metric = metric.removeprefix(prefix)
    return _GOALS.get(metric)


def additional(objective: Objective, strategies: Mapping[str, str]) -> dict[str, Strategy]:
    """Return the metrics to collect besides the objective, with defaults filled in.

    Args:
        objective: The objective.
        strategies: By metric, which report counts; empty for the best one if the metric's goal is
            known, else the last one.

    Raises:
        UserError: For a metric's name that is not valid, the objective itself, or an unknown
            strategy.

    Example:
        >>> additional(Objective("eval_auc", "maximize", "max"), {"eval_log_loss": ""})
        {'eval_log_loss': 'min'}
    """
    completed: dict[str, Strategy] = {}
    for metric, strategy in strategies.items():
        if metric == objective.metric:
            raise UserError(f"additional_metrics: {metric!r} is already the objective.")
        _check_name("additional_metrics", metric)
        if strategy and strategy not in STRATEGIES:
            raise UserError(
                f"additional_metrics: expected max, min or latest for {metric}, found "
                f"{strategy!r}.{closest(strategy, STRATEGIES)}"
            )
        goal = known_goal(metric)
        default = "latest" if goal is None else "max" if goal == "maximize" else "min"
        completed[metric] = cast(Strategy, strategy or default)
    return completed


def reports(text: str, metric: str) -> list[float]:
    """Return the values of a metric in Katib's text format.

    Args:
        text: Complete lines with `name=value` pairs, possibly among other text.
        metric: The metric's name.

    Returns:
        The values in order, including those that are not finite.

    Example:
        >>> reports("epoch=1 eval_auc=0.75", "eval_auc")
        [0.75]
    """
    found = []
    for name, value in _METRIC.findall(text):
        if name == metric:
            try:
                found.append(float(value))
            except ValueError:
                # Something else with this name, such as a path.
                continue
    return found


def _check_name(option: str, metric: str) -> None:
    if not re.fullmatch(r"[\w|-]+", metric, re.ASCII):
        raise UserError(
            f"{option}: {metric!r} is not a valid metric name; use letters, digits, '_' and '-', "
            "such as eval_auc."
        )
