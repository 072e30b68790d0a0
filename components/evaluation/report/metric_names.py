"""Metrics for readers: their names, and whether a value is better than another."""

from collections.abc import Sequence

from kfp_tabular.components.evaluation.metrics.directions import LOWER_IS_BETTER, ZERO_IS_BEST

_LABELS = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "pr_auc": "PR-AUC",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "precision_weighted": "precision, weighted",
    "recall_weighted": "recall, weighted",
    "f1_weighted": "F1, weighted",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "bias": "bias",
}


def label(name: str) -> str:
    """Return a metric's name for readers.

    Example:
        >>> label("pr_auc"), label("r2")
        ('PR-AUC', 'R²')
    """
    return _LABELS.get(name, name.replace("_", " "))


def is_better(name: str, value: float, other: float) -> bool:
    """Whether a value of a metric is better than another.

    Example:
        >>> is_better("auc", 0.9, 0.8), is_better("log_loss", 0.9, 0.8), is_better("bias", -1, 2)
        (True, False, True)
    """
    if name in ZERO_IS_BEST:
        return abs(value) < abs(other)
    return value < other if name in LOWER_IS_BETTER else value > other


def badness(name: str, value: float) -> float:
    """Return a number to sort by: the larger, the worse.

    Example:
        >>> badness("auc", 0.8) > badness("auc", 0.9), badness("rmse", 2.0) > badness("rmse", 1.0)
        (True, True)
    """
    if name in ZERO_IS_BEST:
        return abs(value)
    return value if name in LOWER_IS_BETTER else -value


def verdict(name: str, value: float, other: float, interval: Sequence[float] | None) -> bool | None:
    """Whether a value is better than another; None where chance alone may explain it.

    Args:
        name: The metric.
        value: The value.
        other: What it is compared with.
        interval: The value's interval; None if it has none, so that nothing can be said.

    Example:
        >>> verdict("auc", 0.9, 0.8, (0.85, 0.95)), verdict("auc", 0.9, 0.88, (0.85, 0.95))
        (True, None)
    """
    if interval is None or value == other or interval[0] <= other <= interval[1]:
        return None
    return is_better(name, value, other)
