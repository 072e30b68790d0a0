"""The measures, with nothing but numpy: the same arithmetic for every model."""

import numpy as np
import numpy.typing as npt

_LEAST = 1e-7
"""No probability counts as less: one sure mistake of a float32 model is not infinite."""

Array = npt.NDArray[np.float64]


def measure(
    task: str, labels: npt.NDArray[np.int64] | Array, predictions: Array
) -> dict[str, float]:
    """Return `score`, the lower the better, and what else tells something.

    Args:
        task: `binary`, `multiclass` or `regression`.
        labels: Class indices, or numbers; shape `[rows]`.
        predictions: Probabilities of shape `[rows, classes]`, or numbers of shape `[rows]`.
    """
    if task == "regression":
        error = np.asarray(predictions, np.float64) - labels
        spread = float(np.mean((labels - np.mean(labels)) ** 2))
        mean_square = float(np.mean(error**2))
        return {"score": mean_square**0.5, "r2": 1 - mean_square / spread}
    measured = {
        "score": log_loss(labels, predictions),
        "accuracy": float(np.mean(np.argmax(predictions, axis=1) == labels)),
    }
    if task == "binary":
        measured["auc"] = auc(labels, predictions[:, 1])
    return measured


def log_loss(labels: npt.NDArray[np.int64], probabilities: Array) -> float:
    """Return the mean negative log probability of the true class.

    Example:
        >>> round(log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.25, 0.75]])), 4)
        0.4904
    """
    given = np.asarray(probabilities, np.float64)
    true = given[np.arange(len(labels)), labels] / given.sum(axis=1)
    return float(-np.mean(np.log(np.clip(true, _LEAST, 1))))


def auc(labels: npt.NDArray[np.int64], scores: Array) -> float:
    """Return the area under the ROC curve; half of it for ties.

    Example:
        >>> auc(np.array([0, 1, 1]), np.array([0.2, 0.2, 0.9]))
        0.75
    """
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    positive = labels == 1
    count = int(positive.sum())
    if count in (0, len(labels)):
        return float("nan")
    above = mean_rank[inverse][positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(labels) - count)))
