"""Functions for your own `preprocessing_fn`: missing values, and ids with a known range.

A raw feature is dense; a missing value is NaN, the smallest int64 or the empty text. These
functions hide that convention from the `preprocessing_fn`.
"""

from typing import Any

from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT, MISSING_STRING
from kfp_tabular.components.common.process.tensorflow import import_tensorflow


def is_missing(raw: Any) -> Any:
    """Return which values are missing.

    Args:
        raw: A raw feature: float32, int64 or string, any shape.

    Returns:
        bool, in the same shape. An infinite number counts as missing.

    Raises:
        TypeError: The tensor has another type.

    Example:
        >>> is_missing(import_tensorflow().constant(["a", ""])).numpy().tolist()
        [False, True]
    """
    tf = import_tensorflow()
    if raw.dtype == tf.float32:
        return tf.logical_not(tf.math.is_finite(raw))
    if raw.dtype == tf.int64:
        return tf.equal(raw, tf.constant(MISSING_INT, tf.int64))
    if raw.dtype == tf.string:
        return tf.equal(raw, MISSING_STRING)
    raise TypeError(f"expected a raw feature of float32, int64 or string, found {raw.dtype.name}")


def fill_missing(raw: Any, value: Any) -> Any:
    """Replace missing values.

    Args:
        raw: A raw feature: float32, int64 or string, any shape.
        value: The replacement: a Python value or a tensor that broadcasts, such as
            `tft.mean(...)`.

    Returns:
        The feature without missing values, in the same type and shape.

    Example:
        >>> fill_missing(import_tensorflow().constant([1.5, float("nan")]), 0.0).numpy().tolist()
        [1.5, 0.0]
    """
    tf = import_tensorflow()
    return tf.where(is_missing(raw), tf.cast(value, raw.dtype), raw)


def category(ids: Any, size: int) -> Any:
    """Declare ids as a category, so that training gives them an embedding.

    `tft.compute_and_apply_vocabulary` and `tft.bucketize` declare their ids themselves. Use this
    for ids from other sources, such as `tft.hash_strings`.

    Args:
        ids: Whole numbers from 0 to below `size`, of any integer type.
        size: The number of ids.

    Returns:
        The ids as int64. The `preprocessing_fn` must return this tensor itself. Outside a graph,
        as in a notebook, there is nothing to declare: the function returns the ids alone.

    Example:
        >>> category(import_tensorflow().constant([0, 3]), size=4).dtype.name
        'int64'
    """
    tf = import_tensorflow()
    from tensorflow_transform import schema_inference

    declared = tf.cast(ids, tf.int64)
    if declared is ids:
        # The declaration belongs to the tensor, and another output may use the same tensor.
        declared = tf.identity(ids)
    if tf.executing_eagerly():
        # TFT keeps declarations in the default graph, and every later graph copies them.
        return declared
    low, high = tf.constant(0, tf.int64), tf.constant(size - 1, tf.int64)
    schema_inference.set_tensor_schema_override(declared, low, high)
    return declared
