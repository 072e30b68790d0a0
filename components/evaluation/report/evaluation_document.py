"""The content of `evaluation.json`: everything that was measured, and what follows from it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.evaluation import blessing
from kfp_tabular.components.evaluation.blessing import Bound, SliceEstimates
from kfp_tabular.components.evaluation.metrics import bootstrap
from kfp_tabular.components.evaluation.metrics.binary import (
    CALIBRATION_ERROR,
    BinaryPictures,
    BinaryStatistics,
    calibration_error,
)
from kfp_tabular.components.evaluation.metrics.bootstrap import Floats
from kfp_tabular.components.evaluation.metrics.estimates import Estimate, Measured
from kfp_tabular.components.evaluation.metrics.measurement import Measurement
from kfp_tabular.components.evaluation.metrics.multiclass import MulticlassStatistics
from kfp_tabular.components.evaluation.metrics.ranking import curves
from kfp_tabular.components.evaluation.metrics.regression import RegressionPictures
from kfp_tabular.components.evaluation.slices import Slicing

FORMAT = 1


@dataclass(frozen=True)
class Source:
    """A model that was evaluated.

    Attributes:
        path: Its directory.
        digest: Its content's digest.
    """

    path: str
    digest: str


@dataclass(frozen=True)
class Counted:
    """What one pass over a split gave.

    Attributes:
        spec: The model.
        split: The split.
        slicings: The slices that were counted.
        measurements: Of the model and, where there is one, of the baseline.
        without_label: Rows left out for want of a label.
        unknown_class: Rows left out because the model does not know their class.
        models: Where the models came from, in the order of `measurements`.
    """

    spec: ModelSpec
    split: str
    slicings: Sequence[Slicing]
    measurements: Sequence[Measurement]
    without_label: int
    unknown_class: int
    models: Sequence[Source]


def build(
    counted: Counted,
    thresholds: Sequence[Bound],
    change_thresholds: Sequence[Bound],
    *,
    samples: int,
    seed: int,
) -> dict[str, Any]:
    """Builds the document.

    Args:
        counted: What was counted.
        thresholds: Absolute bounds.
        change_thresholds: Bounds on changes against the baseline.
        samples: Resamples for the intervals.
        seed: What their randomness starts from.

    Returns:
        A JSON-able mapping without NaN:

        - `format` 1, `task`, `label`, `classes`, `decision_threshold`, `split`, `rows`,
          `rows_left_out` (`without_label`, `unknown_class`), `model` (`digest`)
        - `metrics`: by name `value` and `interval` (`[low, high]`, or null). Undefined ones are
          absent.
        - `confidence`, `bootstrap_samples`, `seed`
        - `blessed`, `checks` (see `blessing.Check`), `reasons` and `notes` (sentences)
        - `slices`: `slicing`, `name`, `rows`, `metrics`, `changes`; `slices_left_out` by slicing
        - `baseline`: null, or `path`, `digest`, `metrics` and `changes` (its metrics subtracted
          from the model's)
        - classifiers: `confusion_matrix` (`classes`, `counts[actual][answered]`); binary ones
          `curves` (lists `thresholds`, `false_positive_rates`, `recalls`, `precisions`),
          `calibration` and `score_histogram`; multiclass ones `per_class`
        - regression: `residuals`, `predicted_actual`, `means`
    """
    spec = counted.spec
    weights = bootstrap.weights(samples, seed)
    overall = [measurement.overall.measured(0, weights) for measurement in counted.measurements]
    metrics = [
        measured.estimates() | _calibration_error(measurement)
        for measured, measurement in zip(overall, counted.measurements, strict=True)
    ]
    changes = _changes(overall, metrics) if len(overall) > 1 else None
    parts = list(_slices(counted, weights))
    checks = blessing.judge(spec.task, metrics[0], changes, parts, thresholds, change_thresholds)
    blessed = all(check.passed for check in checks)
    return {
        "format": FORMAT,
        "task": spec.task,
        "label": spec.label,
        "classes": list(spec.classes),
        "decision_threshold": spec.decision_threshold,
        "split": counted.split,
        "rows": overall[0].rows,
        "rows_left_out": {
            "without_label": counted.without_label,
            "unknown_class": counted.unknown_class,
        },
        "model": {"digest": counted.models[0].digest},
        "metrics": _estimates(metrics[0]),
        "confidence": bootstrap.CONFIDENCE,
        "bootstrap_samples": samples,
        "seed": seed,
        "blessed": blessed,
        "checks": [asdict(check) for check in checks],
        "reasons": [str(check) for check in checks if blessed or not check.passed],
        "notes": _notes(counted, overall[0], change_thresholds),
        "slices": [asdict(part) for part in parts],
        "slices_left_out": {slicing.name: slicing.left_out for slicing in counted.slicings},
        "baseline": None
        if changes is None
        else {
            **asdict(counted.models[1]),
            "metrics": _estimates(metrics[1]),
            "changes": _estimates(changes),
        },
        **_pictures(counted.measurements[0], spec),
    }


def _calibration_error(measurement: Measurement) -> dict[str, Estimate]:
    if not isinstance(measurement.pictures, BinaryPictures):
        return {}
    error = calibration_error(measurement.pictures.calibration())
    return {CALIBRATION_ERROR: Estimate(error, None)}


def _changes(
    overall: Sequence[Measured], metrics: Sequence[Mapping[str, Estimate]]
) -> dict[str, Estimate]:
    changes = overall[0].minus(overall[1]).estimates()
    if CALIBRATION_ERROR in metrics[0]:
        ours, theirs = (each[CALIBRATION_ERROR].value for each in metrics)
        changes[CALIBRATION_ERROR] = Estimate(ours - theirs, None)
    return changes


def _slices(counted: Counted, weights: Floats) -> Iterable[SliceEstimates]:
    for position, slicing in enumerate(counted.slicings):
        for cell, title in enumerate(slicing.titles()):
            measured = [
                measurement.sliced[position].measured(cell, weights)
                for measurement in counted.measurements
            ]
            changes = measured[0].minus(measured[1]).estimates() if len(measured) > 1 else {}
            # A slice whose rows all lack a usable label has nothing measured.
            if measured[0].rows:
                yield SliceEstimates(
                    slicing=slicing.name,
                    name=title,
                    rows=measured[0].rows,
                    metrics=measured[0].estimates(),
                    changes=changes,
                )


def _estimates(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: asdict(estimate) for name, estimate in estimates.items()}


def _notes(counted: Counted, measured: Measured, change_thresholds: Sequence[Bound]) -> list[str]:
    spec = counted.spec
    notes = []
    if counted.without_label:
        notes.append(f"{counted.without_label} rows have no label and were left out.")
    if counted.unknown_class:
        notes.append(
            f"{counted.unknown_class} rows have a class that the model does not know, and were "
            "left out."
        )
    undefined = [name for name, value in measured.points.items() if math.isnan(value)]
    if undefined:
        notes.append(f"{', '.join(undefined)}: undefined here. {_why_undefined(counted)}")
    if change_thresholds and len(counted.measurements) == 1:
        notes.append("change_thresholds were not checked: there is no baseline model.")
    notes.extend(_calibration_note(counted, measured) if spec.task == "binary" else ())
    notes.extend(
        f"{slicing.left_out} smaller slices of {slicing.name} were not measured."
        for slicing in counted.slicings
        if slicing.left_out
    )
    return notes


def _why_undefined(counted: Counted) -> str:
    statistics = counted.measurements[0].overall
    if isinstance(statistics, BinaryStatistics | MulticlassStatistics):
        confusion = statistics.confusion()
        present = confusion.sum(1).nonzero()[0]
        if len(present) == 1:
            name = counted.spec.classes[present[0]]
            return f"Every row of split {counted.split!r} has class {name!r}."
        return "The model never answers the positive class."
    return f"Every row of split {counted.split!r} has the same label."


def _calibration_note(counted: Counted, measured: Measured) -> Iterable[str]:
    statistics = counted.measurements[0].overall
    if not isinstance(statistics, BinaryStatistics):
        return
    share = statistics.confusion()[1].sum() / measured.rows
    if not 0 < share < 1:
        return
    constant = -share * math.log(share) - (1 - share) * math.log(1 - share)
    if measured.points["log_loss"] > constant:
        yield (
            f"The log loss, {measured.points['log_loss']:.4g}, is above that of always answering "
            f"the share of positives, {constant:.4g}: do not read the probabilities as such. "
            "Balanced class weights have this effect."
        )


def _pictures(measurement: Measurement, spec: ModelSpec) -> dict[str, Any]:
    statistics, pictures = measurement.overall, measurement.pictures
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
    if isinstance(statistics, BinaryStatistics) and isinstance(pictures, BinaryPictures):
        negatives, positives = statistics.ranks.histograms(0)
        drawn = curves(negatives, positives, statistics.ranks.bins.thresholds())
        found["curves"] = None if drawn is None else asdict(drawn)
        found["curves_exact"] = statistics.ranks.bins.exact
        found["calibration"] = [asdict(part) for part in pictures.calibration()]
        found["score_histogram"] = dict(
            zip(("negative", "positive"), pictures.histogram.tolist(), strict=True)
        )
    if isinstance(pictures, RegressionPictures):
        found["residuals"] = {
            "edges": pictures.residual_edges.tolist(),
            "counts": pictures.residuals.tolist(),
        }
        found["predicted_actual"] = {
            "edges": pictures.value_edges.tolist(),
            "counts": pictures.map.tolist(),
        }
        found["means"] = [
            {"predicted": predicted, "actual": actual} for predicted, actual in pictures.means()
        ]
    return found
