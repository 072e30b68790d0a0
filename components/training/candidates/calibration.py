"""Calibration of a classifier's probabilities on rows that it was not trained on.

- Temperature: logits are divided by a number, the one with the least log loss (Guo et al., "On
  Calibration of Modern Neural Networks", 2017). No ranking changes.
- Isotonic, for two classes: the best rising function of the logit, in the squared error, by pooling
  neighbors that are in the wrong order (Zadrozny and Elkan, 2002). Between its steps it is linear,
  as in scikit-learn. It repairs any shape, needs about a thousand rows of each class, and makes
  ties.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.training.options import TEMPERATURE

Floats = npt.NDArray[np.float64]

_STEPS = 200
_COLDEST, _HOTTEST = 0.01, 100.0


@dataclass(frozen=True)
class Calibration:
    """A map from logits to calibrated ones.

    Attributes:
        method: `temperature` or `isotonic`.
        rows: The rows that it was fitted on.
        temperature: What logits are divided by.
        logits: Isotonic: the points of the map, ascending.
        probabilities: Isotonic: the probabilities there.
    """

    method: str
    rows: int
    temperature: float = 1.0
    logits: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return what `model.json` records."""
        found: dict[str, Any] = {"method": self.method, "rows": self.rows, "split": "eval"}
        if self.method == TEMPERATURE:
            return {**found, "temperature": self.temperature}
        return {**found, "points": len(self.logits)}


def fit(method: str, logits: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Calibration:
    """Fit a calibration.

    Args:
        method: `temperature` or `isotonic`.
        logits: The model's logits, `[rows, units]`.
        labels: The classes.

    Example:
        >>> logits = np.array([[-8.0], [-6.0], [6.0], [8.0]])
        >>> fit("temperature", logits, np.array([0, 1, 0, 1])).temperature > 5
        True
    """
    values, classes = logits.astype(np.float64), labels.astype(np.int64)
    if method == TEMPERATURE:
        return Calibration(method, len(classes), temperature(values, classes))
    points, probabilities = isotonic(values[:, 0], classes)
    return Calibration(
        method,
        len(classes),
        logits=tuple(points.tolist()),
        probabilities=tuple(probabilities.tolist()),
    )


def temperature(logits: Floats, labels: npt.NDArray[np.int64]) -> float:
    """Return the temperature with the least log loss, from 0.01 to 100.

    The loss is convex in one over the temperature, so its slope decides where the least is.
    """
    low, high = 1 / _HOTTEST, 1 / _COLDEST
    for _ in range(_STEPS):
        middle = float(np.sqrt(low * high))
        if _slope(logits, labels, middle) > 0:
            high = middle
        else:
            low = middle
    return float(1 / np.sqrt(low * high))


def isotonic(logits: Floats, labels: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the points of the isotonic map: logits, ascending, and probabilities.

    The lowest and the highest probability are kept from 0 and 1 by half a row.
    """
    points, place = np.unique(logits, return_inverse=True)
    rows = np.bincount(place).astype(np.float64)
    values, sizes, starts = _pooled(np.bincount(place, labels) / rows, rows)
    ends = np.append(starts[1:], len(points)) - 1
    least, most = 0.5 / (sizes[0] + 1), 1 - 0.5 / (sizes[-1] + 1)
    bounded = np.clip(values, min(least, most), max(least, most))
    both = np.unique(np.concatenate([starts, ends]))
    owner = np.searchsorted(starts, both, side="right") - 1
    return points[both], bounded[owner]


def _pooled(means: Floats, rows: Floats) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Pool adjacent values that fall: return means, rows and starts of the blocks."""
    values: list[float] = []
    sizes: list[float] = []
    starts: list[int] = []
    for start, (mean, count) in enumerate(zip(means.tolist(), rows.tolist(), strict=True)):
        values.append(mean)
        sizes.append(count)
        starts.append(start)
        while len(values) > 1 and values[-2] >= values[-1]:
            last, size = values.pop(), sizes.pop()
            starts.pop()
            total = sizes[-1] + size
            values[-1] = (values[-1] * sizes[-1] + last * size) / total
            sizes[-1] = total
    return np.array(values), np.array(sizes), np.array(starts, np.int64)


def _slope(logits: Floats, labels: npt.NDArray[np.int64], scale: float) -> float:
    """Return the slope of the log loss along the scale of the logits."""
    if logits.shape[1] == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    scaled = scale * logits
    scaled -= scaled.max(axis=1, keepdims=True)
    weights = np.exp(scaled)
    expected = (weights * logits).sum(1) / weights.sum(1)
    return float((expected - np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]).mean())
