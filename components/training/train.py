"""The task `train_model`: trains here or as a job on the cluster, then reports."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common import files, options
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.training_options import check_model_type
from kfp_tabular.components.training import training_report
from kfp_tabular.components.training.options import LOCAL, VALUE, TrainingOptions
from kfp_tabular.components.training.training_record import TrainingRecord
from kfp_tabular.components.training.training_request import TrainingRequest
from kfp_tabular.components.training.worker_settings import WorkerSettings

if TYPE_CHECKING:
    from kfp_tabular.components.training.value_threshold import ValueThreshold


@dataclass(frozen=True)
class TrainingResult:
    """What the task reports to the pipeline.

    Attributes:
        metrics: Final metrics by name, all finite.
        lineage: Metadata by output: `model` and `training_logs`.
    """

    metrics: Mapping[str, float]
    lineage: Mapping[str, Mapping[str, Any]]


def run(request: TrainingRequest) -> TrainingResult:
    """Train, export the model and write the report.

    Raises:
        UserError: If an option is out of range, the input cannot be trained on, or the job cannot
            be created.
        JobFailedError: If the job on the cluster failed.
    """
    options.check(request.options)
    settings = request.settings()
    check_placement(settings.hyperparameters, request.options)
    threshold = _value_threshold(request)
    record = _train(request, settings)
    if threshold is not None:
        facts = {**record.facts, "threshold_choice": threshold.apply(request)}
        record = replace(record, facts=facts)
        record.save(request.training_logs)
    files.write_text(request.report, training_report.page(record))
    logs = lineage.record(
        request.training_logs,
        inputs={
            "transformed_examples": request.transformed_examples,
            "transform_graph": request.transform_graph,
        },
        seed=settings.seed,
    )
    return TrainingResult(
        metrics={name: value for name, value in record.metrics.items() if math.isfinite(value)},
        lineage={"model": lineage.read(request.model), "training_logs": logs},
    )


def _value_threshold(request: TrainingRequest) -> "ValueThreshold | None":
    if request.options.decision_threshold != VALUE:
        return None
    from kfp_tabular.components.training.value_threshold import ValueThreshold

    return ValueThreshold.of(request)


def check_placement(hyperparameters: Hyperparameters, given: TrainingOptions) -> None:
    """Check that the model type can be trained where the options say.

    Raises:
        UserError: If not, or if `job` is invalid.
    """
    workers, servers = given.workers, False
    if given.backend != LOCAL:
        from kfp_tabular.components.training.kubeflow import job_plan

        job = job_plan.parse_job(given.job, workers)
        workers, servers = job.workers, job.parameter_servers > 0
    check_model_type(hyperparameters, model_fn=given.model_fn, workers=workers, servers=servers)


def _train(request: TrainingRequest, settings: WorkerSettings) -> TrainingRecord:
    # Imported when needed: an image that only starts jobs has no TensorFlow, and training in this
    # process needs no Kubernetes client.
    if request.options.backend != LOCAL:
        from kfp_tabular.components.training.kubeflow import backend
        from kfp_tabular.components.training.kubeflow.job_plan import TrainingJobRequest

        if request.uris is None:
            raise ValueError("a job needs the artifacts' URIs")
        backend.run(TrainingJobRequest(settings, request.options, request.uris))
    elif request.options.workers == 1:
        from kfp_tabular.components.training.worker import training_process

        return training_process.run(settings)
    else:
        from kfp_tabular.components.training.distributed import local_workers

        local_workers.run(settings, request.options.workers)
    return TrainingRecord.load(request.training_logs)
