"""Whether a model is blessed: thresholds, changes against a baseline, and the trivial model.

Without thresholds a model must beat the trivial one by more than the interval: the lower end of the
95 % interval of its primary metric lies above what a constant answer reaches. The primary metric of
classifiers is `auc`, which is 0.5 for every constant answer, be it the majority class or the share
of positives. Accuracy would not do: with 2 % positives the majority class is right in 98 % of the
rows, and a model that ranks well is not. Nor would the log loss: balanced class weights move the
probabilities, not the ranking. Of regression it is `r2`, 0 for the mean.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.evaluation.metrics import binary, multiclass, regression
from kfp_tabular.components.evaluation.metrics.estimates import Estimate

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
"""The primary metric, higher is better, and what a constant answer reaches."""

SMALLEST_SLICE = 100


@dataclass(frozen=True)
class Bound:
    """What a metric, or its change against the baseline, must keep to.

    Attributes:
        metric: The metric.
        least: The lowest value allowed, or None.
        most: The highest value allowed, or None.
        slicing: Where the bound holds for each slice of a slicing, its name; else empty.
        min_rows: Slices with fewer rows are not judged.
    """

    metric: str
    least: float | None
    most: float | None
    slicing: str = ""
    min_rows: int = SMALLEST_SLICE

    def keeps(self, value: float) -> bool:
        """Whether a value is within the bound."""
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
    """One condition and how it came out.

    Attributes:
        kind: `threshold`, `change`, `trivial` or `baseline`.
        metric: The metric.
        slice: The slice's name; empty for all rows.
        condition: What was asked, as text.
        value: What was measured; None where the metric is undefined.
        interval: Its 95 % interval, where there is one.
        passed: How it came out.
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
        verdict = "holds" if self.passed else "does not hold"
        return (
            f"{what.get(self.kind, self.metric)}{where} is {found}{within}: "
            f"{self.condition} {verdict}."
        )


@dataclass(frozen=True)
class SliceEstimates:
    """What was measured of one slice.

    Attributes:
        slicing: The slicing's name.
        name: The slice's own name, such as `company=Flash Cab`.
        rows: Its rows.
        metrics: The metrics that are defined.
        changes: Their changes against the baseline; empty where there is none.
    """

    slicing: str
    name: str
    rows: int
    metrics: Mapping[str, Estimate]
    changes: Mapping[str, Estimate]


def parse(
    document: Mapping[str, Any],
    kind: TaskKind,
    slicings: Sequence[str],
    *,
    argument: str = "thresholds",
) -> tuple[Bound, ...]:
    """Reads a thresholds document.

    Args:
        document: By metric a bound such as `{"min": 0.9}`, or a list of them. Its keys are `min`,
            `max` (`min_change`, `max_change` in `change_thresholds`), `slice` (a slicing; the
            bound then holds for each of its slices) and `min_rows` (slices with fewer rows are
            not judged; 100).
        kind: The task.
        slicings: The names of the slicings.
        argument: `thresholds` or `change_thresholds`.

    Raises:
        UserError: For an unknown metric, key or slicing, or a value that is no number.
    """
    ending = "_change" if argument == "change_thresholds" else ""
    bounds = []
    for metric, entries in document.items():
        if metric not in METRICS[kind]:
            raise UserError(
                f"{argument}: {metric!r} is no metric of a {kind} model; these are: "
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
    thresholds: Sequence[Bound],
    change_thresholds: Sequence[Bound],
) -> list[Check]:
    """Checks every condition; the model is blessed where all hold.

    Args:
        kind: The task.
        metrics: The metrics on all rows.
        changes: Their changes against the baseline; None where there is no baseline.
        slices: The slices.
        thresholds: Absolute bounds. Without any, the model must beat the trivial one.
        change_thresholds: Bounds on changes. Without any, a model with a baseline must not be
            worse than it by more than the interval, in the primary metric.
    """
    checks = list(_check("threshold", thresholds, metrics, slices))
    if not checks:
        # No thresholds, or only ones for slices of which none could be judged.
        checks.append(_trivial(kind, metrics))
    if changes is not None:
        checks.extend(_check("change", change_thresholds, changes, slices))
        if not change_thresholds:
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
                f"{where}: key {key!r} is unknown; these are known: {', '.join(known)}."
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
            # A slice with rows of one class only has no area to judge.
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
        passed=estimate is not None and bound.keeps(estimate.value),
    )


def _trivial(kind: TaskKind, metrics: Mapping[str, Estimate]) -> Check:
    metric, constant = PRIMARY[kind]
    trivial = "the mean" if kind == "regression" else "a constant answer"
    estimate = metrics.get(metric)
    interval = None if estimate is None else estimate.interval
    return Check(
        kind="trivial",
        metric=metric,
        slice="",
        condition=f"better than {trivial} ({constant:g}) by more than the interval",
        value=None if estimate is None else estimate.value,
        interval=interval,
        passed=interval is not None and interval[0] > constant,
    )


def _not_worse(kind: TaskKind, changes: Mapping[str, Estimate]) -> Check:
    metric, _ = PRIMARY[kind]
    estimate = changes.get(metric)
    interval = None if estimate is None else estimate.interval
    return Check(
        kind="baseline",
        metric=metric,
        slice="",
        condition="not worse than the baseline by more than the interval",
        value=None if estimate is None else estimate.value,
        interval=interval,
        passed=interval is not None and interval[1] >= 0,
    )
