"""The architectures: linear, dnn, wide_and_deep and dcn_v2, from packed matrices to logits.

All are functional tf_keras models of two inputs, `numeric` and `categorical`, that return logits
`[batch, units]`. Categorical columns share one table per embedding width; each column's offset is
added to its ids. The wide part sees every number of a vector column, the deep part a projection.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kfp_tabular.components.common.artifacts.hyperparameters import (
    layer_widths,
)
from kfp_tabular.components.training.input.packed_rows import Categorical, slices
from kfp_tabular.components.training.model.model_context import CATEGORICAL, NUMERIC, ModelContext

_LARGEST_EMBEDDING = 8
_LARGEST_PROJECTION = 64
_ROWS_TO_TRUST_AN_ID = 40
_HIGHEST_COLUMN_DROPOUT = 0.9
_LINEAR_GAIN = 20.0

_logger = logging.getLogger(__name__)


def embedding_width(size: int, given: int = 0) -> int:
    """Return the width of an embedding for the size of its vocabulary.

    It is `0.8 * size ** 0.56`, rounded up to a power of two so that columns share tables, from 2 to
    8. The exponent is that of fastai's rule for tabular data (`emb_sz_rule`, which is twice as
    wide). Half the width did as well or better here, with a third of the parameters, because every
    number has a bucketed copy. Wider embeddings memorize the few rows of a rare id.

    Args:
        size: Number of ids.
        given: A fixed width that overrides the rule; 0 for none.

    Example:
        >>> embedding_width(10), embedding_width(1000), embedding_width(1000, 5)
        (4, 8, 5)
    """
    if given:
        return given
    wanted = min(0.8 * size**0.56, _LARGEST_EMBEDDING)
    width = 2
    while width < wanted:
        width *= 2
    return width


def column_dropout(size: int, rows: int) -> float:
    """Return the share of training rows in which the deep part does not see a column.

    It is `40 / (40 + rows per id)`, at most 0.9, as a shrinkage estimator (`k / (k + n)`) moves the
    estimate for a small group towards that for all. The network then relies less on rare ids. With
    thousands of rows per id the share is close to 0. The 40 was chosen on validation data.

    Args:
        size: Number of ids.
        rows: Rows of the train split, at least one.

    Example:
        >>> column_dropout(size=5, rows=200)
        0.5
    """
    wanted = _ROWS_TO_TRUST_AN_ID / (_ROWS_TO_TRUST_AN_ID + rows / size)
    return min(wanted, _HIGHEST_COLUMN_DROPOUT)


def projection_width(width: int) -> int:
    """Return the width to which the deep part projects a vector column.

    Vectors of at most 64 numbers are not projected. The wide part sees all numbers in any case.

    Example:
        >>> projection_width(1024), projection_width(16)
        (64, 16)
    """
    return min(width, _LARGEST_PROJECTION)


def build(context: ModelContext) -> Any:
    """Return a model of one of the shipped architectures.

    Args:
        context: What to build; `hyperparameters.model_type` chooses.

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
    return _head(context, _tower(context, _features(context, inputs)))


def _wide_and_deep(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    """The sum of the logits of both parts (Cheng et al. 2016), without manual crosses."""
    import tf_keras

    wide = _wide(context, inputs, bias=None)
    return tf_keras.layers.Add(name="logits")([wide, _dnn(context, inputs)])


def _dcn_v2(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    """DCN-v2, parallel structure (Wang et al. 2021, section 3): x0 * (W x + b) + x."""
    import tf_keras

    start = crossed = _features(context, inputs)
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
    )(_offset(inputs[CATEGORICAL], context.categorical))
    return tf_keras.layers.Add()([logits, tf.reduce_sum(weights, axis=1)])


def _features(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    import tensorflow as tf
    import tf_keras

    by_width: dict[int, list[int]] = {}
    for index, column in enumerate(context.categorical):
        width = embedding_width(column.size, context.hyperparameters.embedding_dimension)
        by_width.setdefault(width, []).append(index)
    parts = _numbers(context, inputs[NUMERIC])
    for width, indices in sorted(by_width.items()):
        columns = [context.categorical[index] for index in indices]
        ids = tf.gather(inputs[CATEGORICAL], indices, axis=1)
        vectors = tf_keras.layers.Embedding(
            sum(column.size for column in columns), width, name=f"embedding_{width}"
        )(_offset(ids, columns))
        if context.hyperparameters.dropout:
            rates = [column_dropout(column.size, context.rows) for column in columns]
            vectors = _drop_columns(vectors, rates, f"column_dropout_{width}")
        parts.append(tf_keras.layers.Reshape((width * len(columns),))(vectors))
    return parts[0] if len(parts) == 1 else tf_keras.layers.Concatenate(name="features")(parts)


def _numbers(context: ModelContext, numbers: Any) -> list[Any]:
    """Return the numeric columns, and a projection of each vector column."""
    import tf_keras

    if not context.vectors:
        return [numbers] if context.numeric else []
    first = len(context.numeric)
    parts = [numbers[:, :first]] if first else []
    for index, (vector, part) in enumerate(slices(first, context.vectors)):
        values = numbers[:, part]
        if vector.width > projection_width(vector.width):
            values = tf_keras.layers.Dense(
                projection_width(vector.width), activation="relu", name=f"vector_{index}"
            )(values)
        parts.append(values)
    return parts


def _drop_columns(vectors: Any, rates: Sequence[float], name: str) -> Any:
    """Zero whole columns of `[batch, columns, width]` in training, each at its own rate."""
    import tensorflow as tf
    import tf_keras

    keep = [[1.0 - rate] for rate in rates]

    # Keras's Dropout takes one rate for all columns; its generator is kept in the checkpoints.
    class ColumnDropout(tf_keras.layers.Dropout):  # type: ignore[misc]
        def call(self, inputs: Any, training: bool | None = None) -> Any:
            if not training:
                return inputs
            drawn = self._random_generator.random_uniform([tf.shape(inputs)[0], len(keep), 1])
            return inputs * tf.cast(drawn < keep, inputs.dtype) / keep

    return ColumnDropout(max(rates), name=name)(vectors)


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


def _offset(ids: Any, columns: Sequence[Categorical]) -> Any:
    offsets, total = [], 0
    for column in columns:
        offsets.append(total)
        total += column.size
    return ids + offsets
