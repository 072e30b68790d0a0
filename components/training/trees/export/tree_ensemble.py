"""Trees as TensorFlow operations: from packed matrices to logits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.training.model.model_context import CATEGORICAL, NUMERIC
from kfp_tabular.components.training.trees.export import catboost_document
from kfp_tabular.components.training.trees.export.tree_columns import TreeColumns
from kfp_tabular.components.training.trees.export.tree_tables import TreeTables, compile_trees

_MANY_UNITS = 4


def from_catboost(model: Any, columns: TreeColumns) -> "TreeEnsemble":
    """Return a trained CatBoost model as TensorFlow operations.

    It computes what `model.predict(pool, prediction_type="RawFormulaVal")` does. Supported are
    symmetric trees of numeric and categorical features, every `nan_mode`, equalities and target
    statistics of every type. Numbers may be missing, and infinite in prediction, but infinite
    numbers must be clipped to float32's range before training: CatBoost would put a border there,
    which its JSON cannot hold.

    Args:
        model: A trained `catboost.CatBoost`.
        columns: The packed columns of its features.

    Raises:
        ValueError: If the trees are not symmetric, or have features of text or embeddings, a border
            at infinity, or target statistics of too many combinations of categories
            (`max_ctr_complexity=1` has none).
    """
    return TreeEnsemble(compile_trees(catboost_document.read(model), columns))


@dataclass(frozen=True)
class TreeEnsemble:
    """A model of trees, from packed matrices to logits; it has no variables.

    Matrices are transposed first: a condition is then a row of consecutive values, and a gather
    copies whole rows.

    Attributes:
        tables: The trees.
    """

    tables: TreeTables

    @property
    def variables(self) -> tuple[Any, ...]:
        """No variables: the trees are constants of the graph."""
        return ()

    def __call__(self, inputs: Mapping[str, Any], *, training: bool = False) -> Any:
        """Return the logits.

        Args:
            inputs: `numeric`, float32 `[batch, width]`, and `categorical`, int32 `[batch, width]`.
            training: Changes nothing.

        Returns:
            float32, shape `[batch, units]`.
        """
        import tensorflow as tf

        del training
        tables = self.tables
        if not len(tables.splits):
            rows = tf.shape(inputs[NUMERIC])[0]
            logits = tf.tile(tf.constant(tables.bias[None], tf.float32), [rows, 1])
        else:
            logits = tf.cast(self._sum(self._leaf(self._conditions(inputs))), tf.float32)
        return logits

    def _conditions(self, inputs: Mapping[str, Any]) -> Any:
        """Return whether each condition is true: bool, shape `[conditions, batch]`."""
        import tensorflow as tf

        tables = self.tables
        parts = []
        if len(tables.numeric):
            numbers = tf.gather(tf.transpose(inputs[NUMERIC]), tables.numeric)
            if tables.missing_is_largest.any():
                largest = tables.missing_is_largest[:, None] & tf.math.is_nan(numbers)
                numbers = tf.where(largest, np.float32(np.inf), numbers)
            parts.append(numbers)
        if len(tables.lookup_offsets):
            parts.append(tf.gather(tf.constant(tables.table), self._positions(inputs, parts)))
        values = tf.gather(tf.concat(parts, axis=0), tables.block_features)
        true = values[:, None, :] > tables.block_borders[:, :, None]
        return tf.reshape(true, [tables.block_borders.size, tf.shape(values)[1]])

    def _positions(self, inputs: Mapping[str, Any], numbers: list[Any]) -> Any:
        """Return where each looked-up feature is in the table: int32, `[features, batch]`."""
        import tensorflow as tf

        tables = self.tables
        ids = tf.gather(tf.transpose(inputs[CATEGORICAL]), tables.categorical)
        sizes = tables.sizes[:, None]
        parts = tf.where((ids >= 0) & (ids < sizes), ids, sizes)
        if len(tables.bit_features):
            bits = tf.gather(numbers[0], tables.bit_features) > tables.bit_borders[:, None]
            parts = tf.concat([parts, tf.cast(bits, tf.int32)], axis=0)
        positions = tables.lookup_offsets[:, None]
        for column in range(tables.lookup_parts.shape[1]):
            part = tf.gather(parts, tables.lookup_parts[:, column])
            positions += part * tables.lookup_strides[:, column][:, None]
        return positions

    def _leaf(self, conditions: Any) -> Any:
        """Return the row of each tree's leaf in the leaves: int32, `[trees, batch]`.

        A leaf's number takes one or two bytes. Those of eight or four rows are added at once, as
        one number of 64 bits: no sum ever exceeds its own bytes.
        """
        import tensorflow as tf

        tables = self.tables
        trees, depth = tables.splits.shape
        lane = tf.uint8 if depth <= 8 else tf.uint16
        lanes = 8 // lane.size
        rows = tf.shape(conditions)[1]
        bits = tf.pad(tf.cast(conditions, lane), [[0, 0], [0, -rows % lanes]])
        words = tf.bitcast(tf.reshape(bits, [conditions.shape[0], -1, lanes]), tf.int64)
        leaf = tf.gather(words, tables.splits[:, depth - 1])
        for bit in reversed(range(depth - 1)):
            leaf = leaf + leaf + tf.gather(words, tables.splits[:, bit])
        leaf = tf.reshape(tf.bitcast(leaf, lane), [trees, tf.shape(bits)[1]])[:, :rows]
        return tf.cast(leaf, tf.int32) + tables.leaf_offsets[:, None]

    def _sum(self, leaf: Any) -> Any:
        """Return the sum of the trees' leaves: float64, `[batch, units]`."""
        import tensorflow as tf

        tables = self.tables
        trees, units = len(tables.splits), len(tables.bias)
        leaves = tf.constant(tables.leaves)
        rows = tf.shape(leaf)[1]
        if units < _MANY_UNITS:
            # gather_nd copies single numbers faster than gather, and matmul adds rows faster than
            # reduce_sum: 32 instead of 43 ms, and 2 instead of 15, for 600 trees and 8,192 rows.
            values = tf.reshape(tf.gather_nd(leaves, leaf[:, :, None]), [trees, rows * units])
            total = tf.reshape(tf.matmul(tf.ones([1, trees], tf.float64), values), [rows, units])
        else:
            # Adds while it reads: no tensor of all leaves, which takes gigabytes for many classes.
            total = tf.raw_ops.SparseSegmentSum(
                data=leaves,
                indices=tf.reshape(tf.transpose(leaf), [-1]),
                segment_ids=tf.repeat(tf.range(rows), trees),
            )
        return total + tables.bias
