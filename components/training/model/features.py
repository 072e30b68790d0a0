"""What the deep parts of the networks see: numbers, projections of vectors, embeddings of ids."""

from collections.abc import Mapping, Sequence
from typing import Any

from kfp_tabular.components.training.input.packed_rows import Categorical, slices
from kfp_tabular.components.training.model.model_context import CATEGORICAL, NUMERIC, ModelContext

_LARGEST_EMBEDDING = 8
_LARGEST_PROJECTION = 64
_ROWS_TO_TRUST_AN_ID = 40
_HIGHEST_COLUMN_DROPOUT = 0.9


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


def side_by_side(context: ModelContext, inputs: Mapping[str, Any]) -> Any:
    """Return all features side by side, `[batch, width]`.

    Args:
        context: What the model is built from.
        inputs: From `context.inputs`.
    """
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
        )(offset(ids, columns))
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


def offset(ids: Any, columns: Sequence[Categorical]) -> Any:
    """Return ids that count on from column to column, for a table that the columns share."""
    offsets, total = [], 0
    for column in columns:
        offsets.append(total)
        total += column.size
    return ids + offsets
