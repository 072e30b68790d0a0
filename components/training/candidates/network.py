"""Trains a network, or your own model: steps, evaluations, early stopping and checkpoints."""

import logging
import time
from dataclasses import asdict

from kfp_tabular.components.training.candidates import eval_rows
from kfp_tabular.components.training.candidates.fitted_candidate import (
    CandidateContext,
    FittedCandidate,
)
from kfp_tabular.components.training.distributed.agreement import Agreement
from kfp_tabular.components.training.input.shuffling import TrainingInput
from kfp_tabular.components.training.input.training_data import TrainingData
from kfp_tabular.components.training.loop import evaluation, trainable_model
from kfp_tabular.components.training.loop.checkpoints import Checkpoints
from kfp_tabular.components.training.loop.early_stopping import EarlyStopping
from kfp_tabular.components.training.loop.metrics_writer import MetricsWriter
from kfp_tabular.components.training.loop.trainable_model import TrainableModel
from kfp_tabular.components.training.loop.training_loop import Progress, TrainingLoop
from kfp_tabular.components.training.model import prediction_metrics
from kfp_tabular.components.training.worker_settings import WorkerSettings

LABEL = "label"
"""A checkpoint's key for how a regression label is standardized."""

_logger = logging.getLogger(__name__)


def train(
    context: CandidateContext, writer: MetricsWriter, *, more_follow: bool = False
) -> FittedCandidate:
    """Train a network, from its last checkpoint if there is one.

    Args:
        context: What to train with; `settings.hyperparameters.model_type` is a network's.
        writer: Receives the measurements.
        more_follow: Whether work follows: other candidates, or the choice among them. Then the
            finished state is saved, so that a restarted training goes on with it.

    Raises:
        UserError: If it cannot be trained, or diverges.
        SystemExit: After SIGTERM, once the checkpoint is saved.
    """
    settings, data, started = context.settings, context.data, time.monotonic()
    model = trainable_model.make(
        settings, context.replica, context.strategy, data, context.peers_seconds
    )
    if trainable_model.wants_averages(settings) and not model.averages:
        context.findings.note(
            "not-averaged",
            "Parameter servers train asynchronously, so the network keeps its last weights, not "
            "their averages over the last steps. Workers without parameter servers average.",
            option="job",
        )
    early_stopping = _early_stopping(settings, data, context.agreement)
    saved = _checkpoints(context, model)
    progress = _resume(saved, context.agreement, early_stopping)
    resumed_at, seconds_before = progress.step, progress.seconds
    writer.resume(progress.history)
    writer.expect(settings.model_fn or settings.hyperparameters.model_type, model.schedule.steps)
    building = time.monotonic() - started
    _run(context, model, early_stopping, saved, writer, progress, context.seconds - building)
    if progress.step < model.schedule.steps and not early_stopping.exhausted:
        context.findings.warning(
            "budget",
            f"{settings.model_fn or settings.hyperparameters.model_type} was stopped after "
            f"{progress.step:,} of {model.schedule.steps:,} steps, because its share of the budget "
            f"was used up; kept is its best state, of step "
            f"{early_stopping.best_step or progress.step:,}.",
            option="budget_seconds",
        )
    if more_follow and saved is not None and progress.step > resumed_at:
        saved.save(progress.step, state(progress, early_stopping))
        saved.flush()
    model.fetch()
    if early_stopping.best is not None:
        model.take_best()
    seconds = max(progress.seconds - seconds_before, 1e-9)
    schedule = model.schedule
    return FittedCandidate(
        name=settings.model_fn or settings.hyperparameters.model_type,
        model=model.model,
        history=progress.history,
        steps=progress.step,
        best_step=early_stopping.best_step or progress.step,
        epochs=schedule.epoch(progress.step),
        seconds=progress.seconds,
        rows_per_second=(progress.step - resumed_at) * schedule.batch / seconds,
        parameters=int(model.model.count_params()),
        size=sum(weight.shape.num_elements() * weight.dtype.size for weight in model.model.weights),
        objective=early_stopping.metric,
        schedule=asdict(schedule),
        **({} if saved is None else {"remove_state": saved.remove}),
    )


def state(progress: Progress, early_stopping: EarlyStopping) -> dict[str, object]:
    """Return what a checkpoint holds beside the weights."""
    return {"progress": vars(progress), "stopping": vars(early_stopping)}


def _early_stopping(
    settings: WorkerSettings, data: TrainingData, agreement: Agreement
) -> EarlyStopping:
    objective = prediction_metrics.objective(
        data.task.kind, balanced=settings.class_weights == "balanced"
    )
    if (
        data.has_eval_split
        and objective == "auc"
        and agreement.from_first(float(eval_rows.have_one_class(data)))
    ):
        # The area under a curve needs both classes.
        objective = "log_loss"
    return EarlyStopping(objective, settings.early_stopping_patience)


def _checkpoints(context: CandidateContext, model: TrainableModel) -> Checkpoints | None:
    replica, data = context.replica, context.data
    if not context.checkpoints:
        return None
    # By default each parameter server would write its variables to its own disk.
    chief = "/job:chief/replica:0/task:0/device:CPU:0"
    return Checkpoints(
        context.checkpoints,
        model,
        seconds=context.settings.checkpoint_seconds,
        writes=replica.is_chief,
        io_device=chief if replica.has_parameter_servers else None,
        facts={LABEL: asdict(data.label_scale)},
    )


def _resume(
    saved: Checkpoints | None, agreement: Agreement, early_stopping: EarlyStopping
) -> Progress:
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
    found = saved.restore(prefix)
    progress = Progress(**found["progress"])
    for name, value in found["stopping"].items():
        setattr(early_stopping, name, value)
    _logger.info("resumed at step %d", progress.step)
    return progress


def _run(
    context: CandidateContext,
    model: TrainableModel,
    early_stopping: EarlyStopping,
    saved: Checkpoints | None,
    writer: MetricsWriter,
    progress: Progress,
    seconds: float,
) -> None:
    """Continue training from `progress`, up to its end or to a number of seconds."""
    settings, data = context.settings, context.data
    schedule, held_out = model.schedule, data.held_out
    stream = TrainingInput(
        data.reader,
        data.share,
        seed=settings.seed,
        worker=context.replica.worker,
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
            early_stopping=early_stopping,
            agreement=context.agreement,
            writer=writer,
            checkpoints=saved,
            seconds=seconds,
        ).run(progress)
