"""The architectures: linear, dnn, wide_and_deep, dcn_v2 and tabm, from packed matrices to logits.

All are functional tf_keras models of two inputs, `numeric` and `categorical`, that return logits
`[batch, units]`. Categorical columns share one table per embedding width; each column's offset is
added to its ids. The wide part sees every number of a vector column, the deep part a projection.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kfp_tabular.components.common.artifacts.hyperparameters import layer_widths
from kfp_tabular.components.training.model import tabm
from kfp_tabular.components.training.model.features import offset, side_by_side
from kfp_tabular.components.training.model.model_context import CATEGORICAL, NUMERIC, ModelContext

_LINEAR_GAIN = 20.0

_logger = logging.getLogger(__name__)


def build(context: ModelContext) -> Any:
    """Return a model of one of the shipped architectures.

    Args:
        context: What to build; `model_type` chooses, and its hyperparameters are all chosen.

    Returns:
        A `tf_keras.Model` from the packed inputs to logits `[batch, units]`.
    """
    import tf_keras

    inputs = context.inputs()
    kind = context.hyperparameters.model_type
    logits = _ARCHITECTURES[kind](context, inputs)
    model = tf_keras.Model(inputs, logits, name=kind)
    _logger.info("model %s: %d parameters", kind, model.count_params())
    return model


def _linear(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    """A generalized linear model.

    Adam moves each weight by about the learning rate per step. These weights are larger than those
    of a network and would not reach their values in as many steps, so the logits are scaled.
    """
    import tf_keras

    # The logits are multiplied by 20, so the bias starts at a 20th of the prior.
    logits = _wide(context, inputs, bias=[value / _LINEAR_GAIN for value in context.prior])
    return tf_keras.layers.Rescaling(_LINEAR_GAIN, name="logits")(logits)


def _dnn(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    return _head(context, _tower(context, side_by_side(context, inputs)))


def _wide_and_deep(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    """The sum of the logits of both parts (Cheng et al. 2016), without manual crosses."""
    import tf_keras

    wide = _wide(context, inputs, bias=None)
    return tf_keras.layers.Add(name="logits")([wide, _dnn(context, inputs)])


def _dcn_v2(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    """DCN-v2, parallel structure (Wang et al. 2021, section 3): x0 * (W x + b) + x."""
    import tf_keras

    start = crossed = side_by_side(context, inputs)
    for layer in range(context.hyperparameters.cross_layers):
        weighted = tf_keras.layers.Dense(start.shape[-1], name=f"cross_{layer}")(crossed)
        crossed = tf_keras.layers.Add()([tf_keras.layers.Multiply()([start, weighted]), crossed])
    joined = tf_keras.layers.Concatenate()([crossed, _tower(context, start)])
    return _head(context, joined)


_ARCHITECTURES: dict[str, Callable[[ModelContext, Mapping[str, Any]], Any]] = {
    "linear": _linear,
    "dnn": _dnn,
    "wide_and_deep": _wide_and_deep,
    "dcn_v2": _dcn_v2,
    "tabm": tabm.logits,
}


def _wide(context: ModelContext, inputs: Mapping[str, Any], *, bias: Sequence[float] | None) -> Any:
    import tensorflow as tf
    import tf_keras

    # Without numeric columns the kernel has no rows and only the bias remains.
    logits = tf_keras.layers.Dense(
        context.units,
        kernel_initializer="zeros",
        bias_initializer=tf_keras.initializers.Constant(list(bias or [0.0])),
        use_bias=bias is not None,
        name="wide_numeric",
    )(inputs[NUMERIC])
    if not context.categorical:
        return logits
    weights = tf_keras.layers.Embedding(
        sum(column.size for column in context.categorical),
        context.units,
        embeddings_initializer="zeros",
        name="wide_categorical",
    )(offset(inputs[CATEGORICAL], context.categorical))
    return tf_keras.layers.Add()([logits, tf.reduce_sum(weights, axis=1)])


def _tower(context: ModelContext, features: Any) -> Any:
    import tf_keras

    parameters = context.hyperparameters
    for layer, width in enumerate(layer_widths(parameters.hidden_units)):
        features = tf_keras.layers.Dense(width, activation="relu", name=f"hidden_{layer}")(features)
        if parameters.dropout:
            features = tf_keras.layers.Dropout(parameters.dropout)(features)
    return features


def _head(context: ModelContext, features: Any) -> Any:
    import tf_keras

    return tf_keras.layers.Dense(
        context.units,
        bias_initializer=tf_keras.initializers.Constant(list(context.prior)),
        name="output",
    )(features)
