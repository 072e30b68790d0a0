"""Decides what job trains a model, and where its results go. Nothing here touches a cluster."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import PurePosixPath
from typing import Any

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.storage.location import parse as parse_uri
from kfp_tabular.components.common.training_job.job_kind import JobKind
from kfp_tabular.components.common.training_job.job_kinds import DISTRIBUTED_JOB_KINDS
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.training.settings import Settings

TASK = "train-model"

MODEL, LOGS, CHECKPOINTS, REQUEST = "model", "logs", "checkpoints", "request.json"
"""What is found under a job's prefix."""

_FOLDER = "kfp-tabular-jobs"

_SHARE_TO_SAVE = 0.8
"""Of the time that a pod gets to end; the rest is for ending."""

_PLACES = frozenset(("transformed_examples", "transform_graph", "output", "logs", "checkpoints"))
_NOT_A_FLAG = frozenset(("hyperparameters", "metrics_file"))


@dataclass(frozen=True)
class Artifacts:
    """Where the task's artifacts are, as URIs that other pods can use.

    Attributes:
        transformed_examples: Input.
        transform_graph: Input.
        model: Output. The job does not write there: a half-written model would look like one.
    """

    transformed_examples: str
    transform_graph: str
    model: str


@dataclass(frozen=True)
class Plan:
    """A job and its places.

    Attributes:
        kind: The kind of job.
        spec: The job, with its name.
        prefix: The directory that is the job's own.
    """

    kind: JobKind
    spec: TrainingJobSpec
    prefix: str

    @property
    def resource(self) -> dict[str, Any]:
        """The wanted resource."""
        return self.kind.build(self.spec)

    @property
    def model(self) -> str:
        """Where the chief writes the model."""
        return f"{self.prefix}/{MODEL}"

    @property
    def logs(self) -> str:
        """Where the chief writes the logs and `training.json`."""
        return f"{self.prefix}/{LOGS}"


def make(
    settings: Settings,
    artifacts: Artifacts,
    *,
    backend: str,
    job: Mapping[str, Any],
    workers: int,
    run_id: str,
    image: str = "",
) -> Plan:
    """Plans the job of a training task.

    The name and the prefix follow from the run, from what is trained and from where the task's
    output goes, which is the same in every attempt of a task and another in every iteration of a
    loop: an attempt after the first finds its job, and its checkpoints.

    Args:
        settings: What every training process is told; its own paths are the task's, not the job's.
        artifacts: Where the task's artifacts are.
        backend: A key of `DISTRIBUTED_JOB_KINDS`.
        job: The `job` document.
        workers: How many processes train, unless the document says it.
        run_id: The pipeline run.
        image: The image of the pods, unless the document says it.

    Raises:
        UserError: For a backend or a key that is unknown, or an artifact that other pods cannot
            reach.
    """
    if backend not in DISTRIBUTED_JOB_KINDS:
        raise UserError(
            f"backend: {backend!r} is no kind of job; expected "
            f"{' or '.join(DISTRIBUTED_JOB_KINDS)}.{closest(backend, DISTRIBUTED_JOB_KINDS)}"
        )
    kind = DISTRIBUTED_JOB_KINDS[backend]
    wanted = parse_job(job, workers)
    wanted = replace(wanted, image=wanted.image or image)
    for name, uri in asdict(artifacts).items():
        require_reachable(name, uri, wanted, writes=name == "model")
    digest = names.input_digest(settings.facts(), asdict(artifacts), backend)
    identity = names.Identity(run_id, TASK, digest)
    name = identity.name(kind.resource)
    prefix = f"{job_folder(artifacts.model, run_id)}/{name}"
    spec = TrainingJobSpec(
        arguments=[
            *flags(settings, artifacts, prefix),
            f"--grace-seconds={wanted.termination_grace_seconds * _SHARE_TO_SAVE:g}",
        ],
        settings=wanted,
        name=name,
        labels=identity.labels(),
    )
    return Plan(kind, spec, prefix)


def parse_job(job: Mapping[str, Any], workers: int) -> JobSettings:
    """Checks the `job` document, and settles how many processes train.

    Args:
        job: The document; it may say `workers`.
        workers: How many, as the component's argument says it.

    Raises:
        UserError: For a key that is unknown or does not fit, and where both say how many workers
            there are, and differently.
    """
    if workers < 1:
        raise UserError(f"workers: expected at least 1, found {workers}.")
    if "workers" not in job:
        return JobSettings.parse({**job, "workers": workers})
    wanted = JobSettings.parse(job)
    if workers not in (1, wanted.workers):
        raise UserError(
            f"workers is {workers} and job.workers is {wanted.workers}; give one of them."
        )
    return wanted


def flags(settings: Settings, artifacts: Artifacts, prefix: str) -> list[str]:
    """Gives the worker program's flags: places in the store, and every hyperparameter by itself.

    Args:
        settings: What every training process is told.
        artifacts: Where the inputs are.
        prefix: The job's own directory.
    """
    given: dict[str, Any] = {
        "transformed_examples": artifacts.transformed_examples,
        "transform_graph": artifacts.transform_graph,
        "output": f"{prefix}/{MODEL}",
        "logs": f"{prefix}/{LOGS}",
        "checkpoints": settings.checkpoints or f"{prefix}/{CHECKPOINTS}",
    }
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name not in _PLACES | _NOT_A_FLAG and value not in (None, ""):
            given[field.name] = value
    given |= asdict(settings.hyperparameters)
    return [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]


def job_folder(model: str, run_id: str) -> str:
    """Gives the directory of a run's jobs, beside the artifacts of its tasks.

    KFP stores artifacts under `<root>/<pipeline>/<run id>/<task>/...`; the folder is in the run's
    directory, so that what deletes a run's artifacts deletes it too. Where the run's id is not in
    the URI it is beside the model.

    Args:
        model: The URI that KFP chose for the model.
        run_id: The pipeline run; may be empty.
    """
    location = parse_uri(model)
    parts = PurePosixPath(location.key).parts
    if run_id and run_id in parts:
        folder = PurePosixPath(*parts[: parts.index(run_id) + 1])
    else:
        folder = PurePosixPath(location.key).parent
    return location.uri(str(folder / _FOLDER))


def require_reachable(name: str, uri: str, settings: JobSettings, *, writes: bool = False) -> None:
    """Checks that the job's pods can use an artifact's URI.

    Args:
        name: The artifact's name, for the error.
        uri: Where it is.
        settings: The job's settings, with its volumes.
        writes: Whether the job writes beside it.

    Raises:
        UserError: For a path that is in no volume of the job, or in one that is read-only.
    """
    location = parse_uri(uri)
    if not location.is_local:
        return
    path = PurePosixPath(location.key)
    holding = [volume for volume in settings.volumes if path.is_relative_to(volume.mount_path)]
    if not holding:
        raise UserError(
            f"{name}: {uri} is a path of this task's pod, which the job's pods do not have. Keep "
            "artifacts in gs://, s3:// or minio://, or on a volume that job.volumes mounts at the "
            "same path."
        )
    nearest = max(holding, key=lambda volume: len(volume.mount_path))
    if writes and nearest.read_only:
        raise UserError(
            f"{name}: {uri} is in the volume at {nearest.mount_path}, which job.volumes mounts "
            "read-only; the job writes its results there."
        )
