"""The content of `evaluation.json`: all measurements, and the verdict that follows from them."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.outcome_value import profit
from kfp_tabular.components.common.statistics import bootstrap, leaks
from kfp_tabular.components.common.statistics.bootstrap import Floats
from kfp_tabular.components.common.statistics.leaks import LeakScan
from kfp_tabular.components.evaluation import (
    blessing,
    comparison_findings,
    fairness,
    model_findings,
    value_findings,
)
from kfp_tabular.components.evaluation.blessing import Bounds, Quality
from kfp_tabular.components.evaluation.comparison import compared
from kfp_tabular.components.evaluation.comparison.differences import LEVEL, Difference
from kfp_tabular.components.evaluation.conditions import SliceEstimates
from kfp_tabular.components.evaluation.counting import Tally
from kfp_tabular.components.evaluation.explanations import thresholds
from kfp_tabular.components.evaluation.explanations.thresholds import ErrorCosts
from kfp_tabular.components.evaluation.metrics import calibration, constant_answer, skill
from kfp_tabular.components.evaluation.metrics.binary import (
    CALIBRATION_ERROR,
    BinaryStatistics,
    score_histogram,
)
from kfp_tabular.components.evaluation.metrics.calibration import Reliability
from kfp_tabular.components.evaluation.metrics.estimates import CellMetrics, Estimate
from kfp_tabular.components.evaluation.metrics.measurement import Measurement
from kfp_tabular.components.evaluation.metrics.multiclass import MulticlassStatistics
from kfp_tabular.components.evaluation.metrics.ranking import Histograms, curves
from kfp_tabular.components.evaluation.metrics.regression import (
    RegressionCharts,
    RegressionStatistics,
)

FORMAT = 1


@dataclass(frozen=True)
class ModelSource:
    """Where an evaluated model came from.

    Attributes:
        path: Its directory.
        digest: Digest of its content.
    """

    path: str
    digest: str

    @classmethod
    def of(cls, path: Path) -> "ModelSource":
        """Read the digest of a model artifact."""
        return cls(str(path), lineage.read(path)["digest"])


def build(
    tally: Tally,
    models: Sequence[ModelSource],
    bounds: Bounds,
    *,
    samples: int,
    seed: int,
    costs: ErrorCosts = thresholds.EQUAL_COSTS,
    train: float | None = None,
    scan: Callable[[], LeakScan] | None = None,
) -> dict[str, Any]:
    """Build the document.

    Args:
        tally: What was counted.
        models: The model and, if there is one, the baseline, as in the tally.
        bounds: The bounds that decide whether the model is blessed.
        samples: Number of resamples for the intervals.
        seed: Seed of the resampling.
        costs: What errors cost, for the table of thresholds.
        train: The primary metric on rows of the train split; None if it was not measured.
        scan: Measures how well single columns predict the label; called for a very good model.

    Returns:
        A mapping that JSON can hold, without NaN:

        - `format` 1, `task`, `label`, `classes`, `decision_threshold`, `split`, `rows`,
          `rows_left_out` (`without_label`, `unknown_class`), `model` (`digest`)
        - `metrics`: by name `value` and `interval` (`[low, high]`, or null). Undefined ones are
          absent.
        - `constant_answer`: the metrics of always answering the shares of the classes, or the mean
        - `confidence`, `bootstrap_samples`, `seed`
        - `blessed`, `why` (a sentence), `checks` (see `conditions.Check`), `reasons` and `notes`
          (sentences), `findings` (see `findings.Finding`)
        - `skill`: null, or that of a classifier (see `skill.Skill`)
        - `slices`: `slicing`, `name`, `rows`, `metrics`, `changes`; `slices_left_out` by slicing
        - `baseline`: null, or `path`, `digest`, `metrics` and `changes` (the model's metrics minus
          its metrics)
        - `comparison`: null, or `level`, `correction` (how p-values of slices are adjusted),
          `metrics` (the tests of the changes: `metric`, `method`, `change`, `interval`, `p_value`,
          `verdict`: better, worse, different or unclear) and `slices` (the same, with `slicing`,
          `name`, `rows`, and the `adjusted` p-value that decides)
        - `fairness`: the rates of groups, by column; see `fairness.measure`
        - `value`: null, or `outcomes` and what `profit.describe` returns
        - `threshold_choice`: null, or how training chose the decision threshold: `split`, `rows`,
          the `value` of a row there, and more
        - `entities`: null, or their `count`, and whether they `repeat`
        - classifiers: `confusion_matrix` (`classes`, `counts[actual][answered]`); binary ones
          `curves` (lists `thresholds`, `false_positive_rates`, `recalls`, `precisions`),
          `calibration` (`predicted`, `observed`, `rows`, and the `interval` of `observed`),
          `score_histogram`, `costs`, `thresholds` (see `thresholds.ThresholdRow`) and `gain` (see
          `thresholds.gain`); multiclass ones `per_class`
        - regression: `residuals`, `predicted_actual`, `means`, of a random sample of
          `charted_rows` rows

        With the option `explanations`, `evaluate.run` adds what `explain.explain` measures on a
        sample of the rows:

        - `explained`: `score` (`log_loss` or `rmse`), its `score_value` on the sample, `rows`,
          `screened_rows` (0 if all inputs are measured on all of `rows`), `answers` (what
          dependence shows: the positive class, the most frequent classes, or the label),
          `dependence_left_out` (important inputs whose values hardly repeat)
        - `importance`, the largest first: `name` of the input, `mean` increase of the score when
          it is shuffled, `interval` (95%, or null), `repetitions`, `rows`, `related` (inputs that
          share its importance: `name`, `strength`)
        - `dependence` of the most important inputs: `name`, `kind` (`number`, `time`, `category`),
          `grid` (numbers, seconds since 1970, or texts), `means` at each point by answer,
          `missing` (null, or `share` of the rows and `means`), `lines` of single rows for the
          first answer, `shares` of the categories, `histogram` (`edges`, `counts`) of the values
          along the grid, `other` (share of rows beyond the grid), `rows`
        - `example`: null, or one row explained: its `label`, the `class` whose probability is
          explained (null in regression), `value` and `baseline_value` (the model's answers to the
          row and to a typical one), `method`, `gap`, and `features`, the strongest first: `name`,
          `value`, `baseline`, `attribution` and its standard `error`
    """
    spec = tally.spec
    weights = bootstrap.weights(samples, seed)
    overall = [measurement.overall.measured(0, weights) for measurement in tally.measurements]
    scores = [_scores(measurement) for measurement in tally.measurements]
    calibrations = [
        _reliability(tally, measurement, found, weights)
        for measurement, found in zip(tally.measurements, scores, strict=True)
    ]
    metrics = [
        measured.estimates() | ({} if found is None else {CALIBRATION_ERROR: found.error})
        for measured, found in zip(overall, calibrations, strict=True)
    ]
    differences = _differences(tally, overall)
    changes = _changes(overall, metrics, differences) if len(overall) > 1 else None
    parts = list(_slices(tally, weights))
    facts = _facts(tally, metrics[0], scores[0], weights, train, scan)
    checks = blessing.judge(
        spec.task, metrics[0], changes, parts, bounds, facts.quality, differences
    )
    groups = _fairness(tally, bounds, weights)
    checks += fairness.judge(bounds.gaps, groups)
    blessed = all(check.passed for check in checks)
    worth = _value(tally, weights)
    comparison = _comparison(tally, differences, parts, bounds)
    found = [
        *model_findings.find(facts, bounds.accepted),
        *comparison_findings.find(comparison, tally.entities, bounds.accepted),
        *value_findings.find(worth),
    ]
    return {
        "format": FORMAT,
        "task": spec.task,
        "label": spec.label,
        "classes": list(spec.classes),
        "decision_threshold": spec.decision_threshold,
        "split": tally.split,
        "rows": overall[0].rows,
        "rows_left_out": {
            "without_label": tally.without_label,
            "unknown_class": tally.unknown_class,
        },
        "model": {"digest": models[0].digest},
        "metrics": _estimates(metrics[0]),
        "constant_answer": _constant_answer(tally, metrics[0]),
        "confidence": bootstrap.CONFIDENCE,
        "bootstrap_samples": samples,
        "seed": seed,
        "skill": None if facts.skill is None else asdict(facts.skill),
        "blessed": blessed,
        "why": model_findings.why(checks, facts),
        "findings": [asdict(finding) for finding in found],
        "checks": [asdict(check) for check in checks],
        "reasons": [str(check) for check in checks if blessed or not check.passed],
        "notes": _notes(tally, overall[0], bounds),
        "slices": [_slice(part) for part in parts],
        "slices_left_out": {slicing.name: slicing.left_out for slicing in tally.slicings},
        "baseline": None
        if changes is None
        else {
            **asdict(models[1]),
            "metrics": _estimates(metrics[1]),
            "changes": _estimates(changes),
        },
        "comparison": comparison,
        "fairness": groups,
        "value": worth,
        "threshold_choice": spec.hyperparameters.get("threshold_choice"),
        "entities": None if tally.entities is None else asdict(tally.entities),
        **_charts(tally.measurements[0], scores[0], calibrations[0], spec),
        **_thresholds(tally.measurements[0], scores[0], spec, costs),
    }


def _facts(
    tally: Tally,
    metrics: Mapping[str, Estimate],
    scores: Histograms | None,
    weights: Floats,
    train: float | None,
    scan: Callable[[], LeakScan] | None,
) -> model_findings.Facts:
    spec, measurement = tally.spec, tally.measurements[0]
    statistics = measurement.overall
    primary = metrics.get(blessing.PRIMARY[spec.task])
    good = primary is not None and primary.value >= leaks.SUSPICIOUS
    scanned = scan() if scan is not None and good else None
    if not isinstance(statistics, BinaryStatistics | MulticlassStatistics):
        quality = Quality(metrics.get("r2"))
        return model_findings.Facts(
            spec,
            tally.split,
            metrics,
            quality,
            None,
            measurement.sample,
            train=train,
            leaks=scanned,
        )
    measured = skill.measure(measurement.sample, weights)
    confusion = statistics.confusion()
    quality = Quality(
        None if measured is None else Estimate(measured.value, measured.interval),
        dict(zip(spec.classes, confusion.sum(1).tolist(), strict=True)),
        dict(zip(spec.classes, confusion.diagonal().tolist(), strict=True)),
    )
    return model_findings.Facts(
        spec,
        tally.split,
        metrics,
        quality,
        measured,
        measurement.sample,
        confusion,
        None if scores is None else curves(scores),
        train,
        scanned,
    )


def _constant_answer(tally: Tally, metrics: Mapping[str, Estimate]) -> dict[str, float]:
    spec, measurement = tally.spec, tally.measurements[0]
    statistics = measurement.overall
    if isinstance(statistics, BinaryStatistics | MulticlassStatistics):
        threshold = spec.decision_threshold if spec.task == "binary" else None
        rows = statistics.confusion().sum(1).tolist()
        found = constant_answer.of_classes(rows, threshold)
    else:
        values = {name: estimate.value for name, estimate in metrics.items()}
        found = constant_answer.of_numbers(values, measurement.sample.labels)
    return {name: found[name] for name in metrics if name in found}


def _scores(measurement: Measurement) -> Histograms | None:
    statistics = measurement.overall
    return statistics.ranks.histograms(0) if isinstance(statistics, BinaryStatistics) else None


def _reliability(
    tally: Tally, measurement: Measurement, scores: Histograms | None, weights: Floats
) -> Reliability | None:
    statistics = measurement.overall
    if scores is None or not isinstance(statistics, BinaryStatistics):
        return None
    grouped = statistics.ranks.grouped(0, calibration.edges(scores))
    clustered = tally.entities is not None and tally.entities.repeat
    return calibration.measure(scores, grouped, weights, clustered=clustered)


def _differences(tally: Tally, overall: Sequence[CellMetrics]) -> dict[str, Difference]:
    if tally.comparison is None:
        return {}
    statistics = [measurement.overall for measurement in tally.measurements]
    return tally.comparison.differences(overall, statistics)


def _tested(change: CellMetrics, differences: Mapping[str, Difference]) -> dict[str, Estimate]:
    """Return changes with the intervals of their tests."""
    return {
        name: Estimate(value, differences[name].interval() if name in differences else None)
        for name, value in change.points.items()
        if math.isfinite(value)
    }


def _comparison(
    tally: Tally,
    differences: Mapping[str, Difference],
    parts: Sequence[SliceEstimates],
    bounds: Bounds,
) -> dict[str, Any] | None:
    if tally.comparison is None:
        return None
    metrics = {blessing.PRIMARY[tally.spec.task], *(claim.metric for claim in bounds.claims)}
    overall: list[tuple[dict[str, Any], str, Difference]] = [
        ({}, metric, difference) for metric, difference in differences.items()
    ]
    sliced = [
        ({"slicing": part.slicing, "name": part.name, "rows": part.rows}, metric, difference)
        for part in parts
        if part.rows >= blessing.SMALLEST_SLICE
        for metric, difference in part.differences.items()
        if metric in metrics
    ]
    return {
        "level": LEVEL,
        "correction": bounds.correction,
        "metrics": compared.rows(overall),
        "slices": compared.rows(sliced, bounds.correction),
    }


def _fairness(tally: Tally, bounds: Bounds, weights: Floats) -> list[dict[str, Any]]:
    return [
        fairness.measure(statistics, slicing, weights)
        for slicing, statistics in zip(tally.slicings, tally.measurements[0].sliced, strict=True)
        if slicing.name in bounds.fairness_columns and isinstance(statistics, BinaryStatistics)
    ]


def _value(tally: Tally, weights: Floats) -> dict[str, Any] | None:
    if not tally.profits or tally.values is None:
        return None
    ours, *theirs = tally.profits
    return {
        "outcomes": dict(tally.values.texts),
        **profit.describe(ours, weights, theirs[0] if theirs else None),
    }


def _slice(part: SliceEstimates) -> dict[str, Any]:
    return {
        "slicing": part.slicing,
        "name": part.name,
        "rows": part.rows,
        "metrics": _estimates(part.metrics),
        "changes": _estimates(part.changes),
    }


def _changes(
    overall: Sequence[CellMetrics],
    metrics: Sequence[Mapping[str, Estimate]],
    differences: Mapping[str, Difference],
) -> dict[str, Estimate]:
    changes = _tested(overall[0].minus(overall[1]), differences)
    if CALIBRATION_ERROR in metrics[0]:
        ours, theirs = (each[CALIBRATION_ERROR].value for each in metrics)
        changes[CALIBRATION_ERROR] = Estimate(ours - theirs, None)
    return changes


def _slices(tally: Tally, weights: Floats) -> Iterable[SliceEstimates]:
    for position, slicing in enumerate(tally.slicings):
        for cell, title in enumerate(slicing.titles()):
            measured = [
                measurement.sliced[position].measured(cell, weights)
                for measurement in tally.measurements
            ]
            differences: dict[str, Difference] = {}
            changes: dict[str, Estimate] = {}
            if tally.comparison is not None:
                statistics = [each.sliced[position] for each in tally.measurements]
                differences = tally.comparison.differences(measured, statistics, position + 1, cell)
                changes = _tested(measured[0].minus(measured[1]), differences)
            # Nothing is measured for a slice whose rows all lack a usable label.
            if measured[0].rows:
                yield SliceEstimates(
                    slicing=slicing.name,
                    name=title,
                    rows=measured[0].rows,
                    metrics=measured[0].estimates(),
                    changes=changes,
                    differences=differences,
                )


def _estimates(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: asdict(estimate) for name, estimate in estimates.items()}


def _notes(tally: Tally, measured: CellMetrics, bounds: Bounds) -> list[str]:
    spec = tally.spec
    notes = []
    if tally.without_label:
        notes.append(f"{tally.without_label} rows have no label and were left out.")
    if tally.unknown_class:
        notes.append(
            f"{tally.unknown_class} rows have a class that the model does not know, and were "
            "left out."
        )
    undefined = [name for name, value in measured.points.items() if math.isnan(value)]
    if undefined:
        notes.append(f"{', '.join(undefined)}: undefined here. {_why_undefined(tally)}")
    if bounds.change_thresholds and len(tally.measurements) == 1:
        notes.append("change_thresholds were not checked: there is no baseline model.")
    notes.extend(_calibration_note(tally, measured) if spec.task == "binary" else ())
    notes.extend(
        f"{slicing.left_out} smaller slices of {slicing.name} were not measured."
        for slicing in tally.slicings
        if slicing.left_out
    )
    return notes


def _why_undefined(tally: Tally) -> str:
    statistics = tally.measurements[0].overall
    if isinstance(statistics, BinaryStatistics | MulticlassStatistics):
        confusion = statistics.confusion()
        present = confusion.sum(1).nonzero()[0]
        if len(present) == 1:
            name = tally.spec.classes[present[0]]
            return f"Every row of split {tally.split!r} has class {name!r}."
        return "The model never predicts the positive class."
    return f"Every row of split {tally.split!r} has the same label."


def _calibration_note(tally: Tally, measured: CellMetrics) -> Iterable[str]:
    statistics = tally.measurements[0].overall
    if not isinstance(statistics, BinaryStatistics):
        return
    share = statistics.confusion()[1].sum() / measured.rows
    if not 0 < share < 1:
        return
    constant = -share * math.log(share) - (1 - share) * math.log(1 - share)
    if measured.points["log_loss"] > constant:
        yield (
            f"The log loss, {measured.points['log_loss']:.4g}, exceeds that of always predicting "
            f"the share of positives, {constant:.4g}: the probabilities are not calibrated. "
            "Balanced class weights have this effect."
        )


def _charts(
    measurement: Measurement,
    scores: Histograms | None,
    reliability: Reliability | None,
    spec: ModelSpec,
) -> dict[str, Any]:
    statistics = measurement.overall
    found: dict[str, Any] = {}
    if isinstance(statistics, BinaryStatistics | MulticlassStatistics):
        found["confusion_matrix"] = {
            "classes": list(spec.classes),
            "counts": statistics.confusion().tolist(),
        }
    if isinstance(statistics, MulticlassStatistics):
        per_class = {name: values.tolist() for name, values in statistics.per_class().items()}
        found["per_class"] = [
            {"class": name, "rows": int(per_class["rows"][index])}
            | {
                metric: None if math.isnan(values[index]) else values[index]
                for metric, values in per_class.items()
                if metric != "rows"
            }
            for index, name in enumerate(spec.classes)
        ]
    if isinstance(statistics, BinaryStatistics) and scores is not None:
        drawn = curves(scores)
        found["curves"] = None if drawn is None else asdict(drawn)
        found["curves_exact"] = statistics.ranks.are_exact
        bins = () if reliability is None else reliability.bins
        found["calibration"] = [{**asdict(part), "interval": list(part.interval)} for part in bins]
        found["score_histogram"] = dict(
            zip(("negative", "positive"), score_histogram(scores), strict=True)
        )
    if isinstance(statistics, RegressionStatistics):
        sample = measurement.sample
        charts = RegressionCharts.of(sample.labels, sample.predictions)
        found["charted_rows"] = len(sample.labels)
        found["residuals"] = {
            "edges": charts.residual_edges.tolist(),
            "counts": charts.residuals.tolist(),
        }
        found["predicted_actual"] = {
            "edges": charts.value_edges.tolist(),
            "counts": charts.map.tolist(),
        }
        found["means"] = [
            {"predicted": predicted, "actual": actual} for predicted, actual in charts.means
        ]
    return found


def _thresholds(
    measurement: Measurement, scores: Histograms | None, spec: ModelSpec, costs: ErrorCosts
) -> dict[str, Any]:
    statistics = measurement.overall
    if not isinstance(statistics, BinaryStatistics) or scores is None:
        return {}
    decision = 0.5 if spec.decision_threshold is None else spec.decision_threshold
    return {
        "costs": asdict(costs),
        "thresholds": thresholds.table(scores, costs, (decision, statistics.confusion())),
        "gain": thresholds.gain(scores.negatives, scores.positives),
    }
