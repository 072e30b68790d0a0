"""One training process: reads, trains, keeps the best weights, exports.

Every process of a distributed training runs this; TF_CONFIG tells them apart.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from kfp_tabular.components.training.distributed import parameter_servers
from kfp_tabular.components.training.distributed import strategy as strategies
from kfp_tabular.components.training.distributed.agreement import Agreement
from kfp_tabular.components.training.distributed.replica_role import ALONE, ReplicaRole
from kfp_tabular.components.training.input.parquet_reader import Ensure
from kfp_tabular.components.training.input.shuffling import TrainingInput
from kfp_tabular.components.training.input.training_data import TrainingData, read
from kfp_tabular.components.training.loop import checkpoints, evaluation, trainable_model
from kfp_tabular.components.training.loop.checkpoints import Checkpoints
from kfp_tabular.components.training.loop.early_stopping import EarlyStopping
from kfp_tabular.components.training.loop.metrics_writer import MetricsWriter
from kfp_tabular.components.training.loop.trainable_model import TrainableModel
from kfp_tabular.components.training.loop.training_loop import Progress, TrainingLoop
from kfp_tabular.components.training.model import prediction_metrics
from kfp_tabular.components.training.training_record import TrainingRecord
from kfp_tabular.components.training.worker import model_artifact
from kfp_tabular.components.training.worker.outputs import LogUploads, Outputs
from kfp_tabular.components.training.worker_settings import WorkerSettings

LABEL = "label"
"""A checkpoint's key for the mean and scale by which a regression label is standardized."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Training:
    """A training in this process, ready to start or to resume.

    Attributes:
        settings: What to train and how.
        replica: This process's role.
        agreement: Agreement with the other processes.
        data: The input.
        model: The model, with its steps and schedule.
        early_stopping: Follows the objective.
        checkpoints: None for no checkpoints.
    """

    settings: WorkerSettings
    replica: ReplicaRole
    agreement: Agreement
    data: TrainingData
    model: TrainableModel
    early_stopping: EarlyStopping
    checkpoints: Checkpoints | None


def run(
    settings: WorkerSettings,
    *,
    replica: ReplicaRole = ALONE,
    ensure: Ensure = lambda _: None,
    outputs: Outputs | None = None,
    peers_seconds: float = 900.0,
) -> TrainingRecord:
    """Train a model, and export it if the settings name an output.

    Args:
        settings: What to train on and how; all paths are local.
        replica: This process's role in the job.
        ensure: Fetches rows to this machine before they are read.
        outputs: Where model and logs go from the settings' directories; None to leave them there.
        peers_seconds: How long to wait for the other processes to start.

    Raises:
        UserError: If input or configuration cannot be trained on.
        SystemExit: After SIGTERM, once the checkpoint is saved.
    """
    settings.check()
    outputs = outputs or Outputs(settings.output, settings.logs)
    _logger.info("worker %d of %d: reading", replica.worker + 1, replica.workers)
    training = _prepare(settings, replica, ensure, peers_seconds)
    progress = _resume(training)
    resumed_at, seconds_before = progress.step, progress.seconds
    with (
        _uploads(outputs, replica) as uploaded,
        MetricsWriter(
            settings.logs, settings.metrics_file, writes=replica.is_chief, written=uploaded
        ) as writer,
    ):
        writer.resume(progress.history)
        _train(training, writer, progress)
        seconds = max(progress.seconds - seconds_before, 1e-9)
        schedule = training.model.schedule
        metrics = _final_metrics(training) | {
            "steps": float(progress.step),
            "best_step": float(training.early_stopping.best_step or progress.step),
            "epochs": schedule.epoch(progress.step),
            "seconds": progress.seconds,
            "rows_per_second": (progress.step - resumed_at) * schedule.batch / seconds,
        }
        writer.close_with(metrics)
    record = TrainingRecord(
        metrics, progress.history, _facts(training), checkpoints.identity(settings, replica)
    )
    if replica.is_chief:
        _finish(training, outputs, record)
    if replica.has_parameter_servers:
        parameter_servers.dismiss(replica)
    else:
        _leave_together(training.agreement, replica)
    return record


def _prepare(
    settings: WorkerSettings, replica: ReplicaRole, ensure: Ensure, peers_seconds: float
) -> _Training:
    trainable_model.quiet_tensorflow()
    # Before anything runs: a multi-worker strategy must be the first to access the devices.
    strategy = strategies.join(replica, peers_seconds)
    trainable_model.seed(settings)
    # With parameter servers the chief decides alone.
    voters = 1 if replica.has_parameter_servers else replica.workers
    agreement = Agreement(strategy, voters, replica.worker)
    data = read(settings, replica, agreement, ensure)
    settings.check_task(data.task.kind)
    model = trainable_model.make(settings, replica, strategy, data, peers_seconds)
    return _Training(
        settings,
        replica,
        agreement,
        data,
        model,
        _early_stopping(settings, data, agreement),
        _checkpoints(settings, replica, data, model),
    )


def _early_stopping(
    settings: WorkerSettings, data: TrainingData, agreement: Agreement
) -> EarlyStopping:
    objective = prediction_metrics.OBJECTIVES[data.task.kind]
    if not data.has_eval_split:
        _logger.warning(
            "no eval split: early stopping is off, and the last weights are kept, not the best"
        )
    elif objective == "auc" and agreement.from_first(float(_one_class(data))):
        # The area under a curve needs both classes.
        objective = "log_loss"
        _logger.warning(
            "the eval split has one class: %s decides which weights are best", objective
        )
    return EarlyStopping(objective, settings.early_stopping_patience)


def _one_class(data: TrainingData) -> bool:
    if data.held_out is None:
        return False
    return int(data.held_out.label.sum()) in (0, len(data.held_out))


def _checkpoints(
    settings: WorkerSettings, replica: ReplicaRole, data: TrainingData, model: TrainableModel
) -> Checkpoints | None:
    path = checkpoints.directory(settings, replica)
    if not path:
        return None
    # By default each parameter server would write its variables to its own disk.
    chief = "/job:chief/replica:0/task:0/device:CPU:0"
    return Checkpoints(
        path,
        model,
        seconds=settings.checkpoint_seconds,
        writes=replica.is_chief,
        io_device=chief if replica.has_parameter_servers else None,
        facts={LABEL: {"mean": data.mean, "scale": data.scale}},
    )


def _resume(training: _Training) -> Progress:
    saved, agreement = training.checkpoints, training.agreement
    # The chief decides: others may see a checkpoint that it has just removed.
    step = 0 if saved is None else int(agreement.from_first(saved.newest()))
    if saved is None or not step:
        return Progress()
    prefix = saved.fetch(step)
    # Workers that do not see the chief's checkpoint would train a different model.
    (missing,) = agreement.any(prefix is None)
    if missing or prefix is None:
        _logger.warning(
            "not every worker sees the checkpoint of step %d; starting over. Put checkpoint_uri on "
            "storage that all of them share.",
            step,
        )
        return Progress()
    state = saved.restore(prefix)
    progress = Progress(**state["progress"])
    for name, value in state["stopping"].items():
        setattr(training.early_stopping, name, value)
    _logger.info("resumed at step %d", progress.step)
    return progress


def _train(training: _Training, writer: MetricsWriter, progress: Progress) -> None:
    """Continue training from `progress`; afterwards the model has the best weights."""
    settings, data, model = training.settings, training.data, training.model
    schedule, held_out = model.schedule, data.held_out
    stream = TrainingInput(
        data.reader,
        data.share,
        seed=settings.seed,
        worker=training.replica.worker,
        start=progress.step * model.step_rows,
        buffer_rows=settings.shuffle_rows,
        row_bytes=data.columns.row_bytes,
    )

    def evaluate() -> dict[str, float]:
        if held_out is None:
            return {}
        model.fetch()
        return evaluation.measure(model.predict, data, held_out)

    _logger.info(
        "training: %d steps of %d rows, %.1f epochs, evaluation every %d steps",
        schedule.steps,
        schedule.batch,
        schedule.epoch(schedule.steps),
        schedule.interval,
    )
    with stream:
        TrainingLoop(
            model,
            take=stream.take,
            evaluate=evaluate if data.has_eval_split else None,
            early_stopping=training.early_stopping,
            agreement=training.agreement,
            writer=writer,
            checkpoints=training.checkpoints,
        ).run(progress)
    model.fetch()
    if training.early_stopping.best is not None:
        model.take_best()


@contextmanager
def _uploads(outputs: Outputs, replica: ReplicaRole) -> Iterator[Callable[[], None] | None]:
    """Yield what to call after each change of the logs; None if this process has no logs."""
    if not replica.is_chief:
        yield None
        return
    uploads = LogUploads(outputs)
    try:
        yield uploads.due
    finally:
        uploads.close()


def _final_metrics(training: _Training) -> dict[str, float]:
    if not training.replica.is_chief:
        # Their metrics are not used, and they would have to fetch rows for them.
        return {}
    return evaluation.final_metrics(
        training.model.predict, training.data, training.settings.eval_rows
    )


def _facts(training: _Training) -> dict[str, Any]:
    """Return what the report shows of data and configuration."""
    data, model = training.data, training.model
    return {
        **training.settings.facts(),
        "task": data.task.kind,
        "label": data.task.label,
        "classes": list(data.task.classes),
        "class_counts": list(data.class_counts),
        "objective": f"eval_{training.early_stopping.metric}",
        "rows": dict(data.rows),
        "eval_rows_used": 0 if data.held_out is None else len(data.held_out),
        "numeric": list(data.columns.numeric),
        "categorical": {column.name: column.size for column in data.columns.categorical},
        "vectors": {vector.name: vector.width for vector in data.columns.vectors},
        "parameters": int(model.model.count_params()),
        "schedule": asdict(model.schedule),
        "workers": training.replica.workers,
    }


def _finish(training: _Training, outputs: Outputs, record: TrainingRecord) -> None:
    """Write the model, then the logs with `training.json` last, and remove the checkpoints."""
    settings = training.settings
    if settings.output is not None:
        model_artifact.write(settings, settings.output, training.data, training.model.model)
        outputs.publish_model()
    if settings.logs is not None:
        record.save(settings.logs)
        outputs.publish_logs()
    if training.checkpoints is not None:
        training.checkpoints.remove()


def _leave_together(agreement: Agreement, replica: ReplicaRole) -> None:
    """Wait until the chief is done: to TensorFlow, a process that leaves earlier has failed."""
    import tensorflow as tf

    try:
        agreement.sum([0.0])
    except tf.errors.OpError as error:
        if not replica.is_chief:
            raise
        # Everything is written, so the others no longer matter.
        _logger.warning("another worker ended early: %s", error.message.partition("\n")[0])
