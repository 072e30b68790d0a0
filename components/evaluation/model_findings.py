"""What a careful colleague would say about a model that was evaluated, and why it is blessed."""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kfp_tabular.components.common.artifacts.findings import Finding, Severity
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.statistics.bootstrap import Floats, Ints
from kfp_tabular.components.common.statistics.leaks import LeakScan
from kfp_tabular.components.evaluation import comparison_findings
from kfp_tabular.components.evaluation.blessing import (
    LEAST_CLASS_ROWS,
    LEAST_SKILL,
    NO_RECALL,
    PRIMARY,
    SKILL,
    Quality,
)
from kfp_tabular.components.evaluation.conditions import Check, written_p
from kfp_tabular.components.evaluation.metrics.answer_sample import SampledAnswers
from kfp_tabular.components.evaluation.metrics.estimates import Estimate
from kfp_tabular.components.evaluation.metrics.ranking import Curves
from kfp_tabular.components.evaluation.metrics.skill import Skill

CODES = (
    "few-positives",
    "few-rows",
    "no-skill",
    "constant-answers",
    NO_RECALL,
    "below-constant",
    "calibration",
    "overfitting",
    "joint-leak",
    "calibrated-here",
    "threshold-chosen-here",
)
"""The kinds of findings, which `accept` may name."""

NEARLY_PERFECT = 0.999
"""From here on AUC or R2 is too good to be true; H2O Driverless AI drops features from it on
(`drop_features_leakage_threshold_auc`)."""

# A shift of the intercepts that costs a tenth of the trivial loss; one half of a standard deviation
# of the label is a medium effect (Cohen, 1988, 2.2).
_LOST_SKILL = 0.1
_LARGE_BIAS = 0.5
_LARGE_GAP = 0.1
_ONE_SIDED = 1.645  # of the normal distribution, 5%
_NAMED = 8

_OF_CHANGES = ("change", "baseline", "test")
_TITLES = {"auc": "AUC", "r2": "R2"}


@dataclass(frozen=True)
class Facts:
    """What was measured of a model.

    Attributes:
        spec: The model's description.
        split: The evaluated split.
        metrics: The metrics on all rows.
        quality: What the default blessing asks for.
        skill: The skill of a classifier; None if it is undefined.
        sample: Some rows.
        confusion: Rows by actual and answered class; None for regression.
        curves: The curves of a binary model.
        train: The primary metric on rows of the train split; None if it was not measured.
        leaks: How well single columns predict the label; None if that was not measured.
    """

    spec: ModelSpec
    split: str
    metrics: Mapping[str, Estimate]
    quality: Quality
    skill: Skill | None
    sample: SampledAnswers
    confusion: Ints | None = None
    curves: Curves | None = None
    train: float | None = None
    leaks: LeakScan | None = None


def check_accepted(accepted: Sequence[str], classes: Sequence[str]) -> None:
    """Check the option `accept`.

    Raises:
        UserError: A name is neither a finding nor a class.

    Example:
        >>> check_accepted(["no-recall", "other"], ["food", "other"])
    """
    codes = [*CODES, *comparison_findings.CODES]
    known = [*codes, *classes]
    for name in accepted:
        if name not in known:
            raise UserError(
                f"accept: {name!r} is neither a finding ({', '.join(codes)}) nor a class."
                f"{closest(name, known)}"
            )


def find(facts: Facts, accepted: Collection[str] = ()) -> list[Finding]:
    """Return the findings; those that are accepted are notes.

    Args:
        facts: What was measured.
        accepted: Codes of findings, or classes that need not be answered.
    """
    found = [
        *_rare(facts),
        *_skill(facts),
        *_answers(facts),
        *_below_constant(facts),
        *_calibration(facts),
        *_overfitting(facts),
        *_joint_leak(facts),
        *_calibrated_here(facts),
        *_threshold_chosen_here(facts),
    ]
    never = facts.quality.never_found()
    known = set(accepted)
    if NO_RECALL in known or (never and known.issuperset(never)):
        known |= {NO_RECALL, "constant-answers"}
    return [
        replace(each, severity="note", message=f"{each.message} It is accepted.", option="")
        if each.code in known and each.severity != "note"
        else each
        for each in found
    ]


def why(checks: Sequence[Check], facts: Facts) -> str:
    """Return why a model is blessed or not, in a sentence.

    Args:
        checks: The conditions that were checked.
        facts: What was measured.
    """
    blessed = all(check.passed for check in checks)
    told = [_reason(check, facts) for check in checks if blessed or not check.passed]
    head = "Blessed" if blessed else "Not blessed"
    text = f"{head}: {_sentence(told)}."
    certain = facts.leaks.certain if facts.leaks is not None else []
    if certain and facts.leaks is not None:
        named = _listed([leak.column for leak in certain])
        text += (
            f" But {named} alone predicts the label {facts.leaks.strength(certain[0])}: do not "
            "trust the model unless that is known when a prediction is made."
        )
    return text


def _reason(check: Check, facts: Facts) -> str:
    if check.kind == "trivial":
        return _trivial_reason(check, facts)
    if check.kind == "recall":
        below = facts.quality.below_threshold()
        if check.passed and below:
            return (
                f"the rare {_classes(below)} is not found at the decision threshold (recall 0), "
                "which a lower one would change"
            )
        if check.passed:
            never = facts.quality.never_found()
            return f"recall 0 of {_classes(never)} is accepted" if never else "every class is found"
        return f"it finds no row of {_classes(facts.quality.never_found())} (recall 0)"
    what = f"change of {check.metric}" if check.kind in _OF_CHANGES else check.metric
    if check.kind == "fairness":
        what = f"gap of {check.metric}"
    where = f" of {check.slice}" if check.slice else ""
    value = "undefined" if check.value is None else f"{check.value:.4g}"
    p_value = "" if check.p_value is None else f"; p {written_p(check.p_value)}"
    return f"{what}{where} is {value} ({check.condition}{p_value})"


def _trivial_reason(check: Check, facts: Facts) -> str:
    if _has_too_few(facts):
        rare = _counted(facts, facts.quality.rare())
        return (
            f"split {facts.split!r} has {rare}, too few to measure the model on "
            f"(at least {LEAST_CLASS_ROWS} of each class)"
        )
    if check.value is None or check.interval is None:
        return f"its {check.metric} is undefined on split {facts.split!r}"
    low, high = check.interval
    score, trivial = (
        ("log loss", "the shares of the classes")
        if check.metric == SKILL
        else ("squared error", "the mean")
    )
    side = "below" if check.value >= 0 else "above"
    told = (
        f"the {score} is {100 * abs(check.value):.1f}% {side} that of always answering {trivial} "
        f"(95% interval of the improvement {100 * low:.1f} to {100 * high:.1f}%)"
    )
    if check.passed:
        return told
    if check.value >= LEAST_SKILL:
        return f"{told}, which may be chance"
    return f"{told}, which is no meaningful improvement (at least {100 * LEAST_SKILL:g}%)"


def _rare(facts: Facts) -> Iterator[Finding]:
    rare = facts.quality.rare()
    if not rare:
        return
    spec = facts.spec
    if spec.task != "binary":
        yield Finding(
            "note",
            "few-rows",
            f"Split {facts.split!r} has {_counted(facts, rare)}: whether the model finds "
            f"{'it' if len(rare) == 1 else 'them'} cannot be told from fewer than "
            f"{LEAST_CLASS_ROWS} rows.",
            spec.label,
            "split_fractions",
        )
        return
    positive = spec.classes[1] in rare
    rows = sum(facts.quality.class_rows.values())
    yield Finding(
        "warning",
        "few-positives" if positive else "few-rows",
        f"Only {facts.quality.class_rows[rare[0]]} of {rows:,} rows of split {facts.split!r} "
        f"{'are positive' if positive else 'are negative'} ({spec.label!r} = {rare[0]!r}): too few "
        "for an interval, and to measure the model at all.",
        spec.label,
        "split_fractions",
    )


def _skill(facts: Facts) -> Iterator[Finding]:
    estimate = facts.quality.skill
    if estimate is None or _has_too_few(facts):
        return
    low, high = estimate.interval or (-math.inf, math.inf)
    if estimate.value >= LEAST_SKILL and low > 0:
        return
    chance = estimate.value >= LEAST_SKILL
    if facts.skill is not None:
        trivial = "always answering the shares of the classes"
        losses = f"log loss {facts.skill.loss:.4g} against {facts.skill.trivial_loss:.4g}"
    else:
        trivial, losses = "always answering the mean", f"R2 {estimate.value:.4g}"
    how = "not clearly better than" if chance else "no better than"
    area = facts.metrics.get("auc")
    ranks = not chance and area is not None and area.interval is not None and area.interval[0] > 0.5
    though = ""
    if ranks and area is not None:
        though = f" It ranks better than chance (AUC {area.value:.3f}), but is too sure of itself."
        though = though if estimate.value < 0 else f" It ranks a little (AUC {area.value:.3f})."
    yield Finding(
        "warning" if chance or ranks else "error",
        "no-skill",
        f"The model is {how} {trivial}: {losses} (improvement {100 * estimate.value:.1f}%, 95% "
        f"interval {100 * low:.1f} to {100 * high:.1f}%).{though}",
        facts.spec.label,
    )


def _has_too_few(facts: Facts) -> bool:
    """Return whether a binary model cannot be measured for lack of rows of a class."""
    return facts.spec.task == "binary" and bool(facts.quality.rare())


def _is_worthless(facts: Facts) -> bool:
    return any(found.severity == "error" for found in _skill(facts))


def _answers(facts: Facts) -> Iterator[Finding]:
    """Find constant answers, and classes that are never found."""
    severity: Severity = "error" if _is_worthless(facts) else "warning"
    if facts.confusion is None:
        spread = float(np.ptp(facts.sample.predictions.astype(np.float64)))
        if spread <= 1e-6 * _deviation(facts.sample):
            value = float(facts.sample.predictions[0])
            yield Finding(
                "error", "constant-answers", f"The model answers {value:.6g} for every row."
            )
        return
    never = facts.quality.never_found()
    answered = np.flatnonzero(facts.confusion.sum(0))
    option = f"accept={json.dumps(never, ensure_ascii=False)}" if severity == "warning" else ""
    hint, remedy = _better_threshold(facts)
    if len(answered) == 1 and len(facts.sample.labels) > 1 and not facts.quality.rare():
        name = facts.spec.classes[answered[0]]
        yield Finding(
            severity,
            "constant-answers",
            f"The model answers {name!r} for all {int(facts.confusion.sum()):,} rows; it finds "
            f"none of {_classes(never)} (recall 0).{hint}",
            facts.spec.label,
            remedy or option,
        )
    elif never:
        rows = sum(facts.quality.class_rows[name] for name in never)
        yield Finding(
            severity,
            NO_RECALL,
            f"The model finds no row of {_classes(never)}: recall 0 on {rows:,} rows.{hint}",
            facts.spec.label,
            remedy or option,
        )


def _better_threshold(facts: Facts) -> tuple[str, str]:
    """Return a sentence on, and the option for, a threshold that finds positives; empty if none."""
    never = facts.quality.never_found()
    curves = facts.curves
    if facts.spec.task != "binary" or curves is None or facts.spec.classes[1] not in never:
        return "", ""
    precision, recall = np.array(curves.precisions[1:]), np.array(curves.recalls[1:])
    both = precision + recall
    scores = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    best = int(scores.argmax())
    threshold = curves.thresholds[1:][best]
    if _is_worthless(facts) or not 0 < threshold < 1:
        return "", ""
    shown = f"{threshold:.2g}"
    return (
        f" No probability reaches the decision threshold {facts.spec.decision_threshold:g}; from "
        f"{shown} on, precision would be {precision[best]:.2f} and recall {recall[best]:.2f}.",
        f"decision_threshold={shown}",
    )


def _below_constant(facts: Facts) -> Iterator[Finding]:
    if facts.confusion is None or _has_too_few(facts):
        return
    counts = facts.confusion
    usual = int(counts.sum(1).argmax())
    answered_otherwise = np.delete(counts, usual, axis=1)
    gained = int(np.trace(counts) - counts[usual, usual])
    lost = int(answered_otherwise[usual].sum())
    # Rows answered alike by both cannot tell them apart (McNemar, 1947).
    if lost - gained <= _ONE_SIDED * math.sqrt(lost + gained):
        return
    rows = int(counts.sum())
    yield Finding(
        "warning",
        "below-constant",
        f"Always answering {facts.spec.classes[usual]!r} would be right in "
        f"{counts[usual].sum() / rows:.1%} of the rows; the model is in "
        f"{np.trace(counts) / rows:.1%}.",
        facts.spec.label,
        "class_weights, decision_threshold" if facts.spec.task == "binary" else "class_weights",
    )


def _calibration(facts: Facts) -> Iterator[Finding]:
    if _is_worthless(facts) or _has_too_few(facts):
        return
    if facts.skill is not None:
        lost = facts.skill.value - facts.skill.uncorrected
        if lost > _LOST_SKILL:
            raw = facts.skill.trivial_loss * (1 - facts.skill.uncorrected)
            yield Finding(
                "warning",
                "calibration",
                f"The probabilities are far off: log loss {raw:.4g}, and {facts.skill.loss:.4g} "
                "once they are shifted to the shares of the classes. Balanced class weights have "
                "this effect.",
                facts.spec.label,
                "class_weights",
            )
    elif "bias" in facts.metrics:
        bias = facts.metrics["bias"].value
        if abs(bias) > _LARGE_BIAS * _deviation(facts.sample) > 0:
            yield Finding(
                "warning",
                "calibration",
                f"Predictions are {abs(bias):.4g} too {'high' if bias > 0 else 'low'} on average.",
                facts.spec.label,
            )


def _overfitting(facts: Facts) -> Iterator[Finding]:
    name = PRIMARY[facts.spec.task]
    estimate = facts.metrics.get(name)
    if facts.train is None or estimate is None or estimate.interval is None:
        return
    if facts.train - estimate.value > _LARGE_GAP and facts.train > estimate.interval[1]:
        yield Finding(
            "warning",
            "overfitting",
            f"{_TITLES[name]} is {facts.train:.3f} on rows of the train split and "
            f"{estimate.value:.3f} on split {facts.split!r}: the model has learned rows by heart, "
            "or the splits differ.",
            facts.spec.label,
            'hyperparameters={"l2": 0.001}',
        )


def _joint_leak(facts: Facts) -> Iterator[Finding]:
    name = PRIMARY[facts.spec.task]
    estimate = facts.metrics.get(name)
    scan = facts.leaks
    if estimate is None or scan is None or estimate.value < NEARLY_PERFECT:
        return
    if not scan.strengths or scan.certain or scan.suspicious:
        return
    strongest = ", ".join(
        f"{found.column!r} {scan.strength(found)}" for found in scan.strengths[:3]
    )
    yield Finding(
        "warning",
        "joint-leak",
        f"{_TITLES[name]} is {estimate.value:.4f} on split {facts.split!r}, too good to be true "
        f"unless the label follows from the columns. No single one explains it; the strongest are "
        f"{strongest}. Exclude what is not known when a prediction is made.",
        facts.spec.label,
        "exclude",
    )


def _calibrated_here(facts: Facts) -> Iterator[Finding]:
    calibrated = facts.spec.hyperparameters.get("calibration")
    if isinstance(calibrated, Mapping) and calibrated.get("split") == facts.split:
        yield Finding(
            "warning",
            "calibrated-here",
            f"The probabilities were calibrated on split {facts.split!r}, so they look better "
            "calibrated here than they are. Evaluate on a split of its own.",
            facts.spec.label,
            "split_fractions",
        )


def _threshold_chosen_here(facts: Facts) -> Iterator[Finding]:
    chosen = facts.spec.hyperparameters.get("threshold_choice")
    if isinstance(chosen, Mapping) and chosen.get("split") == facts.split:
        yield Finding(
            "warning",
            "threshold-chosen-here",
            f"The decision threshold was chosen on split {facts.split!r}, so the model looks worth "
            "more here than it is. Evaluate on a split of its own.",
            facts.spec.label,
            "evaluation_split",
        )


def _deviation(sample: SampledAnswers) -> float:
    return float(sample.labels.astype(np.float64).std())


def _counted(facts: Facts, names: Sequence[str]) -> str:
    """Return classes with their numbers of rows."""
    told = []
    for name in names[:_NAMED]:
        rows = facts.quality.class_rows[name]
        told.append(f"{rows} {'row' if rows == 1 else 'rows'} of class {name!r}")
    more = len(names) - len(told)
    return _sentence(told) + (f" and few of {more} more classes" if more else "")


def _classes(names: Sequence[str]) -> str:
    word = "class" if len(names) == 1 else "the classes"
    return f"{word} {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    shown = [repr(name) for name in names[:_NAMED]]
    more = len(names) - len(shown)
    return _sentence([*shown, f"{more} more"] if more else shown)


def _sentence(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1] if parts else "")))


def train_metric(metrics: Mapping[str, Floats | float], spec: ModelSpec) -> float | None:
    """Return the primary metric among others; None if it is undefined."""
    value = float(metrics[PRIMARY[spec.task]])
    return value if math.isfinite(value) else None
