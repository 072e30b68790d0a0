"""Metrics of predictions in memory, for early stopping and tuning."""

from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind

Array = "np.ndarray[Any, Any]"

_LOWER_IS_BETTER = {"log_loss", "rmse", "mae"}
_SMALLEST_PROBABILITY = 1e-7


def objective(kind: TaskKind, *, balanced: bool = False) -> str:
    """Return the metric of the eval split that decides which weights are best.

    It is the proper score that training minimizes, too: ties are rare, and better probabilities
    count. With balanced class weights a model's probabilities do not fit the split, so that a
    binary one is chosen by its order of rows.

    Args:
        kind: The task's kind.
        balanced: Whether training weighs the classes.

    Example:
        >>> objective("binary"), objective("binary", balanced=True), objective("regression")
        ('log_loss', 'auc', 'rmse')
    """
    if kind == "regression":
        return "rmse"
    return "auc" if kind == "binary" and balanced else "log_loss"


def better(metric: str, value: float, best: float | None) -> bool:
    """Return whether a value improves on the best one; NaN never does.

    Example:
        >>> better("rmse", 2.0, 3.0), better("auc", 0.7, 0.8)
        (True, False)
    """
    if best is None:
        return not np.isnan(value)
    return value < best if metric in _LOWER_IS_BETTER else value > best


def binary(label: "np.ndarray[Any, Any]", probability: "np.ndarray[Any, Any]") -> dict[str, float]:
    """Return `auc`, `log_loss` and `accuracy` (at threshold 0.5).

    Args:
        label: 0 or 1, shape `[rows]`.
        probability: Of class 1, shape `[rows]`.

    Returns:
        The metrics; `auc` is NaN if only one class is present.

    Example:
        >>> metrics = binary(np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9]))
        >>> metrics["auc"], metrics["accuracy"]
        (0.75, 0.5)
    """
    p = np.clip(probability.astype(np.float64), _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    positive = label == 1
    return {
        "auc": auc(positive, probability),
        "log_loss": float(-np.where(positive, np.log(p), np.log1p(-p)).mean()),
        "accuracy": float(((probability >= 0.5) == positive).mean()),
    }


def auc(positive: "np.ndarray[Any, Any]", score: "np.ndarray[Any, Any]") -> float:
    """Return the area under the ROC curve: the Mann-Whitney statistic, ties counted half.

    Args:
        positive: Boolean, shape `[rows]`.
        score: Higher for the positive class, shape `[rows]`.

    Example:
        >>> auc(np.array([False, True, True]), np.array([0.2, 0.2, 0.9]))
        0.75
    """
    positives = int(positive.sum())
    negatives = len(positive) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank = last - (counts - 1) / 2
    ranks = float(mean_rank[inverse][positive].sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def multiclass(
    label: "np.ndarray[Any, Any]", probabilities: "np.ndarray[Any, Any]"
) -> dict[str, float]:
    """Return `log_loss` and `accuracy`.

    Args:
        label: Class indices, shape `[rows]`.
        probabilities: Shape `[rows, classes]`.

    Example:
        >>> metrics = multiclass(np.array([0, 2]), np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]))
        >>> round(metrics["log_loss"], 4), metrics["accuracy"]
        (1.0397, 0.5)
    """
    of_label = probabilities[np.arange(len(label)), label].astype(np.float64)
    return {
        "log_loss": float(-np.log(np.maximum(of_label, _SMALLEST_PROBABILITY)).mean()),
        "accuracy": float((probabilities.argmax(axis=1) == label).mean()),
    }


def regression(
    label: "np.ndarray[Any, Any]", prediction: "np.ndarray[Any, Any]"
) -> dict[str, float]:
    """Return `rmse`, `mae` and `r2`.

    Args:
        label: Shape `[rows]`.
        prediction: Shape `[rows]`.

    Returns:
        The metrics in the label's unit; `r2` is NaN if the label does not vary.

    Example:
        >>> regression(np.array([1.0, 3.0]), np.array([1.0, 2.0]))["mae"]
        0.5
    """
    truth = label.astype(np.float64)
    error = prediction.astype(np.float64) - truth
    spread = float(((truth - truth.mean()) ** 2).sum())
    squares = float((error**2).sum())
    return {
        "rmse": float(np.sqrt(squares / len(truth))),
        "mae": float(np.abs(error).mean()),
        "r2": 1 - squares / spread if spread else float("nan"),
    }


def score(
    kind: TaskKind, label: "np.ndarray[Any, Any]", prediction: "np.ndarray[Any, Any]"
) -> dict[str, float]:
    """Return the metrics of a task.

    Args:
        kind: The task's kind.
        label: Shape `[rows]`.
        prediction: Probabilities `[rows, classes]`, or values `[rows]` for regression.

    Example:
        >>> score("binary", np.array([0, 1]), np.array([[0.75, 0.25], [0.25, 0.75]]))["auc"]
        1.0
        >>> sorted(score("regression", np.array([1.0, 3.0]), np.array([1.0, 2.0])))
        ['mae', 'r2', 'rmse']
    """
    if kind == "binary":
        return binary(label, prediction[:, 1])
    if kind == "multiclass":
        return multiclass(label, prediction)
    return regression(label, prediction)
