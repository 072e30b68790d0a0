"""The model that trains: with its optimizer and its steps, under a distribution strategy."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.components.training.distributed.replica_role import ReplicaRole
from kfp_tabular.components.training.input import label_statistics, parquet_reader
from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.input.training_data import TrainingData
from kfp_tabular.components.training.loop import asynchronous_steps, training_steps
from kfp_tabular.components.training.loop.schedule import Schedule, plan
from kfp_tabular.components.training.model import (
    ModelContext,
    architectures,
    model_function,
    predictor,
)
from kfp_tabular.components.training.worker_settings import WorkerSettings

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainableModel:
    """A model that can be trained and measured, and whose best weights can be kept.

    Attributes:
        trained: The model whose variables training changes.
        model: The model that is measured and exported: the same one, or a copy of it, with
            parameter servers or if the weights are averaged.
        optimizer: The optimizer, built.
        schedule: How many steps there are, and when the model is evaluated.
        learning_rate: The peak learning rate.
        train: Runs as many steps as the rows fill, and returns their mean loss.
        predict: Returns the predictions of `model`.
        step_rows: Rows of a step in this process.
        best: A variable for each weight, which holds the best one so far.
    """

    trained: Any
    model: Any
    optimizer: Any
    schedule: Schedule
    learning_rate: float
    train: Callable[[PackedRows], float]
    predict: Callable[[PackedRows], Any]
    step_rows: int
    best: Sequence[Any]

    def fetch(self) -> None:
        """Copy the trained weights, or their moving averages, into `model`."""
        if self.model is self.trained:
            return
        _copy(self.trained.weights, self.model.weights)
        if self.averages:
            _copy(_averages(self.optimizer), self.model.trainable_variables)

    @property
    def averages(self) -> bool:
        """Whether `model` gets the moving averages of the trained weights."""
        return bool(self.optimizer.use_ema)

    def keep(self) -> None:
        """Keep the weights of `model` as the best so far."""
        _copy(self.model.weights, self.best)

    def take_best(self) -> None:
        """Copy the best weights into `model`."""
        _copy(self.best, self.model.weights)


def make(
    settings: WorkerSettings,
    replica: ReplicaRole,
    strategy: Any,
    data: TrainingData,
    peers_seconds: float,
) -> TrainableModel:
    """Return the model with its optimizer and its steps.

    Args:
        settings: What to train and how.
        replica: This process's role.
        strategy: From `strategy.join`.
        data: The input.
        peers_seconds: With parameter servers, the longest time that some steps may take.

    Raises:
        UserError: If a model function returns an unsuitable model, or class weights are given for
            a regression task.
    """
    import tensorflow as tf

    # With parameter servers every worker takes whole steps by itself.
    replicas = 1 if replica.has_parameter_servers else strategy.num_replicas_in_sync
    local_replicas = 1 if replica.has_parameter_servers else replicas // replica.workers
    hyperparameters = _hyperparameters(settings)
    schedule = plan(
        hyperparameters, data.rows[parquet_reader.TRAIN_SPLIT], replicas, local_replicas
    )
    # Parameter servers are asynchronous: an average there would cost a message per step.
    averages = wants_averages(settings) and not replica.has_parameter_servers
    with strategy.scope():
        trained = build(settings, data)
        optimizer = training_steps.make_optimizer(
            hyperparameters,
            schedule.steps,
            averaged_steps=schedule.averaged_steps if averages else 0,
        )
    steps = training_steps.TrainingSteps(
        strategy,
        trained,
        optimizer,
        layout=data.columns,
        kind=data.task.kind,
        class_weights=class_weights(settings, data),
        schedule=schedule,
        local_replicas=local_replicas,
    )
    train, model = steps.train, trained
    if averages:
        model = build(settings, data)
    if replica.has_parameter_servers:
        model = build(settings, data)
        schedule = replace(schedule, steps_per_call=schedule.steps_per_call * replica.workers)
        train = asynchronous_steps.AsynchronousSteps(
            strategy,
            steps,
            workers=replica.workers,
            step_rows=schedule.batch,
            timeout_seconds=peers_seconds,
        ).train
    return TrainableModel(
        trained=trained,
        model=model,
        optimizer=optimizer,
        schedule=schedule,
        learning_rate=hyperparameters.learning_rate,
        train=train,
        predict=predictor.Predictor(model, data.task.kind, data.columns).predict,
        step_rows=schedule.replica_batch * local_replicas,
        best=[tf.Variable(weight, trainable=False) for weight in trained.weights],
    )


def quiet_tensorflow() -> Any:
    """Import TensorFlow with its log reduced to warnings."""
    tf = import_tensorflow()
    for logger in (tf.get_logger(), logging.getLogger("absl")):
        logger.setLevel(logging.WARNING)
    return tf


def seed(settings: WorkerSettings) -> None:
    """Seed the initial weights, the row order and dropout."""
    import tf_keras

    # A generator's state is a variable, so checkpoints hold it and dropout resumes from it.
    tf_keras.backend.experimental.enable_tf_random_generator()
    tf_keras.utils.set_random_seed(settings.seed)


def build(settings: WorkerSettings, data: TrainingData) -> Any:
    """Return a new model: that of `model_fn`, or one of the shipped architectures."""
    context = model_context(settings, data)
    if settings.model_fn:
        return model_function.build(settings.model_fn, context)
    return architectures.build(context)


def model_context(settings: WorkerSettings, data: TrainingData) -> ModelContext:
    """Return what the model is built from."""
    kind = data.task.kind
    return ModelContext(
        task=kind,
        units=len(data.task.classes) if kind == "multiclass" else 1,
        numeric=data.columns.numeric,
        categorical=data.columns.categorical,
        vectors=data.columns.vectors,
        hyperparameters=_hyperparameters(settings),
        seed=settings.seed,
        prior=label_statistics.prior(
            kind, data.class_counts, balanced=settings.class_weights == "balanced"
        ),
        rows=data.rows[parquet_reader.TRAIN_SPLIT],
        ranges=tuple(data.ranges),
    )


def _hyperparameters(settings: WorkerSettings) -> Hyperparameters:
    """Return all hyperparameters, with those chosen that are left to the type of model."""
    given = settings.hyperparameters
    if settings.model_fn:
        # The type that it replaces says nothing about a model of one's own.
        given = replace(given, model_type=Hyperparameters.model_type)
    return given.chosen()


def class_weights(settings: WorkerSettings, data: TrainingData) -> list[float] | None:
    """Return the weight of each class in the loss; None for equal weights.

    Raises:
        UserError: If classes should be balanced, but there are none.
    """
    if settings.class_weights == "none":
        return None
    if data.task.kind == "regression":
        raise UserError("class_weights: 'balanced' needs classes; use 'none' for regression.")
    return label_statistics.balanced_weights(data.class_counts)


def wants_averages(settings: WorkerSettings) -> bool:
    """Return whether the averages of the weights over the last steps are measured and kept."""
    return not settings.model_fn and settings.hyperparameters.model_type == "tabm"


def _averages(optimizer: Any) -> Sequence[Any]:
    """Return the moving averages of the trainable variables, in their order."""
    found: Sequence[Any] = optimizer._model_variables_moving_average
    return found


def _copy(source: Sequence[Any], target: Sequence[Any]) -> None:
    for variable, weight in zip(source, target, strict=True):
        weight.assign(variable)
