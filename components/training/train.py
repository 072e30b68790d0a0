"""The training task: chooses where to train, then reports."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.training_job.job_kinds import DISTRIBUTED_JOB_KINDS
from kfp_tabular.components.training import training_report as report
from kfp_tabular.components.training.distributed import local_workers
from kfp_tabular.components.training.kubeflow.plan import Artifacts
from kfp_tabular.components.training.settings import Settings
from kfp_tabular.components.training.training_record import TrainingRecord

LOCAL = "local"
BACKENDS = (LOCAL, *DISTRIBUTED_JOB_KINDS)


@dataclass(frozen=True)
class Request:
    """What the task is asked for.

    Attributes:
        settings: What every training process is told; it has an output and logs.
        report: The HTML file to write.
        workers: Number of worker processes.
        backend: Where training runs: `local`, or a kind of job on the cluster.
        artifacts: Where the task's artifacts are for other pods; a job needs it.
        job: What the job asks of the cluster, as `training_job.job_settings` has it.
        run_id: The pipeline run, which the job is named after.
    """

    settings: Settings
    report: Path
    workers: int = 1
    backend: str = LOCAL
    artifacts: Artifacts | None = None
    job: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = ""


@dataclass(frozen=True)
class Result:
    """What the task gives.

    Attributes:
        metrics: By name, all finite.
        lineage: Metadata by output: `model` and `training_logs`.
    """

    metrics: Mapping[str, float]
    lineage: Mapping[str, Mapping[str, Any]]


def run(request: Request) -> Result:
    """Trains, exports and reports.

    Raises:
        UserError: For an unknown backend, a number of workers below 1, input that cannot be
            trained on, or a job that cannot be asked for.
        JobFailedError: The job on the cluster failed.
    """
    if request.backend not in BACKENDS:
        raise UserError(
            f"backend: {request.backend!r} is not supported; expected "
            f"{' or '.join(map(repr, BACKENDS))}." + closest(request.backend, BACKENDS)
        )
    if request.workers < 1:
        raise UserError(f"workers: expected at least 1, found {request.workers}.")
    settings = request.settings
    if settings.logs is None or settings.output is None:
        raise ValueError("the task needs an output and logs")
    outcome = _train(request, settings.logs)
    files.write_text(request.report, report.page(outcome))
    logs = lineage.record(
        settings.logs,
        inputs={
            "transformed_examples": settings.transformed_examples,
            "transform_graph": settings.transform_graph,
        },
        seed=settings.seed,
    )
    return Result(
        metrics={name: value for name, value in outcome.metrics.items() if math.isfinite(value)},
        lineage={"model": lineage.read(settings.output), "training_logs": logs},
    )


def _train(request: Request, logs: Path) -> TrainingRecord:
    settings = request.settings
    if request.backend != LOCAL:
        _train_on_the_cluster(request)
    elif request.workers == 1:
        # Imported here: where jobs are only started, there is no TensorFlow.
        from kfp_tabular.components.training.worker import training_process as process

        return process.run(settings)
    else:
        local_workers.run(settings, request.workers)
    return TrainingRecord.load(logs)


def _train_on_the_cluster(request: Request) -> None:
    from kfp_tabular.components.training.kubeflow import backend

    if request.artifacts is None:
        raise ValueError("a job needs to know where the artifacts are")
    backend.run(
        backend.Order(
            settings=request.settings,
            artifacts=request.artifacts,
            backend=request.backend,
            job=request.job,
            workers=request.workers,
            run_id=request.run_id,
        )
    )
