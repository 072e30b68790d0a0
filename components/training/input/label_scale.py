"""How a regression label is transformed and standardized for training, and how that is undone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

NONE, LOG, RANK = "none", "log", "rank"
"""Values of the hyperparameter `label_transform`."""

QUANTILES = 255
"""Quantiles that `rank` interpolates between; enough for a label of many peaks."""

_LARGEST = 88.0
"""The largest float32 is exp(88.7): a prediction stays finite."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelScale:
    """The way from a label to what a model is trained on, and back.

    A label is first transformed: `log` takes the logarithm of one plus its absolute value, with its
    sign; `rank` the normal score of its rank, interpolated between quantiles and continued in a
    line beyond them. Then the mean is subtracted, and the standard deviation divides. Every step
    can be undone, so a loss can be measured in the label's own unit.

    Attributes:
        transform: `none`, `log` or `rank`.
        mean: Mean of the transformed label.
        deviation: Its standard deviation.
        labels: Labels at the quantiles of `rank`, ascending.
        scores: Their normal scores, ascending.

    Example:
        >>> scale = LabelScale("log", mean=1.0, deviation=2.0)
        >>> scale.standardized(np.array([0.0, math.expm1(3.0)])).tolist()
        [-0.5, 1.0]
        >>> scale.restored(np.array([-0.5])).tolist()
        [0.0]
    """

    transform: str = NONE
    mean: float = 0.0
    deviation: float = 1.0
    labels: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()

    @property
    def is_linear(self) -> bool:
        """Whether a loss of the standardized label is one of the label, by a factor."""
        return self.transform == NONE

    def transformed(self, label: npt.NDArray[Any]) -> Array:
        """Return labels transformed, not yet standardized, in double precision."""
        values = label.astype(np.float64)
        if self.transform == LOG:
            return np.asarray(np.copysign(np.log1p(np.abs(values)), values))
        if self.transform == RANK:
            return _line(values, np.array(self.labels), np.array(self.scores))
        return values

    def standardized(self, label: npt.NDArray[Any]) -> Array:
        """Return labels as a model is trained on them."""
        return np.asarray((self.transformed(label) - self.mean) / self.deviation)

    def restored(self, values: npt.NDArray[Any]) -> Array:
        """Return predictions in the label's own unit."""
        found = values.astype(np.float64) * self.deviation + self.mean
        if self.transform == LOG:
            size = np.minimum(np.abs(found), _LARGEST)
            return np.asarray(np.copysign(np.expm1(size), found))
        if self.transform == RANK:
            return _line(found, np.array(self.scores), np.array(self.labels))
        return found

    def restored_tensor(self, values: Any) -> Any:
        """Return predictions in the label's own unit, as TensorFlow operations.

        Args:
            values: Predictions of the standardized label, float32.
        """
        import tensorflow as tf

        found = values * self.deviation + self.mean
        if self.transform == LOG:
            size = tf.minimum(tf.abs(found), _LARGEST)
            return tf.sign(found) * tf.math.expm1(size)
        if self.transform == RANK:
            scores = tf.constant(self.scores, tf.float32)
            labels = tf.constant(self.labels, tf.float32)
            last = len(self.scores) - 1
            place = tf.searchsorted(scores, tf.reshape(found, [-1]), side="right")
            right = tf.reshape(tf.clip_by_value(place, 1, last), tf.shape(found))
            low, high = tf.gather(scores, right - 1), tf.gather(scores, right)
            start, end = tf.gather(labels, right - 1), tf.gather(labels, right)
            return start + (end - start) * (found - low) / (high - low)
        return found

    def fitted(self, mean: float, deviation: float) -> "LabelScale":
        """Return this transform with the moments of the transformed label."""
        return replace(self, mean=mean, deviation=deviation)


AS_IT_IS = LabelScale()
"""Labels as they are."""


def of_quantiles(quantiles: Sequence[Sequence[float]]) -> LabelScale:
    """Return a `rank` transform.

    Args:
        quantiles: Labels at evenly spaced quantiles, from the smallest to the largest, of each
            process of the training; all count alike, because their shares are equal.

    Example:
        >>> found = of_quantiles([[1.0, 2.0, 10.0]])
        >>> found.restored(found.transformed(np.array([1.0, 6.0, 99.0]))).round(9).tolist()
        [1.0, 6.0, 99.0]
    """
    joined = np.sort(np.asarray(quantiles, np.float64).ravel())
    places = (np.arange(len(joined)) + 0.5) / len(joined)
    # Equal labels have one rank, the mean of theirs.
    labels, groups = np.unique(joined, return_inverse=True)
    middle = np.bincount(groups, places) / np.bincount(groups)
    normal = NormalDist()
    scores = [normal.inv_cdf(float(place)) for place in middle]
    if len(labels) == 1:
        # A constant label: any two scores will do.
        labels, scores = np.array([labels[0], math.nextafter(labels[0], math.inf)]), [0.0, 1.0]
    return LabelScale(RANK, labels=tuple(labels.tolist()), scores=tuple(scores))


def _line(values: Array, places: Array, heights: Array) -> Array:
    """Return the heights of a line through points, continued beyond its ends."""
    right = np.clip(np.searchsorted(places, values, side="right"), 1, len(places) - 1)
    low, start = places[right - 1], heights[right - 1]
    slope = (heights[right] - start) / (places[right] - low)
    return np.asarray(start + slope * (values - low))
