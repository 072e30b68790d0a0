"""Predictions of a model: from packed rows, or from logits in a graph."""

from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.model.model_context import CATEGORICAL, NUMERIC

_PREDICT_ROWS = 8192


class Predictor:
    """A model's predictions for packed rows.

    Args:
        model: A model from the packed inputs to logits `[batch, units]`.
        kind: The kind of task.
    """

    def __init__(self, model: Any, kind: TaskKind) -> None:
        import tensorflow as tf

        self._model = model
        self._kind = kind
        self._predict = tf.function(self._outputs, input_signature=input_specs(model))

    def predict(self, rows: PackedRows) -> "np.ndarray[Any, Any]":
        """Return probabilities `[rows, classes]`, or standardized values `[rows]`."""
        values = [
            self._predict(part.numeric, part.categorical).numpy()
            for start in range(0, len(rows), _PREDICT_ROWS)
            for part in [rows.take(slice(start, start + _PREDICT_ROWS))]
        ]
        return np.concatenate(values)

    def _outputs(self, numeric: Any, categorical: Any) -> Any:
        logits = self._model({NUMERIC: numeric, CATEGORICAL: categorical}, training=False)
        return predictions(self._kind, logits)


def input_specs(model: Any) -> list[Any]:
    """Return the tensor specs of a model's packed inputs: numeric, then categorical."""
    import tensorflow as tf

    return [
        tf.TensorSpec([None, model.input[NUMERIC].shape[1]], tf.float32),
        tf.TensorSpec([None, model.input[CATEGORICAL].shape[1]], tf.int32),
    ]


def predictions(kind: TaskKind, logits: Any) -> Any:
    """Return probabilities `[batch, classes]` or values `[batch]` for logits `[batch, units]`."""
    import tensorflow as tf

    if kind == "multiclass":
        return tf.nn.softmax(logits)
    if kind == "binary":
        positive = tf.sigmoid(logits[:, 0])
        return tf.stack([1.0 - positive, positive], axis=1)
    return logits[:, 0]
