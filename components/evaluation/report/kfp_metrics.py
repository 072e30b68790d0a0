"""The metrics, the ROC curve and the confusion matrix that the Kubeflow UI shows."""

from collections.abc import Mapping
from typing import Any, Protocol

_MOST_CLASSES = 50
_OTHER = "(other)"


class MetricsArtifact(Protocol):
    """The part of `dsl.Metrics` that is used here."""

    def log_metric(self, metric: str, value: float) -> None:
        """Record a metric."""


class ClassificationMetricsArtifact(Protocol):
    """The part of `dsl.ClassificationMetrics` that is used here."""

    def log_roc_curve(self, fpr: list[float], tpr: list[float], threshold: list[float]) -> None:
        """Record the ROC curve."""

    def log_confusion_matrix(self, categories: list[str], matrix: list[list[int]]) -> None:
        """Record the confusion matrix."""


def log(
    document: Mapping[str, Any],
    metrics: MetricsArtifact,
    classification_metrics: ClassificationMetricsArtifact,
) -> None:
    """Record an evaluation in the artifacts that the Kubeflow UI shows.

    Args:
        document: The content of `evaluation.json`.
        metrics: Gets the metrics on all rows.
        classification_metrics: Gets the ROC curve and the confusion matrix, if there are any.

    Example:
        >>> from kfp import dsl
        >>> metrics = dsl.Metrics()
        >>> document = {"metrics": {"rmse": {"value": 2.5, "interval": [2.25, 2.75]}}}
        >>> log(document, metrics, dsl.ClassificationMetrics())
        >>> metrics.metadata
        {'rmse': 2.5}
    """
    for name, value in scalars(document).items():
        metrics.log_metric(name, value)
    curve = roc_curve(document)
    if curve is not None:
        classification_metrics.log_roc_curve(*curve)
    matrix = confusion_matrix(document)
    if matrix is not None:
        classification_metrics.log_confusion_matrix(*matrix)


def scalars(document: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics on all rows by name.

    Example:
        >>> scalars({"metrics": {"auc": {"value": 0.9, "interval": [0.88, 0.92]}}})
        {'auc': 0.9}
    """
    return {name: float(entry["value"]) for name, entry in document["metrics"].items()}


def roc_curve(document: Mapping[str, Any]) -> tuple[list[float], list[float], list[float]] | None:
    """Return false positive rates, true positive rates and thresholds; None without a curve.

    Example:
        >>> rates = {"thresholds": [1.0, 0.5], "false_positive_rates": [0.0, 0.25]}
        >>> roc_curve({"curves": {**rates, "recalls": [0.0, 1.0], "precisions": [1.0, 0.8]}})
        ([0.0, 0.25], [0.0, 1.0], [1.0, 0.5])
    """
    found = document.get("curves")
    if not found:
        return None
    return found["false_positive_rates"], found["recalls"], found["thresholds"]


def confusion_matrix(document: Mapping[str, Any]) -> tuple[list[str], list[list[int]]] | None:
    """Return the classes and the counts, a row for each actual class; None for regression.

    If there are more than 50 classes, the 49 with the most rows are kept and the rest is merged
    into `(other)`.

    Example:
        >>> matrix = {"classes": ["no", "yes"], "counts": [[90, 10], [5, 45]]}
        >>> confusion_matrix({"confusion_matrix": matrix})
        (['no', 'yes'], [[90, 10], [5, 45]])
    """
    found = document.get("confusion_matrix")
    if not found:
        return None
    classes, counts = found["classes"], found["counts"]
    if len(classes) <= _MOST_CLASSES:
        return classes, counts
    largest = sorted(range(len(classes)), key=lambda index: -sum(counts[index]))
    kept = sorted(largest[: _MOST_CLASSES - 1])
    place = {index: position for position, index in enumerate(kept)}
    size = len(kept) + 1
    merged = [[0] * size for _ in range(size)]
    for actual, row in enumerate(counts):
        for answered, number in enumerate(row):
            merged[place.get(actual, size - 1)][place.get(answered, size - 1)] += number
    return [*(classes[index] for index in kept), _OTHER], merged
