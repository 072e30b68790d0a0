"""The TensorFlow side of training: strategy, step loop, predictions.

A call of `Program.train` runs many steps inside one graph, because at batch 40 the way from
Python into TensorFlow costs more than a step.
"""

import json
import logging
import os
from typing import Any

import numpy as np

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.hyperparameters import Hyperparameters
from kfp_tabular.components.common.task import TaskKind
from kfp_tabular.components.training.layout import Rows
from kfp_tabular.components.training.models import CATEGORICAL, NUMERIC

_PREDICT_ROWS = 8192

_logger = logging.getLogger(__name__)


def make_strategy() -> Any:
    """Chooses the distribution strategy from TF_CONFIG and the visible GPUs.

    More than one worker in TF_CONFIG: MultiWorkerMirroredStrategy. More than one GPU:
    MirroredStrategy. Else the default strategy, which uses the one GPU or the CPU.

    Raises:
        UserError: Where TF_CONFIG is not JSON, or asks for parameter servers.
    """
    import tensorflow as tf

    text = os.environ.get("TF_CONFIG", "")
    try:
        cluster = json.loads(text).get("cluster", {}) if text else {}
    except (json.JSONDecodeError, AttributeError) as error:
        raise UserError(f"TF_CONFIG is not a JSON object: {error}") from error
    if cluster.get("ps"):
        raise UserError(
            "TF_CONFIG names parameter servers; training is synchronous. Use only chief and "
            "worker replicas."
        )
    if sum(len(cluster.get(role, ())) for role in ("chief", "worker")) > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def make_learning_rate(hyperparameters: Hyperparameters, steps: int) -> Any:
    """Gives the learning rate, or the schedule of it over `steps` steps.

    `cosine` rises over the first 5 % of the steps and falls to zero; `exponential` falls to a
    hundredth.

    Raises:
        UserError: For an unknown schedule.
    """
    import tf_keras

    peak, name = hyperparameters.learning_rate, hyperparameters.learning_rate_schedule
    schedules = tf_keras.optimizers.schedules
    if name == "constant":
        return peak
    if name == "exponential":
        return schedules.ExponentialDecay(peak, steps, 0.01)
    warm_up = max(1, steps // 20)
    return schedules.CosineDecay(0.0, max(1, steps - warm_up), 0.0, None, peak, warm_up)


class Program:
    """A model with its optimizer, as functions over packed rows.

    Args:
        strategy: From `make_strategy`; `model` and `optimizer` were made in its scope.
        model: From the packed inputs to logits `[batch, units]`.
        optimizer: A tf_keras optimizer.
        kind: The task's kind.
        class_weights: Weight of each class; None for equal ones.
        batch: Rows per step of one replica.
    """

    def __init__(
        self,
        strategy: Any,
        model: Any,
        optimizer: Any,
        *,
        kind: TaskKind,
        class_weights: "np.ndarray[Any, Any] | None",
        batch: int,
    ) -> None:
        import tensorflow as tf

        self.model = model
        self.optimizer = optimizer
        self._strategy = strategy
        self._kind = kind
        self._class_weights = None if class_weights is None else tf.constant(
            class_weights, tf.float32
        )
        self._batch = batch
        self._replicas = max(1, strategy.num_replicas_in_sync // _processes(strategy))
        numeric, categorical = (model.input[name].shape[1] for name in (NUMERIC, CATEGORICAL))
        matrices = [
            tf.TensorSpec([None, numeric], tf.float32),
            tf.TensorSpec([None, categorical], tf.int32),
        ]
        label = tf.TensorSpec([None], tf.float32 if kind == "regression" else tf.int32)
        self._train = tf.function(self._steps, input_signature=[*matrices, label])
        self._predict = tf.function(self._outputs, input_signature=matrices)
        with strategy.scope():
            optimizer.build(model.trainable_variables)

    def train(self, rows: Rows) -> float:
        """Runs as many steps as the rows fill, and gives the mean loss of this process."""
        return float(self._train(rows.numeric, rows.categorical, rows.label))

    def predict(self, rows: Rows) -> "np.ndarray[Any, Any]":
        """Gives probabilities `[rows, classes]`, or standardised values `[rows]`."""
        outputs = [
            self._predict(part.numeric, part.categorical).numpy()
            for start in range(0, len(rows), _PREDICT_ROWS)
            for part in [rows.take(slice(start, start + _PREDICT_ROWS))]
        ]
        return np.concatenate(outputs)

    def _steps(self, numeric: Any, categorical: Any, label: Any) -> Any:
        import tensorflow as tf

        rows = self._batch * self._replicas
        steps = tf.size(label) // rows
        total = tf.constant(0.0)
        for step in tf.range(steps):
            here = slice(step * rows, (step + 1) * rows)
            losses = self._strategy.run(
                self._step, args=(numeric[here], categorical[here], label[here])
            )
            total += tf.add_n(self._strategy.experimental_local_results(losses)) / self._replicas
        return total / tf.cast(steps, tf.float32)

    def _step(self, numeric: Any, categorical: Any, label: Any) -> Any:
        import tensorflow as tf

        if self._replicas > 1:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            start = (replica % self._replicas) * self._batch
            here = slice(start, start + self._batch)
            numeric, categorical, label = numeric[here], categorical[here], label[here]
        label = tf.ensure_shape(label, [self._batch])
        with tf.GradientTape() as tape:
            logits = self.model({NUMERIC: numeric, CATEGORICAL: categorical}, training=True)
            loss = self._loss(label, logits)
            if self.model.losses:
                loss += tf.add_n(self.model.losses)
            # The optimizer sums gradients over the replicas.
            scaled = loss / self._strategy.num_replicas_in_sync
        variables = self.model.trainable_variables
        self.optimizer.apply_gradients(
            zip(tape.gradient(scaled, variables), variables, strict=True)
        )
        return loss

    def _loss(self, label: Any, logits: Any) -> Any:
        import tensorflow as tf

        if self._kind == "multiclass":
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)
        elif self._kind == "binary":
            losses = tf.nn.sigmoid_cross_entropy_with_logits(
                tf.cast(label, tf.float32), logits[..., 0]
            )
        else:
            losses = tf.math.squared_difference(logits[..., 0], label)
        if self._class_weights is not None:
            losses *= tf.gather(self._class_weights, label)
        return tf.reduce_mean(losses)

    def _outputs(self, numeric: Any, categorical: Any) -> Any:
        logits = self.model({NUMERIC: numeric, CATEGORICAL: categorical}, training=False)
        return outputs(self._kind, logits)


def outputs(kind: TaskKind, logits: Any) -> Any:
    """Turns logits `[batch, units]` into probabilities `[batch, classes]` or values `[batch]`."""
    import tensorflow as tf

    if kind == "multiclass":
        return tf.nn.softmax(logits)
    if kind == "binary":
        positive = tf.sigmoid(logits[:, 0])
        return tf.stack([1.0 - positive, positive], axis=1)
    return logits[:, 0]


def _processes(strategy: Any) -> int:
    cluster = getattr(strategy, "cluster_resolver", None)
    if cluster is None:
        return 1
    spec = cluster.cluster_spec().as_dict()
    return sum(len(hosts) for role, hosts in spec.items() if role in ("chief", "worker")) or 1
