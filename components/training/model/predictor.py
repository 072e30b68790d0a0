"""Predictions of a model: from packed rows, or from logits in a graph."""

from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.training.input.packed_rows import ColumnLayout, PackedRows
from kfp_tabular.components.training.model.logits_model import LogitsModel
from kfp_tabular.components.training.model.model_context import CATEGORICAL, NUMERIC

_PREDICT_ROWS = 8192


class Predictor:
    """A model's predictions for packed rows.

    Args:
        model: A model from the packed inputs to logits `[batch, units]`.
        kind: The kind of task.
        layout: How the rows are packed.
    """

    def __init__(self, model: LogitsModel, kind: TaskKind, layout: ColumnLayout) -> None:
        import tensorflow as tf

        self._model = model
        self._kind = kind
        self._logits = tf.function(self._raw, input_signature=input_specs(layout))
        self._predict = tf.function(self._outputs, input_signature=input_specs(layout))

    def predict(self, rows: PackedRows) -> "np.ndarray[Any, Any]":
        """Return probabilities `[rows, classes]`, or standardized values `[rows]`."""
        return _in_parts(self._predict, rows)

    def logits(self, rows: PackedRows) -> "np.ndarray[Any, Any]":
        """Return the model's logits, float32 `[rows, units]`."""
        return _in_parts(self._logits, rows)

    def _raw(self, numeric: Any, categorical: Any) -> Any:
        return self._model({NUMERIC: numeric, CATEGORICAL: categorical}, training=False)

    def _outputs(self, numeric: Any, categorical: Any) -> Any:
        return predictions(self._kind, self._raw(numeric, categorical))


def input_specs(layout: ColumnLayout) -> list[Any]:
    """Return the tensor specs of packed rows: numeric, then categorical."""
    import tensorflow as tf

    return [
        tf.TensorSpec([None, layout.width], tf.float32),
        tf.TensorSpec([None, len(layout.categorical)], tf.int32),
    ]


def _in_parts(function: Any, rows: PackedRows) -> "np.ndarray[Any, Any]":
    values = [
        function(part.numeric, part.categorical).numpy()
        for start in range(0, len(rows), _PREDICT_ROWS)
        for part in [rows.take(slice(start, start + _PREDICT_ROWS))]
    ]
    return np.concatenate(values)


def predictions(kind: TaskKind, logits: Any) -> Any:
    """Return probabilities `[batch, classes]` or values `[batch]` for logits `[batch, units]`."""
    import tensorflow as tf

    if kind == "multiclass":
        return tf.nn.softmax(logits)
    if kind == "binary":
        positive = tf.sigmoid(logits[:, 0])
        return tf.stack([1.0 - positive, positive], axis=1)
    return logits[:, 0]
