"""TabM: an ensemble of networks that share their weights, in one graph.

TabM (Gorishniy et al. 2024) is an MLP whose members multiply the inputs of shared layers by vectors
of their own, as in BatchEnsemble (Wen et al. 2020). Here the first layer, the widest, is computed
once for all members; they differ in the sign, scale and bias that follow it, and in the output.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.hyperparameters import layer_widths
from kfp_tabular.components.training.input.packed_rows import bucket_copies
from kfp_tabular.components.training.model import members, number_embeddings
from kfp_tabular.components.training.model.features import side_by_side
from kfp_tabular.components.training.model.model_context import CATEGORICAL, NUMERIC, ModelContext


def logits(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    """Return the logits of the members' mean prediction.

    Args:
        context: What the model is built from.
        inputs: From `context.inputs`.
    """
    import tf_keras

    parameters = context.hyperparameters
    hidden = _inputs(context, inputs)
    for layer, width in enumerate(layer_widths(parameters.hidden_units)):
        if not layer:
            hidden = tf_keras.layers.Dense(width, use_bias=False, name="hidden_0")(hidden)
            hidden = _apart(hidden, parameters.members)
        else:
            hidden = tf_keras.layers.Dense(width, name=f"hidden_{layer}")(hidden)
        hidden = tf_keras.layers.ReLU()(hidden)
        if parameters.dropout:
            # The members share the mask: random numbers take longer than multiplications.
            hidden = tf_keras.layers.Dropout(parameters.dropout, noise_shape=(None, 1, None))(
                hidden
            )
    outputs = _outputs(context, hidden)
    if context.numeric:
        outputs += _line(context, inputs[NUMERIC])[:, None, :]
    return members.average(context.task, outputs)


def _inputs(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    """Return what the first layer sees, `[batch, width]`."""
    import tensorflow as tf
    import tf_keras

    parts = []
    if context.numeric:
        parts.append(number_embeddings.waves(inputs[NUMERIC], len(context.numeric), context.ranges))
    ordered = bucket_copies(context.numeric, context.categorical)
    if ordered:
        ids, columns = inputs[CATEGORICAL], context.categorical
        parts.append(
            number_embeddings.stairs(
                tf.gather(ids, ordered, axis=1), [columns[index] for index in ordered]
            )
        )
        others = [index for index in range(len(columns)) if index not in ordered]
        # An empty list would be of floats: where all columns are numbers, none is left.
        left = tf.gather(ids, np.asarray(others, np.int32), axis=1)
        inputs = {**inputs, CATEGORICAL: left}
        context = replace(context, categorical=tuple(columns[index] for index in others))
    parts.append(side_by_side(context, inputs))
    return parts[0] if len(parts) == 1 else tf_keras.layers.Concatenate()(parts)


def _apart(shared: Any, count: int) -> Any:
    """Return `[batch, members, width]`: `[batch, width]` with each member's signs and biases."""
    import tensorflow as tf
    import tf_keras

    def signs(shape: Any, dtype: Any = None) -> Any:
        return tf.sign(tf_keras.initializers.RandomUniform(-1, 1)(shape, dtype))

    class MemberScale(tf_keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            each = (count, shape[-1])
            self.scale = self.add_weight("scale", each, initializer=signs)
            start = tf_keras.initializers.RandomUniform(-0.1, 0.1)
            self.bias = self.add_weight("bias", each, initializer=start)

        def call(self, inputs: Any) -> Any:
            return inputs[:, None, :] * self.scale + self.bias

    return MemberScale(name="member_scale")(shared)


def _line(context: ModelContext, numbers: Any) -> Any:
    """Return what all members add: a weighted sum of the numbers, `[batch, units]`.

    Within the range the rest of the network needs no help. Beyond it, where waves and stairs stay
    as they are, this goes on with the trend.
    """
    import tf_keras

    return tf_keras.layers.Dense(
        context.units, use_bias=False, kernel_initializer="zeros", name="wide_numeric"
    )(numbers[:, : len(context.numeric)])


def _outputs(context: ModelContext, hidden: Any) -> Any:
    """Return the logits of each member, `[batch, members, units]`."""
    import tf_keras

    initializers = tf_keras.initializers
    count, width = hidden.shape[1:]
    return tf_keras.layers.EinsumDense(
        "bmw,mwu->bmu",
        output_shape=(count, context.units),
        bias_axes="mu",
        kernel_initializer=initializers.RandomUniform(-(width**-0.5), width**-0.5),
        bias_initializer=initializers.Constant([list(context.prior)] * count),
        name="output",
    )(hidden)
