"""The metrics of a constant answer, to read a model's metrics against.

A classifier that knows nothing but the shares of the classes answers these for every row; a
regression model answers the mean. What such an answer reaches is exact: it follows from the rows of
each class, or from the labels.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

_HALF = 0.5  # the area under the ROC curve of equal scores


def of_classes(rows: Sequence[int], threshold: float | None) -> dict[str, float]:
    """Return the metrics of always answering the shares of the classes.

    Args:
        rows: The evaluated rows of each class; of two classes, the second is the positive one.
        threshold: The decision threshold of a binary model, otherwise None.

    Returns:
        The values by the names of `binary` or `multiclass`. A metric that is undefined for such an
        answer, as precision where no row is predicted positive, is absent.

    Example:
        >>> found = of_classes([90, 10], threshold=0.5)
        >>> found["accuracy"], found["pr_auc"], "precision" in found
        (0.9, 0.1, False)
    """
    total = sum(rows)
    if not total:
        return {}
    shares = [count / total for count in rows]
    loss = -sum(share * math.log(share) for share in shares if share)
    ranked = {"auc": _HALF} if sum(share > 0 for share in shares) > 1 else {}
    if threshold is None:
        return {**_multiclass(shares), "log_loss": loss, **ranked}
    positive = shares[1]
    found = {"log_loss": loss, "brier": positive * (1 - positive), "ece": 0.0, **ranked}
    if positive:
        found["pr_auc"] = positive
    answers_yes = positive >= threshold
    found["accuracy"] = positive if answers_yes else 1 - positive
    if answers_yes:
        found["precision"] = positive
    if positive:
        found["recall"] = 1.0 if answers_yes else 0.0
        found["f1"] = 2 * positive / (1 + positive) if answers_yes else 0.0
    return found


def _multiclass(shares: Sequence[float]) -> dict[str, float]:
    largest, classes = max(shares), sum(share > 0 for share in shares)
    harmonic = 2 * largest / (1 + largest)
    return {
        "accuracy": largest,
        "precision": largest / classes,
        "recall": 1 / classes,
        "f1": harmonic / classes,
        "precision_weighted": largest * largest,
        "recall_weighted": largest,
        "f1_weighted": largest * harmonic,
    }


def of_numbers(metrics: Mapping[str, float], labels: npt.NDArray[np.generic]) -> dict[str, float]:
    """Return the metrics of always answering the mean of the labels.

    Args:
        metrics: The model's metrics on all rows, by the names of `regression`: the root mean
            squared error of the mean follows from `rmse` and `r2`.
        labels: The labels of a sample of rows, for the mean absolute error.

    Example:
        >>> of_numbers({"rmse": 1.0, "r2": 0.75}, np.array([0.0, 4.0]))
        {'rmse': 2.0, 'mae': 2.0, 'r2': 0.0, 'bias': 0.0}
    """
    actual = labels.astype(np.float64)
    if not len(actual) or "r2" not in metrics:
        return {}
    left = 1 - metrics["r2"]
    spread = metrics["rmse"] / math.sqrt(left) if left > 0 else float(actual.std())
    error = float(np.abs(actual - actual.mean()).mean())
    return {"rmse": spread, "mae": error, "r2": 0.0, "bias": 0.0}
