"""One training process: reads, trains the candidates, keeps the best, exports.

Every process of a distributed training runs this; TF_CONFIG tells them apart.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.training_options import check_model_type
from kfp_tabular.components.training.candidates import candidate_training
from kfp_tabular.components.training.candidates.choice import Choice, choose
from kfp_tabular.components.training.candidates.fitted_candidate import (
    CandidateContext,
    FittedCandidate,
)
from kfp_tabular.components.training.distributed import parameter_servers
from kfp_tabular.components.training.distributed import strategy as strategies
from kfp_tabular.components.training.distributed.agreement import Agreement
from kfp_tabular.components.training.distributed.replica_role import ALONE, ReplicaRole
from kfp_tabular.components.training.input.training_data import read
from kfp_tabular.components.training.loop import checkpoints, evaluation, trainable_model
from kfp_tabular.components.training.loop.metrics_writer import MetricsWriter
from kfp_tabular.components.training.model.predictor import Predictor
from kfp_tabular.components.training.training_record import TrainingRecord
from kfp_tabular.components.training.worker import model_artifact
from kfp_tabular.components.training.worker.outputs import LogUploads, Outputs
from kfp_tabular.components.training.worker_settings import WorkerSettings

_logger = logging.getLogger(__name__)


def run(
    settings: WorkerSettings,
    *,
    replica: ReplicaRole = ALONE,
    outputs: Outputs | None = None,
    peers_seconds: float = 900.0,
) -> TrainingRecord:
    """Train a model, and export it if the settings name an output.

    Args:
        settings: What to train on and how; all paths are local.
        replica: This process's role in the job.
        outputs: Where model and logs go from the settings' directories; None to leave them there.
        peers_seconds: How long to wait for the other processes to start.

    Raises:
        UserError: If input or configuration cannot be trained on.
        SystemExit: After SIGTERM, once the checkpoint is saved.
    """
    settings.check()
    _check_model_type(settings, replica)
    outputs = outputs or Outputs(settings.output, settings.logs)
    _logger.info("worker %d of %d: reading", replica.worker + 1, replica.workers)
    findings = Findings()
    context = _prepare(settings, replica, peers_seconds, findings)
    with _uploads(outputs, replica) as uploaded:
        plan = candidate_training.plan_of(context)
        fitted = candidate_training.train(context, plan, uploaded)
        choice = choose(plan, fitted, context.data, balanced=settings.class_weights == "balanced")
        if replica.is_chief:
            choice = choice.calibrated(settings.calibration, context.data)
        if choice.reason:
            findings.note("candidates", _sentence(choice), option="model_type")
        metrics = _final_metrics(context, choice) | candidate_training.metrics(fitted, choice)
        with MetricsWriter(None, settings.metrics_file, writes=replica.is_chief) as writer:
            writer.close_with(metrics)
    record = TrainingRecord(
        metrics,
        choice.main.history,
        _facts(context, fitted, choice),
        checkpoints.identity(settings, replica),
        candidates=[candidate_training.record(member, choice) for member in fitted],
        leaderboard=[asdict(entry) for entry in choice.leaderboard],
    )
    if replica.is_chief:
        _finish(context, fitted, choice, outputs, record)
    if replica.has_parameter_servers:
        parameter_servers.dismiss(replica)
    else:
        _leave_together(context.agreement, replica)
    return record


def _check_model_type(settings: WorkerSettings, replica: ReplicaRole) -> None:
    check_model_type(
        settings.hyperparameters,
        model_fn=settings.model_fn,
        workers=replica.workers,
        servers=replica.has_parameter_servers,
    )


def _sentence(choice: Choice) -> str:
    """Say what is kept, with every score.

    Only the scores' first digits are shown; `training.json` holds all of them.
    """
    shares = ", ".join(f"{name} {share:.0%}" for name, share in choice.weights.items())
    kept = f"{choice.name} ({shares})" if choice.blend is not None else choice.name
    scores = ", ".join(f"{entry.candidate} {entry.score:.4g}" for entry in choice.leaderboard)
    measured = f" {choice.score}: {scores}." if scores else ""
    return f"Kept: {kept}, {choice.reason}.{measured}"


def _prepare(
    settings: WorkerSettings,
    replica: ReplicaRole,
    peers_seconds: float,
    findings: Findings,
) -> CandidateContext:
    trainable_model.quiet_tensorflow()
    # Before anything runs: a multi-worker strategy must be the first to access the devices.
    strategy = strategies.join(replica, peers_seconds)
    trainable_model.seed(settings)
    # With parameter servers the chief decides alone.
    voters = 1 if replica.has_parameter_servers else replica.workers
    agreement = Agreement(strategy, voters, replica.worker)
    started = time.monotonic()
    data = read(
        settings,
        replica,
        agreement,
        holds_out=candidate_training.needs_eval_rows(settings, replica),
    )
    settings.check_task(data.task.kind)
    if data.division is not None and data.held_out is not None:
        equal = data.division.divides_equal
        findings.note(
            "held-out",
            f"No eval split: {data.division.share:.0%} of the {'' if equal else 'distinct '}"
            f"training rows ({len(data.held_out):,} are measured) are held out to choose by and "
            f"are not trained on.{' Few are distinct, so equal rows are on both sides.' * equal} "
            "Give an eval split to train on all of them.",
            option="split_fractions",
        )
    return CandidateContext(
        settings,
        replica,
        strategy,
        agreement,
        data,
        peers_seconds,
        checkpoints.directory(settings, replica),
        findings,
        seconds_before=time.monotonic() - started,
    )


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


def _final_metrics(context: CandidateContext, choice: Choice) -> dict[str, float]:
    if not context.replica.is_chief:
        # Their metrics are not used, and they would have to fetch rows for them.
        return {}
    data = context.data
    predict = Predictor(choice.model, data.task.kind, data.columns).predict
    return evaluation.final_metrics(predict, data, context.settings.eval_rows)


def _facts(
    context: CandidateContext, fitted: Sequence[FittedCandidate], choice: Choice
) -> dict[str, Any]:
    """Return what the report shows of data and configuration."""
    data = context.data
    used = [member for member in fitted if member.name in choice.weights]
    return {
        **context.settings.facts(),
        "task": data.task.kind,
        "label": data.task.label,
        "classes": list(data.task.classes),
        "class_counts": list(data.class_counts),
        # 0: a loss of the standardized label has no unit of the label.
        "label_scale": data.label_scale.deviation if data.label_scale.is_linear else 0.0,
        "objective": choice.score or f"eval_{choice.main.objective}",
        "rows": dict(data.rows),
        "eval_rows_used": 0 if data.held_out is None else len(data.held_out),
        "eval_source": "held-out train rows" if data.division else "eval split",
        "numeric": list(data.columns.numeric),
        "categorical": {column.name: column.size for column in data.columns.categorical},
        "vectors": {vector.name: vector.width for vector in data.columns.vectors},
        "kept": choice.name,
        "reason": choice.reason,
        "parameters": sum(member.parameters for member in used),
        "schedule": dict(choice.main.schedule),
        "workers": context.replica.workers,
    }


def _finish(
    context: CandidateContext,
    fitted: Sequence[FittedCandidate],
    choice: Choice,
    outputs: Outputs,
    record: TrainingRecord,
) -> None:
    """Write the model, then the logs with `training.json` last, and remove the checkpoints."""
    settings = context.settings
    if settings.output is not None:
        model_artifact.write(
            settings,
            settings.output,
            context.data,
            choice.model,
            # A model function's hyperparameters are recorded as they were given.
            ({} if settings.model_fn else choice.document()) | _calibration(choice),
        )
        outputs.publish_model()
    if settings.logs is not None:
        context.findings.write(settings.logs)
        record.save(settings.logs)
        outputs.publish_logs()
    candidate_training.remove_state(context, fitted)


def _calibration(choice: Choice) -> dict[str, Any]:
    if choice.calibration is None:
        return {}
    return {"calibration": choice.calibration.document()}


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
