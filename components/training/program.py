"""The TensorFlow side of training: strategy, step loop, predictions.

A call of `Program.train` runs many steps inside one graph, because at batch 40 the way from
Python into TensorFlow costs more than a step.
"""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.training.layout import Rows
from kfp_tabular.components.training.models import CATEGORICAL, NUMERIC
from kfp_tabular.components.training.roles import Place
from kfp_tabular.components.training.schedule import Schedule

_PREDICT_ROWS = 8192

_logger = logging.getLogger(__name__)


def make_strategy(here: Place) -> Any:
    """Chooses the distribution strategy.

    More than one worker: MultiWorkerMirroredStrategy; this waits until all of them are there.
    More than one visible GPU: MirroredStrategy. Else the default strategy, which uses the one GPU
    or the CPU.
    """
    import tensorflow as tf

    if here.workers > 1:
        # Not left to TF_CONFIG: an evaluator in there is no part of this cluster.
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({role: list(hosts) for role, hosts in here.cluster.items()}),
            task_type=here.role,
            task_id=here.index,
            rpc_layer="grpc",
            num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
        )
        return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def make_optimizer(hyperparameters: Hyperparameters, steps: int) -> Any:
    """Makes the optimizer: Adam, with decoupled weight decay where `l2` is above 0.

    The learning rate is `constant`; or `cosine`: it rises over the first 5 % of the steps and
    falls to zero; or `exponential`: it falls to a hundredth.
    """
    import tf_keras

    peak, name = hyperparameters.learning_rate, hyperparameters.learning_rate_schedule
    schedules = tf_keras.optimizers.schedules
    rate: Any = peak
    if name == "exponential":
        rate = schedules.ExponentialDecay(peak, steps, 0.01)
    elif name == "cosine":
        warm_up = max(1, steps // 20)
        rate = schedules.CosineDecay(
            0.0, max(1, steps - warm_up), warmup_target=peak, warmup_steps=warm_up
        )
    if not hyperparameters.l2:
        return tf_keras.optimizers.Adam(rate)
    optimizer = tf_keras.optimizers.AdamW(rate, weight_decay=hyperparameters.l2)
    optimizer.exclude_from_weight_decay(var_names=["bias", "embedding", "wide"])
    return optimizer


class Predictor:
    """A model's predictions for packed rows.

    Args:
        model: From the packed inputs to logits `[batch, units]`.
        kind: The task's kind.
    """

    def __init__(self, model: Any, kind: TaskKind) -> None:
        import tensorflow as tf

        self._model = model
        self._kind = kind
        self._predict = tf.function(self._outputs, input_signature=_matrices(model))

    def predict(self, rows: Rows) -> "np.ndarray[Any, Any]":
        """Gives probabilities `[rows, classes]`, or standardised values `[rows]`."""
        values = [
            self._predict(part.numeric, part.categorical).numpy()
            for start in range(0, len(rows), _PREDICT_ROWS)
            for part in [rows.take(slice(start, start + _PREDICT_ROWS))]
        ]
        return np.concatenate(values)

    def _outputs(self, numeric: Any, categorical: Any) -> Any:
        logits = self._model({NUMERIC: numeric, CATEGORICAL: categorical}, training=False)
        return outputs(self._kind, logits)


class Program:
    """The training steps of a model with its optimizer, as a function over packed rows.

    Attributes:
        steps: The graph function behind `train`, of numeric, categorical and label.

    Args:
        strategy: From `make_strategy`; the model and the optimizer were made in its scope.
        model: From the packed inputs to logits `[batch, units]`.
        optimizer: A tf_keras optimizer.
        kind: The task's kind.
        class_weights: Weight of each class; None for equal ones.
        schedule: Says how many rows a step takes.
        local_replicas: Replicas of this process.
    """

    def __init__(
        self,
        strategy: Any,
        model: Any,
        optimizer: Any,
        *,
        kind: TaskKind,
        class_weights: Sequence[float] | None,
        schedule: Schedule,
        local_replicas: int,
    ) -> None:
        import tensorflow as tf

        self._model = model
        self._optimizer = optimizer
        self._strategy = strategy
        self._kind = kind
        self._class_weights = None if class_weights is None else list(class_weights)
        self._batch = schedule.replica_batch
        self._local_replicas = local_replicas
        label = tf.TensorSpec([None], tf.float32 if kind == "regression" else tf.int32)
        self.steps = tf.function(self._steps, input_signature=[*_matrices(model), label])
        with strategy.scope():
            optimizer.build(model.trainable_variables)

    def train(self, rows: Rows) -> float:
        """Runs as many steps as the rows fill, and gives the mean loss of this process."""
        return float(self.steps(rows.numeric, rows.categorical, rows.label))

    def _steps(self, numeric: Any, categorical: Any, label: Any) -> Any:
        import tensorflow as tf

        rows = self._batch * self._local_replicas
        steps = tf.size(label) // rows
        total = tf.constant(0.0)
        for step in tf.range(steps):
            here = slice(step * rows, (step + 1) * rows)
            losses = self._strategy.run(
                self._step, args=(numeric[here], categorical[here], label[here])
            )
            local = self._strategy.experimental_local_results(losses)
            total += tf.add_n(local) / self._local_replicas
        return total / tf.cast(steps, tf.float32)

    def _step(self, numeric: Any, categorical: Any, label: Any) -> Any:
        import tensorflow as tf

        if self._local_replicas > 1:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            start = (replica % self._local_replicas) * self._batch
            here = slice(start, start + self._batch)
            numeric, categorical, label = numeric[here], categorical[here], label[here]
        label = tf.ensure_shape(label, [self._batch])
        with tf.GradientTape() as tape:
            logits = self._model({NUMERIC: numeric, CATEGORICAL: categorical}, training=True)
            loss = self._loss(label, logits)
            if self._model.losses:
                loss += tf.add_n(self._model.losses)
            # The optimizer sums gradients over the replicas.
            scaled = loss / self._strategy.num_replicas_in_sync
        variables = self._model.trainable_variables
        gradients = tape.gradient(scaled, variables)
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def _loss(self, label: Any, logits: Any) -> Any:
        import tensorflow as tf

        if self._kind == "multiclass":
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)
        elif self._kind == "binary":
            losses = tf.nn.sigmoid_cross_entropy_with_logits(
                tf.cast(label, tf.float32), logits[:, 0]
            )
        else:
            losses = tf.math.squared_difference(logits[:, 0], label)
        if self._class_weights is not None:
            losses *= tf.gather(tf.constant(self._class_weights, tf.float32), label)
        return tf.reduce_mean(losses)


def _matrices(model: Any) -> list[Any]:
    import tensorflow as tf

    return [
        tf.TensorSpec([None, model.input[NUMERIC].shape[1]], tf.float32),
        tf.TensorSpec([None, model.input[CATEGORICAL].shape[1]], tf.int32),
    ]


def outputs(kind: TaskKind, logits: Any) -> Any:
    """Turns logits `[batch, units]` into probabilities `[batch, classes]` or values `[batch]`."""
    import tensorflow as tf

    if kind == "multiclass":
        return tf.nn.softmax(logits)
    if kind == "binary":
        positive = tf.sigmoid(logits[:, 0])
        return tf.stack([1.0 - positive, positive], axis=1)
    return logits[:, 0]
