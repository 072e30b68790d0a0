"""Whether a model is blessed: thresholds, changes from a baseline, and the trivial model.

Without thresholds a model must beat the trivial model by more than the interval: the lower end of
the 95 % interval of its primary metric must exceed the value of a constant prediction. The primary
metric of classifiers is `auc`, which is 0.5 for every constant prediction, whether the majority
class or the share of positives. Accuracy would not do: with 2 % positives, predicting the majority
class is right in 98 % of the rows, which a model that ranks well may not reach. Nor would the log
loss: balanced class weights change the probabilities, not the ranking. For regression the primary
metric is `r2`, which is 0 for the mean.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.evaluation.metrics import binary, multiclass, regression
from kfp_tabular.components.evaluation.metrics.estimates import Estimate
from kfp_tabular.components.evaluation.options import EvaluationOptions

METRICS: Mapping[TaskKind, tuple[str, ...]] = {
    "binary": (*binary.METRICS, binary.CALIBRATION_ERROR),
    "multiclass": multiclass.METRICS,
    "regression": regression.METRICS,
}
PRIMARY: Mapping[TaskKind, tuple[str, float]] = {
    "binary": ("auc", 0.5),
    "multiclass": ("auc", 0.5),
    "regression": ("r2", 0.0),
}
"""The primary metric, higher is better, and its value for a constant prediction."""

SMALLEST_SLICE = 100


@dataclass(frozen=True)
class Bound:
    """Limits of a metric, or of its change from the baseline.

    Attributes:
        metric: The metric.
        least: The lowest value allowed, or None.
        most: The highest value allowed, or None.
        slicing: Name of the slicing whose slices must each keep the bound; empty for all rows.
        min_rows: Slices with fewer rows are not checked.
    """

    metric: str
    least: float | None
    most: float | None
    slicing: str = ""
    min_rows: int = SMALLEST_SLICE

    def includes(self, value: float) -> bool:
        """Return whether a value is within the bound."""
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    def __str__(self) -> str:
        parts = [
            f"{word} {value:.6g}"
            for word, value in (("at least", self.least), ("at most", self.most))
            if value is not None
        ]
        return " and ".join(parts)


@dataclass(frozen=True)
class Check:
    """One condition and its result.

    Attributes:
        kind: `threshold`, `change`, `trivial` or `baseline`.
        metric: The metric.
        slice: The slice's name; empty for all rows.
        condition: The condition, as text.
        value: The measured value; None if the metric is undefined.
        interval: Its 95 % interval; None if it has none.
        passed: Whether the condition holds.
    """

    kind: str
    metric: str
    slice: str
    condition: str
    value: float | None
    interval: tuple[float, float] | None
    passed: bool

    def __str__(self) -> str:
        what = {"change": f"change of {self.metric}", "baseline": f"change of {self.metric}"}
        where = f" of {self.slice}" if self.slice else ""
        found = "undefined" if self.value is None else f"{self.value:.6g}"
        within = (
            f" (95 % interval {self.interval[0]:.6g} to {self.interval[1]:.6g})"
            if self.interval
            else ""
        )
        verdict = "passed" if self.passed else "failed"
        return (
            f"{what.get(self.kind, self.metric)}{where} is {found}{within}; "
            f"required: {self.condition} ({verdict})."
        )


@dataclass(frozen=True)
class SliceEstimates:
    """The metrics of one slice.

    Attributes:
        slicing: The slicing's name.
        name: The slice's name, such as `company=Flash Cab`.
        rows: Its number of rows.
        metrics: The metrics that are defined.
        changes: Their changes from the baseline; empty without one.
    """

    slicing: str
    name: str
    rows: int
    metrics: Mapping[str, Estimate]
    changes: Mapping[str, Estimate]


@dataclass(frozen=True)
class Bounds:
    """All bounds of an evaluation.

    Attributes:
        thresholds: Bounds on metrics. Without any, the model must beat the trivial model.
        change_thresholds: Bounds on changes from the baseline. Without any, a model must not be
            worse than its baseline by more than the interval, in the primary metric.
    """

    thresholds: tuple[Bound, ...] = ()
    change_thresholds: tuple[Bound, ...] = ()

    @classmethod
    def of(cls, options: EvaluationOptions, kind: TaskKind, slicings: Sequence[str]) -> "Bounds":
        """Read the bounds from the options; see `parse_bounds`."""
        changes = options.change_thresholds
        return cls(
            parse_bounds(options.thresholds, kind, slicings),
            parse_bounds(changes, kind, slicings, argument="change_thresholds"),
        )


def parse_bounds(
    document: Mapping[str, Any],
    kind: TaskKind,
    slicings: Sequence[str],
    *,
    argument: str = "thresholds",
) -> tuple[Bound, ...]:
    """Read a document of bounds.

    Args:
        document: By metric a bound such as `{"min": 0.9}`, or a list of bounds. The keys of a bound
            are `min`, `max` (`min_change`, `max_change` in `change_thresholds`), `slice` (a
            slicing; each of its slices must keep the bound) and `min_rows` (slices with fewer
            rows are not checked; default 100).
        kind: The task.
        slicings: Names of the slicings.
        argument: `thresholds` or `change_thresholds`.

    Raises:
        UserError: For an unknown metric, key or slicing, or a value that is not a number.

    Example:
        >>> (bound,) = parse_bounds({"auc": {"min": 0.9}}, "binary", [])
        >>> str(bound), bound.includes(0.8)
        ('at least 0.9', False)
    """
    ending = "_change" if argument == "change_thresholds" else ""
    bounds = []
    for metric, entries in document.items():
        if metric not in METRICS[kind]:
            raise UserError(
                f"{argument}: {metric!r} is not a metric of a {kind} model; the metrics are: "
                f"{', '.join(METRICS[kind])}.{closest(metric, METRICS[kind])}"
            )
        for entry in entries if isinstance(entries, list) else [entries]:
            bounds.append(_bound(metric, entry, slicings, argument, ending))
    return tuple(bounds)


def judge(
    kind: TaskKind,
    metrics: Mapping[str, Estimate],
    changes: Mapping[str, Estimate] | None,
    slices: Sequence[SliceEstimates],
    bounds: Bounds,
) -> list[Check]:
    """Check each condition; the model is blessed if all hold.

    Args:
        kind: The task.
        metrics: The metrics on all rows.
        changes: Their changes from the baseline; None without one.
        slices: The slices.
        bounds: The bounds.

    Example:
        >>> (check,) = judge("regression", {"r2": Estimate(0.6, (0.5, 0.7))}, None, [], Bounds())
        >>> print(check)
        r2 is 0.6 (95 % interval 0.5 to 0.7); required: better than the mean ... (passed).
    """
    checks = list(_check("threshold", bounds.thresholds, metrics, slices))
    if not checks:
        # No thresholds, or only thresholds for slices none of which could be checked.
        checks.append(_trivial(kind, metrics))
    if changes is not None:
        checks.extend(_check("change", bounds.change_thresholds, changes, slices))
        if not bounds.change_thresholds:
            checks.append(_not_worse(kind, changes))
    return checks


def _bound(metric: str, entry: Any, slicings: Sequence[str], argument: str, ending: str) -> Bound:
    least, most = f"min{ending}", f"max{ending}"
    known = (least, most, "slice", "min_rows")
    where = f"{argument}: {metric!r}"
    if not isinstance(entry, Mapping):
        raise UserError(f'{where}: expected a bound such as {{"{least}": 0.9}}, found {entry!r}.')
    for key in entry:
        if key not in known:
            raise UserError(
                f"{where}: key {key!r} is unknown; known keys: {', '.join(known)}."
                f"{closest(str(key), known)}"
            )
    for key in (least, most, "min_rows"):
        value = entry.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            raise UserError(f"{where}: {key!r} must be a number, found {value!r}.")
    if least not in entry and most not in entry:
        raise UserError(f"{where}: give {least!r}, {most!r} or both.")
    slicing = ",".join(part.strip() for part in str(entry.get("slice", "")).split(","))
    if slicing and metric == binary.CALIBRATION_ERROR:
        raise UserError(f"{where}: this metric is measured on all rows only; leave out 'slice'.")
    if slicing and slicing not in slicings:
        raise UserError(
            f"{where}: {slicing!r} is not among slice_columns.{closest(slicing, slicings)}"
        )
    return Bound(
        metric=metric,
        least=float(entry[least]) if least in entry else None,
        most=float(entry[most]) if most in entry else None,
        slicing=slicing,
        min_rows=int(entry.get("min_rows", SMALLEST_SLICE)),
    )


def _check(
    kind: str,
    bounds: Iterable[Bound],
    overall: Mapping[str, Estimate],
    slices: Sequence[SliceEstimates],
) -> Iterable[Check]:
    for bound in bounds:
        if not bound.slicing:
            yield _judged(kind, bound, "", overall.get(bound.metric))
            continue
        for part in slices:
            if part.slicing != bound.slicing or part.rows < bound.min_rows:
                continue
            estimate = (part.changes if kind == "change" else part.metrics).get(bound.metric)
            # A metric is undefined in a slice whose rows all have one class, for example.
            if estimate is not None:
                yield _judged(kind, bound, part.name, estimate)


def _judged(kind: str, bound: Bound, name: str, estimate: Estimate | None) -> Check:
    return Check(
        kind=kind,
        metric=bound.metric,
        slice=name,
        condition=str(bound),
        value=None if estimate is None else estimate.value,
        interval=None if estimate is None else estimate.interval,
        passed=estimate is not None and bound.includes(estimate.value),
    )


def _trivial(kind: TaskKind, metrics: Mapping[str, Estimate]) -> Check:
    metric, constant = PRIMARY[kind]
    trivial = "the mean" if kind == "regression" else "a constant prediction"
    condition = f"better than {trivial} ({constant:g}) by more than the interval"
    return _by_interval("trivial", metric, condition, metrics, lambda low, _: low > constant)


def _not_worse(kind: TaskKind, changes: Mapping[str, Estimate]) -> Check:
    metric, _ = PRIMARY[kind]
    condition = "not worse than the baseline by more than the interval"
    return _by_interval("baseline", metric, condition, changes, lambda _, high: high >= 0)


def _by_interval(
    kind: str,
    metric: str,
    condition: str,
    estimates: Mapping[str, Estimate],
    holds: Callable[[float, float], bool],
) -> Check:
    estimate = estimates.get(metric)
    interval = None if estimate is None else estimate.interval
    return Check(
        kind=kind,
        metric=metric,
        slice="",
        condition=condition,
        value=None if estimate is None else estimate.value,
        interval=interval,
        passed=interval is not None and holds(*interval),
    )
