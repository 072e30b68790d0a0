"""The job that trains a model, and where its results go. Nothing here accesses a cluster."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from kfp_tabular.components.common import options
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.pods.artifact_access import require_reachable
from kfp_tabular.components.common.storage.job_directory import job_folder
from kfp_tabular.components.common.training_job.job_kind import JobKind
from kfp_tabular.components.common.training_job.job_kinds import DISTRIBUTED_JOB_KINDS
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.common.training_options import WorkerLocations
from kfp_tabular.components.training.options import PlacementOptions
from kfp_tabular.components.training.training_request import ArtifactUris
from kfp_tabular.components.training.worker_settings import WorkerSettings, worker_arguments

TASK = "train-model"

MODEL, LOGS, CHECKPOINTS, REQUEST = "model", "logs", "checkpoints", "request.json"
"""Names in a job's directory."""

_SHARE_TO_SAVE = 0.8
"""Share of a pod's termination grace period for saving the state; the rest is for exiting."""


@dataclass(frozen=True)
class TrainingJobRequest:
    """A training that is to run as a job on the cluster.

    Attributes:
        settings: The settings of every training process. `output` and `logs` are where the task
            wants the results, on its own machine.
        placement: The backend, the number of workers and the `job` document.
        uris: Where the task's artifacts are for other pods.
    """

    settings: WorkerSettings
    placement: PlacementOptions
    uris: ArtifactUris


@dataclass(frozen=True)
class TrainingJobPlan:
    """A job and its directory.

    Attributes:
        kind: The kind of job.
        spec: The job, with its name.
        prefix: URI of the directory that belongs to the job.
    """

    kind: JobKind
    spec: TrainingJobSpec
    prefix: str

    @property
    def resource(self) -> dict[str, Any]:
        """The Kubernetes resource to create."""
        resource: dict[str, Any] = self.kind.build(self.spec)
        return resource

    @property
    def model(self) -> str:
        """Where the chief writes the model."""
        return f"{self.prefix}/{MODEL}"

    @property
    def logs(self) -> str:
        """Where the chief writes the logs and `training.json`."""
        return f"{self.prefix}/{LOGS}"


def make(request: TrainingJobRequest, *, image: str = "") -> TrainingJobPlan:
    """Plan the job of a training task.

    Name and directory follow from the run, from what is trained and from where the task's output
    goes, which is the same in every attempt of a task and different in every iteration of a loop.
    So a retried task finds its job and its checkpoints.

    Args:
        request: What to train.
        image: The image of the pods, unless the `job` document names one.

    Raises:
        UserError: If the placement or the `job` document does not fit, or other pods cannot reach
            an artifact.

    Example:
        >>> from pathlib import Path
        >>> plan = make(
        ...     TrainingJobRequest(
        ...         WorkerSettings(Path(), Path(), Path(), Path()),
        ...         PlacementOptions(backend="tfjob", workers=3, run_id="run-7"),
        ...         ArtifactUris("gs://b/examples", "gs://b/graph", "gs://b/run-7/model"),
        ...     )
        ... )
        >>> plan.resource["kind"], plan.model
        ('TFJob', 'gs://b/run-7/kfp-tabular-jobs/.../model')
    """
    options.check(request.placement)
    settings, placement, uris = request.settings, request.placement, asdict(request.uris)
    kind = DISTRIBUTED_JOB_KINDS[placement.backend]
    job = parse_job(placement.job, placement.workers)
    job = replace(job, image=job.image or image)
    for name, uri in uris.items():
        require_reachable(name, uri, job.volumes, writes=name == "model")
    run_id = placement.run_id or names.run_of(request.uris.model)
    digest = names.input_digest(settings.facts(), uris, placement.backend)
    identity = names.Identity(run_id, TASK, digest)
    name = identity.name(kind.resource)
    prefix = f"{job_folder(request.uris.model, run_id)}/{name}"
    spec = TrainingJobSpec(
        arguments=worker_flags(request, prefix, job),
        settings=job,
        name=name,
        labels=identity.labels(),
    )
    return TrainingJobPlan(kind, spec, prefix)


def parse_job(job: Mapping[str, Any], workers: int) -> JobSettings:
    """Parse the `job` document and settle how many processes train.

    Args:
        job: The document; it may hold `workers`.
        workers: The component's argument.

    Raises:
        UserError: If a key is unknown or a value does not fit, or both give a number of workers
            and the numbers differ.

    Example:
        >>> parse_job({"gpus": 1}, workers=4).workers
        4
        >>> parse_job({"workers": 2}, workers=4)
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: workers is 4 and job.workers is 2; set only
        one of them.
    """
    if "workers" not in job:
        return JobSettings.parse({**job, "workers": workers})
    settings = JobSettings.parse(job)
    if workers not in (1, settings.workers):
        raise UserError(
            f"workers is {workers} and job.workers is {settings.workers}; set only one of them."
        )
    return settings


def worker_flags(request: TrainingJobRequest, prefix: str, job: JobSettings) -> list[str]:
    """Return the flags of the worker in each pod: URIs, options and every hyperparameter.

    Args:
        request: What to train.
        prefix: URI of the job's directory.
        job: The job's settings.

    Example:
        >>> from pathlib import Path
        >>> request = TrainingJobRequest(
        ...     WorkerSettings(Path(), Path(), Path(), Path()),
        ...     PlacementOptions(backend="tfjob"),
        ...     ArtifactUris("gs://b/examples", "gs://b/graph", "gs://b/model"),
        ... )
        >>> flags = worker_flags(request, "gs://b/kfp-tabular-jobs/train-1", JobSettings())
        >>> [flag for flag in flags if flag.startswith(("--output", "--l2"))]
        ['--output=gs://b/kfp-tabular-jobs/train-1/model', '--l2=0.0']
    """
    arguments = worker_arguments(
        request.settings,
        WorkerLocations(
            transformed_examples=request.uris.transformed_examples,
            transform_graph=request.uris.transform_graph,
            output=f"{prefix}/{MODEL}",
            logs=f"{prefix}/{LOGS}",
            checkpoints=request.settings.checkpoints or f"{prefix}/{CHECKPOINTS}",
        ),
        values=asdict(request.settings.hyperparameters),
        grace_seconds=job.termination_grace_seconds * _SHARE_TO_SAVE,
    )
    return arguments.flags()
