"""The measures, with nothing but numpy: the same arithmetic for every model."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Self

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
    mean_loss = float(np.mean(losses(task, labels, predictions)))
    if task == "regression":
        spread = float(np.mean((labels - np.mean(labels)) ** 2))
        return {"score": mean_loss**0.5, "r2": 1 - mean_loss / spread}
    measured = {
        "score": mean_loss,
        "accuracy": float(np.mean(np.argmax(predictions, axis=1) == labels)),
    }
    if task == "binary":
        measured["auc"] = auc(labels, predictions[:, 1])
    return measured


def losses(task: str, labels: npt.NDArray[np.int64] | Array, predictions: Array) -> Array:
    """Return each row's loss: the square of the error, or -log of the true class's probability.

    The score is the mean, of a regression its root. The arguments are those of `measure`.

    Example:
        >>> losses("binary", np.array([0, 1]), np.array([[0.5, 0.5], [0.25, 0.75]])).round(4)
        array([0.6931, 0.2877])
    """
    given = np.asarray(predictions, np.float64)
    if task == "regression":
        return np.asarray((given - labels) ** 2, np.float64)
    true = given[np.arange(len(labels)), labels] / given.sum(axis=1)
    return np.asarray(-np.log(np.clip(true, _LEAST, 1)), np.float64)


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


class Stopwatch:
    """Wall and CPU time of a block; the latter depends less on what else the machine does.

    Example:
        >>> with Stopwatch() as watch:
        ...     total = sum(range(10))
        >>> sorted(watch.values("train"))
        ['train_cpu_seconds', 'train_seconds']
    """

    def __enter__(self) -> Self:
        self._started = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        wall, cpu = self._started
        self.wall, self.cpu = time.perf_counter() - wall, time.process_time() - cpu

    def values(self, name: str) -> dict[str, float]:
        """Return both in seconds."""
        return {f"{name}_seconds": self.wall, f"{name}_cpu_seconds": self.cpu}


def speed(
    predict: Callable[[Any], object], rows: Sequence[Any], many: Any, count: int
) -> dict[str, float]:
    """Return the time of one row in ms, and the rows per second of a large batch.

    Args:
        predict: Takes rows as `rows` and `many` have them.
        rows: Inputs of one row each.
        many: An input of many rows.
        count: How many.
    """
    predict(many)
    predict(rows[0])
    each = []
    with Stopwatch() as single:
        for row in rows:
            started = time.perf_counter()
            predict(row)
            each.append(time.perf_counter() - started)
    with Stopwatch() as batch:
        predict(many)
    return {
        "row_ms": 1000 * float(np.median(each)),
        "row_cpu_ms": 1000 * single.cpu / len(rows),
        "rows_per_second": count / batch.wall,
        "rows_per_cpu_second": count / batch.cpu,
    }
