"""What the Kubeflow UI shows of an evaluation."""

from collections.abc import Mapping
from typing import Any

_MOST_CLASSES = 50
_OTHER = "(other)"


def scalars(document: Mapping[str, Any]) -> dict[str, float]:
    """Gives the metrics on all rows by plain name."""
    return {name: float(entry["value"]) for name, entry in document["metrics"].items()}


def roc_curve(document: Mapping[str, Any]) -> tuple[list[float], list[float], list[float]] | None:
    """Gives false and true positive rates and thresholds; None where there is no curve."""
    found = document.get("curves")
    if not found:
        return None
    return found["false_positive_rates"], found["recalls"], found["thresholds"]


def confusion_matrix(document: Mapping[str, Any]) -> tuple[list[str], list[list[int]]] | None:
    """Gives the classes and the counts, a row by actual class; None for regression.

    Of more than 50 classes, the 49 with the most rows are shown and the rest is `(other)`.
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
