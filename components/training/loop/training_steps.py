"""Training steps: a model with its optimizer, as a graph function over packed rows.

A call of `TrainingSteps.train` runs many steps inside one graph, because at a batch of 40 rows a
call from Python into TensorFlow costs more than a step.
"""

import logging
from collections.abc import Sequence
from typing import Any

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.training.input.packed_rows import ColumnLayout, PackedRows
from kfp_tabular.components.training.loop.schedule import Schedule
from kfp_tabular.components.training.model.members import trained_on
from kfp_tabular.components.training.model.model_context import CATEGORICAL, NUMERIC
from kfp_tabular.components.training.model.predictor import input_specs

_logger = logging.getLogger(__name__)


def make_optimizer(hyperparameters: Hyperparameters, steps: int, averaged_steps: int = 0) -> Any:
    """Return the optimizer: Adam, with decoupled weight decay if `l2` is above 0.

    The learning rate is `constant`, or `cosine`: it rises over the first 5% of the steps and then
    falls to zero, or `exponential`: it falls to a hundredth.

    Args:
        hyperparameters: The learning rate, above 0, its schedule and `l2` are used.
        steps: All steps of the training.
        averaged_steps: Steps over which an exponential moving average of the weights reaches back;
            0 for no average.
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
    averaging: dict[str, Any] = {}
    if averaged_steps:
        averaging = {"use_ema": True, "ema_momentum": 1 - 1 / averaged_steps}
    if not hyperparameters.l2:
        return tf_keras.optimizers.Adam(rate, **averaging)
    optimizer = tf_keras.optimizers.AdamW(rate, weight_decay=hyperparameters.l2, **averaging)
    optimizer.exclude_from_weight_decay(var_names=["bias", "embedding", "wide"])
    return optimizer


class TrainingSteps:
    """The training steps of a model with its optimizer, as a function of packed rows.

    Attributes:
        steps: The graph function behind `train`, of numeric, categorical and label.

    Args:
        strategy: From `strategy.join`; the model and the optimizer were made in its scope.
        model: A model from the packed inputs to logits `[batch, units]`.
        optimizer: A tf_keras optimizer.
        layout: How the rows are packed.
        kind: The task's kind.
        class_weights: Weight of each class; None for equal weights.
        schedule: The schedule, which sets the rows per step.
        local_replicas: Replicas of this process.
    """

    def __init__(
        self,
        strategy: Any,
        model: Any,
        optimizer: Any,
        *,
        layout: ColumnLayout,
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
        self.steps = tf.function(self._steps, input_signature=[*input_specs(layout), label])
        with strategy.scope():
            self._trained_on = trained_on(model)
            optimizer.build(model.trainable_variables)

    def train(self, rows: PackedRows) -> float:
        """Run as many steps as the rows fill, and return the mean loss of this process."""
        return float(self.steps(rows.numeric, rows.categorical, rows.label))

    def _steps(self, numeric: Any, categorical: Any, label: Any) -> Any:
        import tensorflow as tf

        rows = self._batch * self._local_replicas
        steps = tf.size(label) // rows
        total = tf.constant(0.0)
        for step in tf.range(steps):
            part = slice(step * rows, (step + 1) * rows)
            losses = self._strategy.run(
                self._step, args=(numeric[part], categorical[part], label[part])
            )
            local = self._strategy.experimental_local_results(losses)
            total += tf.add_n(local) / self._local_replicas
        return total / tf.cast(steps, tf.float32)

    def _step(self, numeric: Any, categorical: Any, label: Any) -> Any:
        import tensorflow as tf

        if self._local_replicas > 1:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            start = (replica % self._local_replicas) * self._batch
            part = slice(start, start + self._batch)
            numeric, categorical, label = numeric[part], categorical[part], label[part]
        label = tf.ensure_shape(label, [self._batch])
        with tf.GradientTape() as tape:
            logits = self._trained_on({NUMERIC: numeric, CATEGORICAL: categorical}, training=True)
            loss = self._loss(label, logits)
            if self._model.losses:
                loss += tf.add_n(self._model.losses)
            # The optimizer sums the gradients of all replicas.
            scaled = loss / self._strategy.num_replicas_in_sync
        variables = self._model.trainable_variables
        gradients = tape.gradient(scaled, variables)
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def _loss(self, label: Any, logits: Any) -> Any:
        """Return the mean loss, over rows and members, of logits `[rows(, members), units]`."""
        import tensorflow as tf

        if logits.shape.rank == 3:
            label = tf.repeat(label[:, None], logits.shape[1], axis=1)
        if self._kind == "multiclass":
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits)
        elif self._kind == "binary":
            losses = tf.nn.sigmoid_cross_entropy_with_logits(
                tf.cast(label, tf.float32), logits[..., 0]
            )
        else:
            losses = tf.math.squared_difference(logits[..., 0], label)
        if self._class_weights is not None:
            losses *= tf.gather(tf.constant(self._class_weights, tf.float32), label)
        return tf.reduce_mean(losses)
