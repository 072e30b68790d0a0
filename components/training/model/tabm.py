"""TabM: an ensemble of networks that share their weights, in one graph.

TabM (Gorishniy et al. 2024) is an MLP whose members multiply the inputs of shared layers by vectors
of their own, as in BatchEnsemble (Wen et al. 2020). Here the first layer, the widest, is computed
once for all members; they differ in the sign, scale and bias that follow it, and in the output.

Numbers come twice: as they are, and as sums of waves of trained frequencies (Gorishniy et al.
2022), in the small form of RealMLP (Holzmüller et al. 2024).
"""

import math
from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.training.model import members
from kfp_tabular.components.training.model.features import side_by_side
from kfp_tabular.components.training.model.model_context import NUMERIC, ModelContext

MEMBERS = 8
_WIDTH = 128
_LAYERS = 3
_WAVES = 16
_WAVE_WIDTH = 4
_FREQUENCY = 0.1
"""Standard deviation of a wave's initial frequency, in waves per standard deviation of a column."""


def logits(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    """Return the logits of the members' mean prediction.

    Args:
        context: What the model is built from.
        inputs: From `context.inputs`.
    """
    import tf_keras

    seen = side_by_side(context, inputs)
    if context.numeric:
        waves = _waves(inputs[NUMERIC], len(context.numeric))
        seen = tf_keras.layers.Concatenate()([seen, waves])
    hidden = _apart(tf_keras.layers.Dense(_WIDTH, use_bias=False, name="hidden_0")(seen))
    for layer in range(_LAYERS):
        if layer:
            hidden = tf_keras.layers.Dense(_WIDTH, name=f"hidden_{layer}")(hidden)
        hidden = tf_keras.layers.ReLU()(hidden)
        if context.hyperparameters.dropout:
            # The members share the mask, which costs an eighth of the random numbers.
            hidden = tf_keras.layers.Dropout(
                context.hyperparameters.dropout, noise_shape=(None, 1, None)
            )(hidden)
    return members.average(context.task, _outputs(context, hidden))


def _apart(shared: Any) -> Any:
    """Return `[batch, members, width]`: `[batch, width]` with each member's signs and biases."""
    import tensorflow as tf
    import tf_keras

    def signs(shape: Any, dtype: Any = None) -> Any:
        return tf.sign(tf_keras.initializers.RandomUniform(-1, 1)(shape, dtype))

    class MemberScale(tf_keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            each = (MEMBERS, shape[-1])
            self.scale = self.add_weight("scale", each, initializer=signs)
            start = tf_keras.initializers.RandomUniform(-0.1, 0.1)
            self.bias = self.add_weight("bias", each, initializer=start)

        def call(self, inputs: Any) -> Any:
            return inputs[:, None, :] * self.scale + self.bias

    return MemberScale(name="member_scale")(shared)


def _waves(numbers: Any, count: int) -> Any:
    """Return each of the first `count` numbers as `_WAVE_WIDTH` sums of waves, side by side."""
    import tensorflow as tf
    import tf_keras

    initializers = tf_keras.initializers

    class Waves(tf_keras.layers.Layer):  # type: ignore[misc]
        def build(self, _shape: Any) -> None:
            each = (count, _WAVES)
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
            waves = tf.cos(inputs[:, :count, None] * self.frequency + self.phase)
            sums = tf.einsum("bcf,cfw->bcw", waves, self.wave)
            return tf.reshape(sums, [-1, count * _WAVE_WIDTH]) + self.bias

    return Waves(name="waves")(numbers)


def _outputs(context: ModelContext, hidden: Any) -> Any:
    """Return the logits of each member, `[batch, members, units]`."""
    import tf_keras

    initializers = tf_keras.initializers
    prior = [list(context.prior)] * MEMBERS
    return tf_keras.layers.EinsumDense(
        "bmw,mwu->bmu",
        output_shape=(MEMBERS, context.units),
        bias_axes="mu",
        kernel_initializer=initializers.RandomUniform(-(_WIDTH**-0.5), _WIDTH**-0.5),
        bias_initializer=initializers.Constant(prior),
        name="output",
    )(hidden)
