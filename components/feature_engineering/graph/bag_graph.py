"""Computes the features of bags in the graph: counts of items, size, and statistics of numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.common.values import bags
from kfp_tabular.components.feature_engineering.features.bag_facts import (
    DECORATION,
    NUMBER,
    Scale,
)

MOST_DEVIATIONS = 10.0
"""Z-scores are clipped here."""


def items(raw: Any, separator: str) -> tuple[Any, Any]:
    """Return the items of all bags, and the row of each.

    Args:
        raw: Bags as text, shape `[batch]`; empty for a missing one.
        separator: What separates items of plain text; empty for bags as ingestion writes them.

    Example:
        >>> tf = import_tensorflow()
        >>> tokens, rows = items(tf.constant(['["red","blue"]', "", "[]", '["red"]']), "")
        >>> tokens.numpy().tolist(), rows.numpy().tolist()
        ([b'"red"', b'"blue"', b'"red"'], [0, 0, 3])
    """
    tf = import_tensorflow()
    pattern = DECORATION if separator else r"^\[|\]$"
    found = tf.strings.split(
        tf.strings.regex_replace(raw, pattern, ""), sep=separator or bags.SEPARATOR
    )
    tokens, rows = found.flat_values, found.value_rowids()
    if separator:
        tokens = tf.strings.strip(tokens)
    filled = tokens != ""
    return tf.boolean_mask(tokens, filled), tf.boolean_mask(rows, filled)


def counts(ids: Any, rows: Any, batch: Any, width: int) -> Any:
    """Return how often each item occurs in each bag, as `log2(1 + count)`.

    Args:
        ids: The id of each item, from 0 to below `width`.
        rows: The row of each item.
        batch: The number of rows.
        width: The number of ids.

    Returns:
        float32, shape `[batch, width]`: 0, 1, 1.58 and 2 for 0, 1, 2 and 3 times.

    Example:
        >>> tf = import_tensorflow()
        >>> ids, rows = tf.constant([0, 0, 0, 1], tf.int64), tf.constant([1, 1, 1, 1], tf.int64)
        >>> counts(ids, rows, 2, 2).numpy().tolist()
        [[0.0, 0.0], [2.0, 1.0]]
    """
    tf = import_tensorflow()
    places = tf.stack([rows, ids], axis=1)
    shape = tf.stack([tf.cast(batch, tf.int64), tf.constant(width, tf.int64)])
    found = tf.scatter_nd(places, tf.ones_like(ids, tf.float32), shape)
    found.set_shape([None, width])
    return tf.math.log1p(found) / np.float32(np.log(2.0))


def statistics(
    tokens: Any, rows: Any, missing: Any, batch: Any, scales: Mapping[str, Scale]
) -> Any:
    """Return the z-scores of the size and, if `scales` has them, of statistics of numbers.

    A missing bag, and the numbers of an empty one, are average.

    Args:
        tokens: The items of all bags.
        rows: The row of each item.
        missing: Which bags are missing, shape `[batch]`.
        batch: The number of rows.
        scales: Mean and deviation by statistic.

    Returns:
        float32, shape `[batch, len(scales)]`.
    """
    tf = import_tensorflow()
    ones = tf.ones_like(rows, tf.float64)
    sizes = tf.math.unsorted_segment_sum(ones, rows, batch)
    average = tf.constant(scales["size"].mean, tf.float64)
    found = {"size": tf.where(missing, average, tf.math.log1p(sizes))}
    if len(scales) > 1:
        found |= _of_numbers(tokens, rows, batch, scales)
    scores = [(found[name] - scale.mean) / scale.deviation for name, scale in scales.items()]
    clipped = tf.clip_by_value(tf.stack(scores, axis=1), -MOST_DEVIATIONS, MOST_DEVIATIONS)
    return tf.cast(clipped, tf.float32)


def _of_numbers(tokens: Any, rows: Any, batch: Any, scales: Mapping[str, Scale]) -> dict[str, Any]:
    tf = import_tensorflow()
    # An item that is no number, as in plain text, does not count.
    fits = tf.strings.regex_full_match(tokens, NUMBER)
    numbers = tf.strings.to_number(tf.boolean_mask(tokens, fits), tf.float64)
    rows = tf.boolean_mask(rows, fits)
    sizes = tf.math.unsorted_segment_sum(tf.ones_like(numbers), rows, batch)
    empty = sizes == 0
    sums = tf.math.unsorted_segment_sum(numbers, rows, batch)
    found = {
        "sum": sums,
        "mean": tf.math.divide_no_nan(sums, sizes),
        "min": tf.math.unsorted_segment_min(numbers, rows, batch),
        "max": tf.math.unsorted_segment_max(numbers, rows, batch),
    }
    return {
        name: tf.where(empty, tf.constant(scales[name].mean, tf.float64), value)
        for name, value in found.items()
    }
