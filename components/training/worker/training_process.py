"""One training process: reads, trains, keeps the best weights, exports.

Every process of a distributed run executes this; TF_CONFIG tells them apart.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.training.distributed import parameter_servers
from kfp_tabular.components.training.distributed import strategy as strategies
from kfp_tabular.components.training.distributed.agreement import Agreement
from kfp_tabular.components.training.distributed.replica_role import ALONE, ReplicaRole
from kfp_tabular.components.training.input import packed_rows, parquet_reader
from kfp_tabular.components.training.input.shuffling import TrainingInput
from kfp_tabular.components.training.input.training_data import TrainingData, read
from kfp_tabular.components.training.loop import checkpoints, trainable_model
from kfp_tabular.components.training.loop.early_stopping import EarlyStopping
from kfp_tabular.components.training.loop.metrics_writer import MetricsWriter
from kfp_tabular.components.training.loop.training_loop import Loop, Progress
from kfp_tabular.components.training.model import prediction_metrics, saved_model
from kfp_tabular.components.training.settings import Settings
from kfp_tabular.components.training.training_record import TrainingRecord
from kfp_tabular.components.training.worker.outputs import LogUploads, Outputs

LABEL = "label"
"""What a checkpoint calls the moments by which a regression label was standardised."""

Predict = Callable[[packed_rows.PackedRows], Any]

_LIBRARIES = ("tensorflow", "tf_keras", "tensorflow-transform", "numpy", "pyarrow")

_logger = logging.getLogger(__name__)


def run(
    settings: Settings,
    *,
    replica: ReplicaRole = ALONE,
    ensure: parquet_reader.Ensure = lambda _: None,
    outputs: Outputs | None = None,
    peers_seconds: float = 900.0,
) -> TrainingRecord:
    """Trains a model, and exports it where the settings name an output.

    Args:
        settings: What to train on and how; all paths are local.
        replica: Which process of a job this is.
        ensure: Brings the rows to be read to this machine.
        outputs: Where model and logs go from the settings' directories; None for nowhere.
        peers_seconds: How long to wait for the other processes to start.

    Raises:
        UserError: For input or configuration that cannot be trained on.
        SystemExit: After SIGTERM, once the checkpoint is saved.
    """
    settings.check()
    settings.hyperparameters.check()
    outputs = outputs or Outputs(settings.output, settings.logs)
    _logger.info("worker %d of %d: reading", replica.worker + 1, replica.workers)
    trainable_model.quiet_tensorflow()
    # Before anything runs: a multi-worker strategy must be the first to touch the devices.
    strategy = strategies.join(replica, peers_seconds)
    trainable_model.seed(settings)
    # With parameter servers the chief alone leads: there is nobody to agree with.
    agreement = Agreement(
        strategy, 1 if replica.has_parameter_servers else replica.workers, replica.worker
    )
    data = read(settings, replica, agreement, ensure)
    settings.check_task(data.task.kind)
    made = trainable_model.make(settings, replica, strategy, data, peers_seconds)
    saved = _checkpoints(settings, replica, data, made)
    stopping = _stopping(settings, data, agreement)
    progress = Progress() if saved is None else _resume(saved, agreement, stopping)
    resumed_at, began = progress.step, progress.seconds
    with (
        _uploads(outputs, replica) as uploaded,
        MetricsWriter(
            settings.logs, settings.metrics_file, writes=replica.is_chief, written=uploaded
        ) as journal,
    ):
        journal.resume(progress.history)
        _train(settings, replica, data, made, agreement, journal, stopping, saved, progress)
        seconds = max(progress.seconds - began, 1e-9)
        # The others would fetch rows for it, and nobody reads theirs.
        measured = final_metrics(settings, made.predict, data) if replica.is_chief else {}
        metrics = measured | {
            "steps": float(progress.step),
            "best_step": float(stopping.best_step or progress.step),
            "epochs": made.schedule.epoch(progress.step),
            "seconds": progress.seconds,
            "rows_per_second": (progress.step - resumed_at) * made.schedule.batch / seconds,
        }
        journal.close_with(metrics)
    outcome = TrainingRecord(
        metrics,
        progress.history,
        facts(settings, data, made, stopping.metric, replica),
        checkpoints.identity(settings, replica),
    )
    if replica.is_chief:
        finish(settings, outputs, outcome, data, made.model)
        if saved is not None:
            saved.remove()
    if replica.has_parameter_servers:
        parameter_servers.dismiss(replica)
    else:
        _leave_together(agreement, replica)
    return outcome


def _train(
    settings: Settings,
    replica: ReplicaRole,
    data: TrainingData,
    made: trainable_model.TrainableModel,
    agreement: Agreement,
    journal: MetricsWriter,
    stopping: EarlyStopping,
    saved: checkpoints.Checkpoints | None,
    progress: Progress,
) -> None:
    """Trains on from where `progress` is; the best weights are in the model then."""
    schedule, held_out = made.schedule, data.held_out
    stream = TrainingInput(
        data.reader,
        data.share,
        seed=settings.seed,
        worker=replica.worker,
        start=progress.step * made.step_rows,
        buffer_rows=settings.shuffle_rows,
        row_bytes=data.columns.row_bytes,
    )

    def evaluate() -> dict[str, float]:
        if held_out is None:
            return {}
        made.fetch()
        return measure(made.predict, data, held_out)

    _logger.info(
        "training: %d steps of %d rows, %.1f epochs, evaluation every %d steps",
        schedule.steps,
        schedule.batch,
        schedule.epoch(schedule.steps),
        schedule.interval,
    )
    with stream:
        Loop(
            train=made.train,
            agreement=agreement,
            schedule=schedule,
            take=stream.take,
            evaluate=evaluate if data.evaluated else None,
            stopping=stopping,
            keep_best=made.keep,
            journal=journal,
            checkpoints=saved,
            checkpoint_seconds=settings.checkpoint_seconds,
            learning_rate=settings.hyperparameters.learning_rate,
            local_rows=made.step_rows,
        ).run(progress)
    made.fetch()
    if stopping.best is not None:
        made.take_best()


@contextmanager
def _uploads(outputs: Outputs, replica: ReplicaRole) -> Iterator[Callable[[], None] | None]:
    """Gives what to call when there is something new in the logs."""
    if not replica.is_chief:
        yield None
        return
    uploads = LogUploads(outputs)
    try:
        yield uploads.due
    finally:
        uploads.close()


def finish(
    settings: Settings, outputs: Outputs, outcome: TrainingRecord, data: TrainingData, model: Any
) -> None:
    """Writes the model, then the logs with `training.json`; in a store, that comes last of all."""
    if settings.output is not None:
        write_model(settings, settings.output, data, model)
        outputs.publish_model()
    if settings.logs is not None:
        outcome.save(settings.logs)
        outputs.publish_logs()


def _leave_together(agreement: Agreement, replica: ReplicaRole) -> None:
    """Has no process leave before the chief is done: its end would look like a failure to it."""
    import tensorflow as tf

    try:
        agreement.sum([0.0])
    except tf.errors.OpError as error:
        if not replica.is_chief:
            raise
        # All is written; what became of the others matters no more.
        _logger.warning("another worker ended early: %s", error.message.partition("\n")[0])


def measure(predict: Predict, data: TrainingData, rows: packed_rows.PackedRows) -> dict[str, float]:
    """Gives the metrics of the current weights on some rows, in the label's own unit."""
    prediction, label = predict(rows), rows.label
    if data.task.kind == "regression":
        prediction = prediction * data.scale + data.mean
        label = label * data.scale + data.mean
    return prediction_metrics.score(data.task.kind, label, prediction)


def final_metrics(settings: Settings, predict: Predict, data: TrainingData) -> dict[str, float]:
    """Measures the weights kept, on a sample of each split."""
    train = parquet_reader.sample(data.reader, data.train, settings.eval_rows)
    found = {f"train_{name}": value for name, value in measure(predict, data, train).items()}
    if data.held_out is not None:
        measured = measure(predict, data, data.held_out)
        found |= {f"eval_{name}": value for name, value in measured.items()}
    return found


def facts(
    settings: Settings,
    data: TrainingData,
    made: trainable_model.TrainableModel,
    objective: str,
    replica: ReplicaRole,
) -> dict[str, Any]:
    """Gives what the report tells of data and configuration."""
    return {
        **settings.facts(),
        "task": data.task.kind,
        "label": data.task.label,
        "classes": list(data.task.classes),
        "class_counts": list(data.counts),
        "objective": f"eval_{objective}",
        "rows": dict(data.rows),
        "eval_rows_used": 0 if data.held_out is None else len(data.held_out),
        "numeric": list(data.columns.numeric),
        "categorical": {column.name: column.size for column in data.columns.categorical},
        "parameters": int(made.model.count_params()),
        "schedule": asdict(made.schedule),
        "workers": replica.workers,
    }


def write_model(settings: Settings, output: Path, data: TrainingData, model: Any) -> None:
    """Writes the model artifact, whole or not at all."""
    started = time.monotonic()
    with files.atomic_directory(output) as directory:
        saved_model.write(
            directory,
            model=model,
            transform_graph=settings.transform_graph,
            layout=data.columns,
            task=data.task,
            decision_threshold=settings.decision_threshold,
            target_mean=data.mean,
            target_scale=data.scale,
            hyperparameters=asdict(settings.hyperparameters),
        )
        lineage.record(
            directory,
            inputs={
                "transformed_examples": settings.transformed_examples,
                "transform_graph": settings.transform_graph,
            },
            rows=data.rows,
            seed=settings.seed,
            libraries=_LIBRARIES,
            extra={"training": settings.facts()},
        )
    _logger.info("model written in %.1f s: %s", time.monotonic() - started, output)


def _stopping(settings: Settings, data: TrainingData, agreement: Agreement) -> EarlyStopping:
    objective = prediction_metrics.OBJECTIVES[data.task.kind]
    if not data.evaluated:
        _logger.warning(
            "no eval split: early stopping is off, and the last weights are kept, not the best"
        )
    elif objective == "auc" and agreement.from_first(float(_one_class(data))):
        # The area under a curve needs both classes.
        objective = "log_loss"
        _logger.warning("the eval split holds one class: the best weights go by %s", objective)
    return EarlyStopping(objective, settings.early_stopping_patience)


def _one_class(data: TrainingData) -> bool:
    if data.held_out is None:
        return False
    return int(data.held_out.label.sum()) in (0, len(data.held_out))


def _checkpoints(
    settings: Settings,
    replica: ReplicaRole,
    data: TrainingData,
    made: trainable_model.TrainableModel,
) -> checkpoints.Checkpoints | None:
    path = checkpoints.directory(settings, replica)
    if not path:
        return None
    return checkpoints.Checkpoints(
        path,
        made.trained,
        made.optimizer,
        made.best,
        writes=replica.is_chief,
        # Else each parameter server would write its variables to its own disk.
        io_device="/job:chief/replica:0/task:0/device:CPU:0"
        if replica.has_parameter_servers
        else None,
        facts={LABEL: {"mean": data.mean, "scale": data.scale}},
    )


def _resume(
    saved: checkpoints.Checkpoints, agreement: Agreement, stopping: EarlyStopping
) -> Progress:
    # The chief's word: others may see a checkpoint that it has just removed.
    step = int(agreement.from_first(saved.newest()))
    if not step:
        return Progress()
    prefix = saved.bring(step)
    # Workers that do not see the chief's checkpoint would train another model than it does.
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
        setattr(stopping, name, value)
    _logger.info("resumed at step %d", progress.step)
    return progress
