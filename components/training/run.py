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
from kfp_tabular.components.training import (
    checkpoints,
    engine,
    export,
    inputs,
    layout,
    scores,
    servers,
)
from kfp_tabular.components.training.agreement import Agreement
from kfp_tabular.components.training.data import Data, read
from kfp_tabular.components.training.journal import Journal
from kfp_tabular.components.training.loop import Loop, Progress
from kfp_tabular.components.training.outcome import Outcome
from kfp_tabular.components.training.outputs import LogUploads, Outputs
from kfp_tabular.components.training.roles import ALONE, Place
from kfp_tabular.components.training.settings import Settings
from kfp_tabular.components.training.shuffling import TrainingInput
from kfp_tabular.components.training.stopping import Stopping

LABEL = "label"
"""What a checkpoint calls the moments by which a regression label was standardised."""

Predict = Callable[[layout.Rows], Any]

_LIBRARIES = ("tensorflow", "tf_keras", "tensorflow-transform", "numpy", "pyarrow")

_logger = logging.getLogger(__name__)


def run(
    settings: Settings,
    *,
    here: Place = ALONE,
    ensure: inputs.Ensure = lambda _: None,
    outputs: Outputs | None = None,
    peers_seconds: float = 900.0,
) -> Outcome:
    """Trains a model, and exports it where the settings name an output.

    Args:
        settings: What to train on and how; all paths are local.
        here: Which process of a job this is.
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
    _logger.info("worker %d of %d: reading", here.worker + 1, here.workers)
    engine.quiet_tensorflow()
    # Before anything runs: a multi-worker strategy must be the first to touch the devices.
    strategy = engine.join(here, peers_seconds)
    engine.seed(settings)
    # With parameter servers the chief alone leads: there is nobody to agree with.
    agreement = Agreement(strategy, 1 if here.asynchronous else here.workers, here.worker)
    data = read(settings, here, agreement, ensure)
    settings.check_task(data.task.kind)
    made = engine.make(settings, here, strategy, data, peers_seconds)
    saved = _checkpoints(settings, here, data, made)
    stopping = _stopping(settings, data, agreement)
    progress = Progress() if saved is None else _resume(saved, agreement, stopping)
    resumed_at, began = progress.step, progress.seconds
    with (
        _uploads(outputs, here) as uploaded,
        Journal(
            settings.logs, settings.metrics_file, writes=here.chief, written=uploaded
        ) as journal,
    ):
        journal.resume(progress.history)
        _train(settings, here, data, made, agreement, journal, stopping, saved, progress)
        seconds = max(progress.seconds - began, 1e-9)
        # The others would fetch rows for it, and nobody reads theirs.
        measured = final_metrics(settings, made.predict, data) if here.chief else {}
        metrics = measured | {
            "steps": float(progress.step),
            "best_step": float(stopping.best_step or progress.step),
            "epochs": made.schedule.epoch(progress.step),
            "seconds": progress.seconds,
            "rows_per_second": (progress.step - resumed_at) * made.schedule.batch / seconds,
        }
        journal.close_with(metrics)
    outcome = Outcome(
        metrics,
        progress.history,
        facts(settings, data, made, stopping.metric, here),
        checkpoints.identity(settings, here),
    )
    if here.chief:
        finish(settings, outputs, outcome, data, made.model)
        if saved is not None:
            saved.remove()
    if here.asynchronous:
        servers.dismiss(here)
    else:
        _leave_together(agreement, here)
    return outcome


def _train(
    settings: Settings,
    here: Place,
    data: Data,
    made: engine.Engine,
    agreement: Agreement,
    journal: Journal,
    stopping: Stopping,
    saved: checkpoints.Checkpoints | None,
    progress: Progress,
) -> None:
    """Trains on from where `progress` is; the best weights are in the model then."""
    schedule, held_out = made.schedule, data.held_out
    stream = TrainingInput(
        data.reader,
        data.share,
        seed=settings.seed,
        worker=here.worker,
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
def _uploads(outputs: Outputs, here: Place) -> Iterator[Callable[[], None] | None]:
    """Gives what to call when there is something new in the logs."""
    if not here.chief:
        yield None
        return
    uploads = LogUploads(outputs)
    try:
        yield uploads.due
    finally:
        uploads.close()


def finish(settings: Settings, outputs: Outputs, outcome: Outcome, data: Data, model: Any) -> None:
    """Writes the model, then the logs with `training.json`; in a store, that comes last of all."""
    if settings.output is not None:
        write_model(settings, settings.output, data, model)
        outputs.publish_model()
    if settings.logs is not None:
        outcome.save(settings.logs)
        outputs.publish_logs()


def _leave_together(agreement: Agreement, here: Place) -> None:
    """Has no process leave before the chief is done: its end would look like a failure to it."""
    import tensorflow as tf

    try:
        agreement.sum([0.0])
    except tf.errors.OpError as error:
        if not here.chief:
            raise
        # All is written; what became of the others matters no more.
        _logger.warning("another worker ended early: %s", error.message.partition("\n")[0])


def measure(predict: Predict, data: Data, rows: layout.Rows) -> dict[str, float]:
    """Gives the metrics of the current weights on some rows, in the label's own unit."""
    prediction, label = predict(rows), rows.label
    if data.task.kind == "regression":
        prediction = prediction * data.scale + data.mean
        label = label * data.scale + data.mean
    return scores.score(data.task.kind, label, prediction)


def final_metrics(settings: Settings, predict: Predict, data: Data) -> dict[str, float]:
    """Measures the weights kept, on a sample of each split."""
    train = inputs.sample(data.reader, data.train, settings.eval_rows)
    found = {f"train_{name}": value for name, value in measure(predict, data, train).items()}
    if data.held_out is not None:
        measured = measure(predict, data, data.held_out)
        found |= {f"eval_{name}": value for name, value in measured.items()}
    return found


def facts(
    settings: Settings, data: Data, made: engine.Engine, objective: str, here: Place
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
        "workers": here.workers,
    }


def write_model(settings: Settings, output: Path, data: Data, model: Any) -> None:
    """Writes the model artifact, whole or not at all."""
    started = time.monotonic()
    with files.atomic_directory(output) as directory:
        export.write(
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


def _stopping(settings: Settings, data: Data, agreement: Agreement) -> Stopping:
    objective = scores.OBJECTIVES[data.task.kind]
    if not data.evaluated:
        _logger.warning(
            "no eval split: early stopping is off, and the last weights are kept, not the best"
        )
    elif objective == "auc" and agreement.from_first(float(_one_class(data))):
        # The area under a curve needs both classes.
        objective = "log_loss"
        _logger.warning("the eval split holds one class: the best weights go by %s", objective)
    return Stopping(objective, settings.early_stopping_patience)


def _one_class(data: Data) -> bool:
    if data.held_out is None:
        return False
    return int(data.held_out.label.sum()) in (0, len(data.held_out))


def _checkpoints(
    settings: Settings, here: Place, data: Data, made: engine.Engine
) -> checkpoints.Checkpoints | None:
    path = checkpoints.directory(settings, here)
    if not path:
        return None
    return checkpoints.Checkpoints(
        path,
        made.trained,
        made.optimizer,
        made.best,
        writes=here.chief,
        # Else each parameter server would write its variables to its own disk.
        io_device="/job:chief/replica:0/task:0/device:CPU:0" if here.asynchronous else None,
        facts={LABEL: {"mean": data.mean, "scale": data.scale}},
    )


def _resume(saved: checkpoints.Checkpoints, agreement: Agreement, stopping: Stopping) -> Progress:
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
