"""Missing values in a preprocessing function.

A raw feature is dense; a missing value is NaN, the smallest int64 or the empty text. These two
functions keep that convention out of one's own `preprocessing_fn`.
"""

from typing import Any

from kfp_tabular.components.common.features import MISSING_INT, MISSING_STRING
from kfp_tabular.components.common.tensorflow import import_tensorflow


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
