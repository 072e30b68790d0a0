"""Trees as TensorFlow operations: from packed matrices to logits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.training.model.model_context import CATEGORICAL, NUMERIC
from kfp_tabular.components.training.trees.export import catboost_document
from kfp_tabular.components.training.trees.export.tree_columns import TreeColumns
from kfp_tabular.components.training.trees.export.tree_tables import TreeTables, compile_trees


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
            leaf = self._leaf(self._conditions(inputs))
            values = tf.gather(tf.constant(tables.leaves), leaf)
            logits = tf.cast(tf.reduce_sum(values, axis=0) + tables.bias, tf.float32)
        return logits

    def _conditions(self, inputs: Mapping[str, Any]) -> Any:
        """Return whether each condition is true: uint8, shape `[conditions, batch]`."""
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
        features = tf.concat(parts, axis=0)
        true = tf.gather(features, tables.features) > tables.borders[:, None]
        return tf.cast(true, tf.uint8)

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
        """Return the row of each tree's leaf in the leaves: int32, `[trees, batch]`."""
        import tensorflow as tf

        tables = self.tables
        depth = tables.splits.shape[1]
        bits = tf.cast(conditions, tf.uint8 if depth <= 8 else tf.int32)
        leaf = tf.gather(bits, tables.splits[:, 0])
        for bit in range(1, depth):
            leaf += tf.gather(bits, tables.splits[:, bit]) * tf.constant(2**bit, bits.dtype)
        return tf.cast(leaf, tf.int32) + tables.leaf_offsets[:, None]
