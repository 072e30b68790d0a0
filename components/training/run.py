"""One training process: reads, trains, keeps the best weights, exports.

Every process of a distributed run executes this; TF_CONFIG tells them apart.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files, lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.examples import Examples
from kfp_tabular.components.common.task import Task
from kfp_tabular.components.common.tensorflow import import_tensorflow
from kfp_tabular.components.training import (
    checkpoints,
    custom,
    export,
    inputs,
    labels,
    layout,
    models,
    program,
    scores,
)
from kfp_tabular.components.training.journal import Journal
from kfp_tabular.components.training.loop import Loop, Progress
from kfp_tabular.components.training.schedule import Schedule, plan
from kfp_tabular.components.training.settings import Settings
from kfp_tabular.components.training.shuffling import TrainingInput
from kfp_tabular.components.training.stopping import Stopping

RESULT_FILE = "training.json"

_LIBRARIES = ("tensorflow", "tf_keras", "tensorflow-transform", "numpy", "pyarrow")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What training came to; the content of `training.json`.

    Attributes:
        metrics: Final metrics by name: `train_...` and `eval_...` of the weights kept, `steps`,
            `best_step`, `epochs`, `seconds` (in the loop) and `rows_per_second`.
        history: Measurements at every evaluation, with `step`, `epoch` and `train_loss`.
        facts: The data and the configuration, in names and numbers.
    """

    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, float]]
    facts: Mapping[str, Any]

    def save(self, directory: Path) -> None:
        """Writes `training.json`."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        files.write_text(directory / RESULT_FILE, text)

    @classmethod
    def load(cls, directory: Path) -> "Outcome":
        """Reads `training.json`."""
        return cls(**json.loads((directory / RESULT_FILE).read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Data:
    """The input of a run, known before the model is.

    Attributes:
        task: What is predicted.
        columns: How columns are packed.
        reader: Reads rows.
        rows: Rows by split.
        train: Files of the train split.
        counts: Rows of the train split by class; empty for regression.
        mean: Mean of a regression label; 0 for the other tasks.
        scale: Standard deviation of a regression label; 1 for the other tasks.
        held_out: Rows to evaluate on; None without an eval split.
    """

    task: Task
    columns: layout.Layout
    reader: inputs.Reader
    rows: Mapping[str, int]
    train: Sequence[Path]
    counts: Sequence[int]
    mean: float
    scale: float
    held_out: layout.Rows | None


def run(settings: Settings) -> Outcome:
    """Trains a model, and exports it where the settings name an output.

    Raises:
        UserError: For input or configuration that cannot be trained on.
        SystemExit: After SIGTERM, once the checkpoint is saved.
    """
    settings.check()
    models.check(settings.hyperparameters)
    here = program.place(program.tf_config())
    _logger.info("worker %d of %d: reading", here.worker + 1, here.workers)
    tf = import_tensorflow()
    import tf_keras

    for narrator in (tf.get_logger(), logging.getLogger("absl")):
        narrator.setLevel(logging.WARNING)
    # Before anything runs: a multi-worker strategy must be the first to touch the devices.
    strategy = program.make_strategy(here)
    # A generator's state is a variable: checkpoints hold it, and dropout resumes where it was.
    tf_keras.backend.experimental.enable_tf_random_generator()
    tf_keras.utils.set_random_seed(settings.seed)
    data = read(settings)
    replicas = strategy.num_replicas_in_sync
    local_replicas = replicas // here.workers
    train_rows = data.rows[inputs.TRAIN_SPLIT]
    schedule = plan(settings.hyperparameters, train_rows, replicas, local_replicas)
    share = inputs.pieces(data.train, here.worker, here.workers)
    if not share:
        raise UserError(
            f"{settings.transformed_examples}: {train_rows} training rows are "
            f"fewer than the {here.workers} workers. Use fewer workers."
        )
    context = model_context(settings, data)
    with strategy.scope():
        model = (
            custom.build(settings.model_fn, context) if settings.model_fn else models.build(context)
        )
        optimizer = program.make_optimizer(settings.hyperparameters, schedule.steps)
    runner = program.Program(
        strategy,
        model,
        optimizer,
        kind=data.task.kind,
        class_weights=_class_weights(settings, data),
        schedule=schedule,
        local_replicas=local_replicas,
        worker=here.worker,
    )
    best = [tf.Variable(weight, trainable=False) for weight in model.weights]
    stopping = _stopping(settings, data)
    saved = _checkpoints(settings, here, model, optimizer, best)
    progress = Progress() if saved is None else _resume(saved, runner, stopping, here)
    stream = TrainingInput(
        data.reader,
        share,
        seed=settings.seed,
        worker=here.worker,
        start=progress.step * schedule.replica_batch * local_replicas,
        buffer_rows=settings.shuffle_rows,
        row_bytes=data.columns.row_bytes,
    )
    resumed_at, began = progress.step, progress.seconds

    def keep_best() -> None:
        for variable, weight in zip(best, model.weights, strict=True):
            variable.assign(weight)

    held_out = data.held_out
    with stream, Journal(settings.logs, settings.metrics_file, writes=here.chief) as journal:
        _logger.info(
            "training: %d steps of %d rows, %.1f epochs, evaluation every %d steps",
            schedule.steps,
            schedule.batch,
            schedule.epoch(schedule.steps),
            schedule.interval,
        )
        Loop(
            program=runner,
            schedule=schedule,
            take=stream.take,
            evaluate=None if held_out is None else lambda: measure(runner, data, held_out),
            stopping=stopping,
            keep_best=keep_best,
            journal=journal,
            checkpoints=saved,
            checkpoint_seconds=settings.checkpoint_seconds,
            learning_rate=settings.hyperparameters.learning_rate,
            local_rows=schedule.replica_batch * local_replicas,
        ).run(progress)
        if stopping.best is not None:
            for variable, weight in zip(best, model.weights, strict=True):
                weight.assign(variable)
        seconds = max(progress.seconds - began, 1e-9)
        metrics = final_metrics(settings, runner, data) | {
            "steps": float(progress.step),
            "best_step": float(stopping.best_step or progress.step),
            "epochs": schedule.epoch(progress.step),
            "seconds": progress.seconds,
            "rows_per_second": (progress.step - resumed_at) * schedule.batch / seconds,
        }
        journal.close_with(metrics)
    outcome = Outcome(metrics, progress.history, facts(settings, data, schedule, model, here))
    if here.chief:
        if settings.logs is not None:
            outcome.save(settings.logs)
        if settings.output is not None:
            write_model(settings, settings.output, data, model)
        if saved is not None:
            saved.remove()
    # No process leaves before the chief is done: its end would look like a failure to it.
    runner.sum_over_processes([0.0])
    return outcome


def read(settings: Settings) -> Data:
    """Finds out about the data, and reads the rows to evaluate on.

    Raises:
        UserError: Where there is nothing to train on, or the columns do not fit together.
    """
    import tensorflow_transform as tft

    task = Task.load(settings.transform_graph)
    examples = Examples(settings.transformed_examples)
    rows = inputs.require_rows(examples)
    columns = layout.from_schema(
        tft.TFTransformOutput(str(settings.transform_graph)).transformed_metadata.schema,
        task.label,
    )
    train = examples.require(inputs.TRAIN_SPLIT)
    counts: Sequence[int] = ()
    mean, scale = 0.0, 1.0
    if task.kind == "regression":
        mean, scale = labels.moments(train, task.label)
    else:
        counts = labels.class_counts(train, task.label, len(task.classes))
    reader = inputs.Reader(columns, task, mean, scale)
    held_out = None
    if rows.get(inputs.EVAL_SPLIT):
        held_out = inputs.sample(reader, examples.require(inputs.EVAL_SPLIT), settings.eval_rows)
    return Data(task, columns, reader, rows, train, counts, mean, scale, held_out)


def model_context(settings: Settings, data: Data) -> models.ModelContext:
    """Describes the model to build."""
    kind = data.task.kind
    return models.ModelContext(
        task=kind,
        units=len(data.task.classes) if kind == "multiclass" else 1,
        numeric=data.columns.numeric,
        categorical=data.columns.categorical,
        hyperparameters=settings.hyperparameters,
        seed=settings.seed,
        prior=labels.prior(kind, data.counts, balanced=settings.class_weights == "balanced"),
        rows=data.rows[inputs.TRAIN_SPLIT],
    )


def measure(runner: program.Program, data: Data, rows: layout.Rows) -> dict[str, float]:
    """Gives the metrics of the current weights on some rows, in the label's own unit."""
    prediction, label = runner.predict(rows), rows.label
    if data.task.kind == "regression":
        prediction = prediction * data.scale + data.mean
        label = label * data.scale + data.mean
    return scores.score(data.task.kind, label, prediction)


def final_metrics(settings: Settings, runner: program.Program, data: Data) -> dict[str, float]:
    """Measures the weights kept, on a sample of each split."""
    train = inputs.sample(data.reader, data.train, settings.eval_rows)
    found = {f"train_{name}": value for name, value in measure(runner, data, train).items()}
    if data.held_out is not None:
        measured = measure(runner, data, data.held_out)
        found |= {f"eval_{name}": value for name, value in measured.items()}
    return found


def facts(
    settings: Settings, data: Data, schedule: Schedule, model: Any, here: program.Place
) -> dict[str, Any]:
    """Gives what the report tells of data and configuration."""
    return {
        **settings.facts(),
        "task": data.task.kind,
        "label": data.task.label,
        "classes": list(data.task.classes),
        "class_counts": list(data.counts),
        "objective": f"eval_{_objective(data)}",
        "rows": dict(data.rows),
        "eval_rows_used": 0 if data.held_out is None else len(data.held_out),
        "numeric": list(data.columns.numeric),
        "categorical": {column.name: column.size for column in data.columns.categorical},
        "parameters": int(model.count_params()),
        "schedule": asdict(schedule),
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


def _objective(data: Data) -> str:
    objective = scores.OBJECTIVES[data.task.kind]
    if objective == "auc" and data.held_out is not None:
        positives = int(data.held_out.label.sum())
        if positives in (0, len(data.held_out)):
            # The area under a curve needs both classes.
            return "log_loss"
    return objective


def _stopping(settings: Settings, data: Data) -> Stopping:
    objective = _objective(data)
    if data.held_out is None:
        _logger.warning(
            "no eval split: early stopping is off, and the last weights are kept, not the best"
        )
    elif objective != scores.OBJECTIVES[data.task.kind]:
        _logger.warning("the eval split holds one class: the best weights go by %s", objective)
    return Stopping(objective, settings.early_stopping_patience)


def _class_weights(settings: Settings, data: Data) -> list[float] | None:
    if settings.class_weights == "none":
        return None
    if data.task.kind == "regression":
        raise UserError("class_weights: 'balanced' needs classes; use 'none' for regression.")
    return labels.balanced_weights(data.counts)


def _checkpoints(
    settings: Settings, here: program.Place, model: Any, optimizer: Any, best: Sequence[Any]
) -> checkpoints.Checkpoints | None:
    path = checkpoints.directory(settings, here.workers)
    if not path:
        return None
    return checkpoints.Checkpoints(
        path, model, optimizer, best, writes=here.chief, worker=here.worker
    )


def _resume(
    saved: checkpoints.Checkpoints,
    runner: program.Program,
    stopping: Stopping,
    here: program.Place,
) -> Progress:
    step = saved.latest_step()
    # Workers that do not see the chief's checkpoint would train another model than it does.
    everyone = runner.sum_over_processes([float(step), float(step > 0)])
    if not step and not everyone[1]:
        return Progress()
    if everyone != [float(step * here.workers), float(here.workers)]:
        _logger.warning(
            "workers see different checkpoints; starting over. Put checkpoint_uri on storage that "
            "all of them share."
        )
        return Progress()
    state = saved.restore()
    progress = Progress(**state["progress"])
    for name, value in state["stopping"].items():
        setattr(stopping, name, value)
    _logger.info("resumed at step %d", progress.step)
    return progress
