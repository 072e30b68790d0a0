"""Whether a model is blessed: thresholds, changes from a baseline, and the trivial model.

Without thresholds a model must be worth something, in two respects.

It must predict meaningfully better than the trivial model in the proper score of its task. For
classifiers this is the skill in the log loss (see `metrics.skill`): the share of the loss of always
answering the shares of the classes that the model saves, with intercepts fitted to the evaluated
rows, since balanced class weights shift them. For regression it is `r2`, the same share of the
squared error of always answering the mean. The lower end of the 95% interval must exceed 0, so
that chance alone does not bless, and the value must be at least `LEAST_SKILL`, so that millions of
rows do not bless what is of no use: 0.01 is Cohen's smallest effect (r = 0.1, "Statistical Power
Analysis for the Behavioral Sciences", 1988, 3.2). Ranking alone would not do: an AUC above 0.5 says
nothing of the probabilities, which are what the endpoint answers. Accuracy would not do either:
with 2% positives, answering always "no" is right in 98% of the rows.

And it must answer every class: a class of which it finds no row (recall 0) is not served, whatever
the score. `accept` names classes of which that is known and wanted. Only classes with at least
`LEAST_CLASS_ROWS` evaluated rows are judged: with 5 rows of which none was found, the recall is
below one half with 95% confidence (1 - 0.05 ** (1 / 5) = 0.45), with fewer it may well be higher.
A rare class of a binary model is the exception: a useful ranking may lie entirely below the
decision threshold, which is a parameter and no defect of the model. It is rare below a share of
`RARE_SHARE`. The skill decides then, and a finding warns and names the threshold that would help.
Two classes need that many rows each, or nothing can be said.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.evaluation import claims, fairness, slices
from kfp_tabular.components.evaluation.claims import Claim
from kfp_tabular.components.evaluation.comparison.differences import Difference
from kfp_tabular.components.evaluation.conditions import Check, SliceEstimates
from kfp_tabular.components.evaluation.fairness import GapBound
from kfp_tabular.components.evaluation.metrics import binary, multiclass, regression
from kfp_tabular.components.evaluation.metrics.estimates import Estimate
from kfp_tabular.components.evaluation.options import HOLM, EvaluationOptions

METRICS: Mapping[TaskKind, tuple[str, ...]] = {
    "binary": (*binary.METRICS, binary.CALIBRATION_ERROR),
    "multiclass": multiclass.METRICS,
    "regression": regression.METRICS,
}
PRIMARY: Mapping[TaskKind, str] = {"binary": "auc", "multiclass": "auc", "regression": "r2"}
"""The metric in which a model is compared with its baseline; higher is better."""

SKILL = "log_loss_skill"
"""The name of the classifiers' skill in checks."""

LEAST_SKILL = 0.01
"""The smallest improvement over the trivial model that is of any use."""

LEAST_CLASS_ROWS = 5
"""A class with fewer evaluated rows is not judged."""

RARE_SHARE = 0.2
"""Below it, data are moderately or extremely imbalanced (Google, "Machine Learning Crash Course:
Imbalanced datasets")."""

NO_RECALL = "no-recall"
"""In `accept`: no class needs to be answered."""

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
class Quality:
    """What the default blessing asks for.

    Attributes:
        skill: The improvement over the trivial model; None if it is undefined.
        class_rows: The evaluated rows of each class; empty for regression.
        found_rows: Those that the model answered with their class.
    """

    skill: Estimate | None
    class_rows: Mapping[str, int] = field(default_factory=dict)
    found_rows: Mapping[str, int] = field(default_factory=dict)

    def never_found(self) -> list[str]:
        """Return the classes with enough rows of which the model found none."""
        return [
            name
            for name, rows in self.class_rows.items()
            if rows >= LEAST_CLASS_ROWS and not self.found_rows[name]
        ]

    def below_threshold(self) -> list[str]:
        """Return the rare class of a binary model if no probability reaches its threshold."""
        most = RARE_SHARE * sum(self.class_rows.values())
        if len(self.class_rows) > len(("negative", "positive")):
            return []
        return [name for name in self.never_found() if self.class_rows[name] < most]

    def rare(self) -> list[str]:
        """Return the classes with too few rows to be judged."""
        return [name for name, rows in self.class_rows.items() if rows < LEAST_CLASS_ROWS]


@dataclass(frozen=True)
class Bounds:
    """All bounds of an evaluation.

    Attributes:
        thresholds: Bounds on metrics. Without any, the model must beat the trivial model and answer
            every class.
        change_thresholds: Bounds on changes from the baseline. Without any, a model must not be
            worse than its baseline by more than the interval, in the primary metric.
        claims: Tests of changes from the baseline.
        correction: How the p-values of several slices are adjusted.
        fairness_columns: The slicings whose slices are groups.
        gaps: Bounds on gaps between groups.
        accepted: The classes that need not be answered; `no-recall` for all.
    """

    thresholds: tuple[Bound, ...] = ()
    change_thresholds: tuple[Bound, ...] = ()
    claims: tuple[Claim, ...] = ()
    correction: str = HOLM
    fairness_columns: tuple[str, ...] = ()
    gaps: tuple[GapBound, ...] = ()
    accepted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, options: EvaluationOptions, kind: TaskKind, slicings: Sequence[str]) -> "Bounds":
        """Read the bounds from the options; see `parse_bounds`."""
        changes = options.change_thresholds
        groups = slices.names(options.fairness_columns)
        return cls(
            parse_bounds(options.thresholds, kind, slicings),
            parse_bounds(changes, kind, slicings, argument="change_thresholds"),
            parse_claims(changes, kind, slicings),
            options.slice_correction,
            tuple(groups),
            fairness.parse_bounds(options.fairness_thresholds, groups, kind),
            frozenset(options.accept),
        )

    @property
    def judge_changes(self) -> bool:
        """Whether changes from the baseline have conditions of their own."""
        return bool(self.change_thresholds or self.claims)


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
    is_change = argument == "change_thresholds"
    ending = "_change" if is_change else ""
    bounds = []
    for metric, entry in _entries(document, kind, argument):
        if not (is_change and _only_claims(entry)):
            bounds.append(_bound(metric, entry, slicings, argument, ending))
    # KFP passes documents with their keys in any order.
    return tuple(sorted(bounds, key=lambda bound: METRICS[kind].index(bound.metric)))


def parse_claims(
    document: Mapping[str, Any], kind: TaskKind, slicings: Sequence[str]
) -> tuple[Claim, ...]:
    """Read the tests among `change_thresholds`.

    Args:
        document: As for `parse_bounds`; the keys of tests are those of `claims.KINDS`, and their
            values are margins.
        kind: The task.
        slicings: Names of the slicings.

    Raises:
        UserError: As `parse_bounds`, for a margin below 0, and for a metric without a test.

    Example:
        >>> (claim,) = parse_claims({"auc": {"non_inferior": 0.005}}, "binary", [])
        >>> str(claim)
        'not worse by more than 0.005, shown at 2.5%'
    """
    argument = "change_thresholds"
    found = []
    for metric, entry in _entries(document, kind, argument):
        for name in claims.KINDS:
            if not isinstance(entry, Mapping) or name not in entry:
                continue
            where = f"{argument}: {metric!r}"
            if metric in claims.WITHOUT_TEST:
                raise UserError(f"{where}: there is no test of this metric; leave out {name!r}.")
            margin = _number(entry, name, where)
            if margin < 0:
                raise UserError(f"{where}: {name!r} is a margin from 0, found {margin:g}.")
            slicing = _slicing(metric, entry, slicings, where)
            rows = int(_number(entry, "min_rows", where, SMALLEST_SLICE))
            found.append(Claim(metric, name, margin, slicing, rows))
    return tuple(sorted(found, key=lambda claim: METRICS[kind].index(claim.metric)))


def _entries(
    document: Mapping[str, Any], kind: TaskKind, argument: str
) -> Iterable[tuple[str, Any]]:
    for metric, entries in document.items():
        if metric not in METRICS[kind]:
            raise UserError(
                f"{argument}: {metric!r} is not a metric of a {kind} model; the metrics are: "
                f"{', '.join(METRICS[kind])}.{closest(metric, METRICS[kind])}"
            )
        for entry in entries if isinstance(entries, list) else [entries]:
            yield metric, entry


def _only_claims(entry: Any) -> bool:
    """Return whether an entry of `change_thresholds` has tests, but no bound."""
    if not isinstance(entry, Mapping):
        return False
    return bool(entry.keys() & set(claims.KINDS)) and not entry.keys() - {
        *claims.KINDS,
        "slice",
        "min_rows",
    }


def judge(
    kind: TaskKind,
    metrics: Mapping[str, Estimate],
    changes: Mapping[str, Estimate] | None,
    slices: Sequence[SliceEstimates],
    bounds: Bounds,
    quality: Quality,
    differences: Mapping[str, Difference] | None = None,
) -> list[Check]:
    """Check each condition; the model is blessed if all hold.

    Args:
        kind: The task.
        metrics: The metrics on all rows.
        changes: Their changes from the baseline; None without one.
        slices: The slices.
        bounds: The bounds.
        quality: What counts without thresholds.
        differences: Tests of the changes on all rows.

    Example:
        >>> quality = Quality(Estimate(0.6, (0.5, 0.7)))
        >>> (check,) = judge("regression", {}, None, [], Bounds(), quality)
        >>> print(check)
        r2 is 0.6 (95% interval 0.5 to 0.7); required: at least 0.01, and above 0 ... (passed).
    """
    checks = list(_check("threshold", bounds.thresholds, metrics, slices))
    if not checks:
        # No thresholds, or only thresholds for slices none of which could be checked.
        checks.append(_trivial(kind, quality))
        if quality.class_rows:
            checks.append(_recall(quality, bounds.accepted))
    if changes is not None:
        checks.extend(_check("change", bounds.change_thresholds, changes, slices))
        checks.extend(claims.judge(bounds.claims, differences or {}, slices, bounds.correction))
        if not bounds.judge_changes:
            checks.append(_not_worse(kind, changes))
    return checks


def _bound(metric: str, entry: Any, slicings: Sequence[str], argument: str, ending: str) -> Bound:
    least, most = f"min{ending}", f"max{ending}"
    tests = claims.KINDS if ending else ()
    known = (least, most, *tests, "slice", "min_rows")
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
        _number(entry, key, where, 0.0)
    if least not in entry and most not in entry:
        raise UserError(
            f"{where}: give {least!r}, {most!r} or both{', or a test' if tests else ''}."
        )
    slicing = _slicing(metric, entry, slicings, where)
    return Bound(
        metric=metric,
        least=float(entry[least]) if least in entry else None,
        most=float(entry[most]) if most in entry else None,
        slicing=slicing,
        min_rows=int(entry.get("min_rows", SMALLEST_SLICE)),
    )


def _number(entry: Mapping[str, Any], key: str, where: str, default: float | None = None) -> float:
    value = entry.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise UserError(f"{where}: {key!r} must be a number, found {value!r}.")
    return float(value)


def _slicing(metric: str, entry: Mapping[str, Any], slicings: Sequence[str], where: str) -> str:
    slicing = ",".join(part.strip() for part in str(entry.get("slice", "")).split(","))
    if slicing and metric == binary.CALIBRATION_ERROR:
        raise UserError(f"{where}: this metric is measured on all rows only; leave out 'slice'.")
    if slicing and slicing not in slicings:
        raise UserError(
            f"{where}: {slicing!r} is not among slice_columns.{closest(slicing, slicings)}"
        )
    return slicing


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


def _trivial(kind: TaskKind, quality: Quality) -> Check:
    estimate = quality.skill
    interval = None if estimate is None else estimate.interval
    value = None if estimate is None else estimate.value
    enough = kind != "binary" or not quality.rare()
    return Check(
        kind="trivial",
        metric="r2" if kind == "regression" else SKILL,
        slice="",
        condition=f"at least {LEAST_SKILL:g}, and above 0 by more than the interval"
        + (f", on at least {LEAST_CLASS_ROWS} rows of each class" if kind == "binary" else ""),
        value=value,
        interval=interval,
        passed=enough
        and value is not None
        and interval is not None
        and value >= LEAST_SKILL
        and interval[0] > 0,
    )


def _recall(quality: Quality, accepted: frozenset[str]) -> Check:
    """Check that every class with enough rows was answered, unless that is accepted."""
    judged = [
        quality.found_rows[name] / rows
        for name, rows in quality.class_rows.items()
        if rows >= LEAST_CLASS_ROWS
    ]
    allowed = {*accepted, *quality.below_threshold()}
    refused = [name for name in quality.never_found() if name not in allowed]
    return Check(
        kind="recall",
        metric="recall",
        slice="",
        condition="above 0 for every class, except an accepted one and a rare one of two",
        value=min(judged, default=None),
        interval=None,
        passed=not refused or NO_RECALL in accepted,
    )


def _not_worse(kind: TaskKind, changes: Mapping[str, Estimate]) -> Check:
    metric = PRIMARY[kind]
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
