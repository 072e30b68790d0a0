"""For one's own `preprocessing_fn`: missing values, and ids that the schema knows of.

A raw feature is dense; a missing value is NaN, the smallest int64 or the empty text. These
functions keep that convention out of the `preprocessing_fn`.
"""

from typing import Any

from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT, MISSING_STRING
from kfp_tabular.components.common.process.tensorflow import import_tensorflow


def is_missing(raw: Any) -> Any:
    """Tells which values are missing.

    Args:
        raw: A raw feature: float32, int64 or string, any shape.

    Returns:
        bool, the same shape. An infinite number counts as missing.

    Raises:
        TypeError: For another type of tensor.
    """
    tf = import_tensorflow()
    if raw.dtype == tf.float32:
        return tf.logical_not(tf.math.is_finite(raw))
    if raw.dtype == tf.int64:
        return tf.equal(raw, tf.constant(MISSING_INT, tf.int64))
    if raw.dtype == tf.string:
        return tf.equal(raw, MISSING_STRING)
    raise TypeError(f"a raw feature is float32, int64 or string, not {raw.dtype.name}")


def fill_missing(raw: Any, value: Any) -> Any:
    """Replaces missing values.

    Args:
        raw: A raw feature: float32, int64 or string, any shape.
        value: What to put there: a Python value or a tensor that broadcasts, such as
            `tft.mean(...)`.

    Returns:
        The feature without missing values, same type and shape.
    """
    tf = import_tensorflow()
    return tf.where(is_missing(raw), tf.cast(value, raw.dtype), raw)


def category(ids: Any, size: int) -> Any:
    """Declares ids as a category, so that training gives them an embedding.

    `tft.compute_and_apply_vocabulary` and `tft.bucketize` declare theirs; this is for ids that
    come from elsewhere, `tft.hash_strings` among them.

    Args:
        ids: Whole numbers from 0 to below `size`, any integer type.
        size: The number of ids.

    Returns:
        The ids as int64. Return this very tensor from the `preprocessing_fn`.
    """
    tf = import_tensorflow()
    from tensorflow_transform import schema_inference

    declared = tf.cast(ids, tf.int64)
    if declared is ids:
        # The declaration belongs to a tensor; another output may be the same one.
        declared = tf.identity(ids)
    low, high = tf.constant(0, tf.int64), tf.constant(size - 1, tf.int64)
    schema_inference.set_tensor_schema_override(declared, low, high)
    return declared
