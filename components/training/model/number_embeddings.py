"""Embeddings of numbers: waves of trained frequencies, and stairs over a column's buckets.

A network bends slowly: as plain inputs, numbers give it smooth functions. Waves (Gorishniy et al.
2022, in the small form of RealMLP, Holzmüller et al. 2024) and steps at quantiles let it follow
thresholds, as trees do.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kfp_tabular.components.training.input.packed_rows import Categorical

_WAVES = 16
_WAVE_WIDTH = 4
_FREQUENCY = 0.1
"""Standard deviation of the initial frequencies, in waves per standard deviation of a column."""

_STAIR_WIDTH = 4
_STAIR_HEIGHT = 0.3
"""Standard deviation of the initial difference between the ends of a stair."""


def waves(numbers: Any, count: int, ranges: Sequence[tuple[float, float]] = ()) -> Any:
    """Return sums of waves of each of the first `count` numbers, side by side.

    Beyond a number's range they stay as they are at its end: where nothing was learned, a wave
    would go on up and down.

    Args:
        numbers: Keras tensor `[batch, at least count]`.
        count: How many of them, at least one.
        ranges: The smallest and the largest of each number in training; empty if unknown.
    """
    import tensorflow as tf
    import tf_keras

    initializers = tf_keras.initializers
    bounds = np.asarray(ranges or [(-np.inf, np.inf)] * count, np.float32)

    class Waves(tf_keras.layers.Layer):  # type: ignore[misc]
        def build(self, _shape: Any) -> None:
            each = (count, _WAVES)
            # A weight, so that whoever restores a checkpoint has the range, too.
            self.bounds = self.add_weight(
                "bounds", bounds.shape, initializer=initializers.Constant(bounds), trainable=False
            )
            spread, bound = 2 * math.pi * _FREQUENCY, _WAVES**-0.5
            self.frequency = self.add_weight(
                "frequency", each, initializer=initializers.RandomNormal(0, spread)
            )
            self.phase = self.add_weight(
                "phase", each, initializer=initializers.RandomUniform(-math.pi, math.pi)
            )
            self.wave = self.add_weight(
                "wave", (*each, _WAVE_WIDTH), initializer=initializers.RandomUniform(-bound, bound)
            )
            self.bias = self.add_weight("bias", (count * _WAVE_WIDTH,), initializer="zeros")

        def call(self, inputs: Any) -> Any:
            within = tf.clip_by_value(inputs[:, :count], self.bounds[:, 0], self.bounds[:, 1])
            waves = tf.cos(within[:, :, None] * self.frequency + self.phase)
            sums = tf.einsum("bcf,cfw->bcw", waves, self.wave)
            return tf.reshape(sums, [-1, count * _WAVE_WIDTH]) + self.bias

    return Waves(name="waves")(numbers)


def stairs(ids: Any, columns: Sequence[Categorical]) -> Any:
    """Return embeddings of ordered ids, side by side.

    The embedding of an id is the sum of the steps up to it, so that the rows of one bucket also
    move the embeddings of its neighbours.

    Args:
        ids: Keras tensor `[batch, columns]`.
        columns: The columns, at least one.
    """
    import tensorflow as tf
    import tf_keras

    size = max(column.size for column in columns)
    starts = [size * index for index in range(len(columns))]
    start = tf_keras.initializers.RandomNormal(0, _STAIR_HEIGHT / math.sqrt(size))

    class Stairs(tf_keras.layers.Layer):  # type: ignore[misc]
        def build(self, _shape: Any) -> None:
            self.step = self.add_weight(
                "step", (len(columns), size, _STAIR_WIDTH), initializer=start
            )

        def call(self, inputs: Any) -> Any:
            heights = tf.cumsum(self.step, axis=1)
            heights -= tf.reduce_mean(heights, axis=1, keepdims=True)
            found = tf.gather(tf.reshape(heights, [-1, _STAIR_WIDTH]), inputs + starts)
            return tf.reshape(found, [-1, len(columns) * _STAIR_WIDTH])

    return Stairs(name="stairs")(ids)
