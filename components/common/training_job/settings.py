"""What a training job asks of the cluster: the `job` argument of the Kubernetes backends.

The words are those of the pipeline's configuration file wherever both know a thing. Kubernetes
amounts, names and paths are checked here, because what a controller finds wrong later shows up as
an event that nobody reads.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common import documents
from kfp_tabular.components.common import pod_settings as pod
from kfp_tabular.components.common.pod_settings import Toleration

WORK_PATH = "/work"
"""The scratch directory of every pod: the working directory, HOME and TMPDIR."""

TMP_PATH = "/tmp"  # noqa: S108 - a mount of the pod's own, not a file in a shared directory

SHARED_MEMORY_PATH = "/dev/shm"  # noqa: S108 - where the kernel expects it

CREDENTIALS_PATH = "/var/run/kfp-tabular/google"
"""Where the key of a Google service account is mounted."""

DEFAULT_RUNTIME = "kfp-tabular-tensorflow"
"""The ClusterTrainingRuntime that the project's manifests install."""

MULTIKUEUE = "kueue.x-k8s.io/multikueue"

RESERVED_VARIABLES = ("TF_CONFIG", "JOB_COMPLETION_INDEX")
"""What the controllers set; another value would tear the workers apart."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_SECRET_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")


def _variable(name: str) -> None:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an environment variable")
    if name in RESERVED_VARIABLES:
        raise ValueError(f"{name} is set by the job's controller; leave it out")


def _variables(values: Mapping[str, str]) -> None:
    for name in values:
        _variable(name)


def _url(value: str) -> None:
    if not re.fullmatch(r"https?://[^/\s]+/?", value):
        raise ValueError("expected an address such as http://minio-service.kubeflow:9000")


def _secret_key(value: str) -> None:
    if not _SECRET_KEY.fullmatch(value):
        raise ValueError("expected a Secret's key: letters, digits, '-', '_' and '.'")


@dataclass(frozen=True)
class Secret:
    """A Kubernetes Secret that the pods use, as variables or as files.

    Attributes:
        name: The Secret's name.
        env: The environment variable for each of its keys.
        mount_path: Where its keys appear as files.
        optional: Whether pods start without it, too.
    """

    name: str = pod.required(documents.resource_name)
    env: Mapping[str, str] = field(default_factory=dict)
    mount_path: str = pod.checked(documents.mount_path)
    optional: bool = False

    def __post_init__(self) -> None:
        if not self.env and not self.mount_path:
            raise ValueError("give env (variables by key) or mount_path")
        for key, variable in self.env.items():
            _secret_key(key)
            _variable(variable)


@dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim that the pods mount.

    Attributes:
        claim: The claim's name. Workers on several nodes need one that many can mount.
        mount_path: Where it appears.
        sub_path: A directory of it in place of its root.
        read_only: Whether it may only be read.
    """

    claim: str = pod.required(documents.resource_name)
    mount_path: str = pod.required(documents.mount_path)
    sub_path: str = ""
    read_only: bool = False

    def __post_init__(self) -> None:
        if self.sub_path.startswith("/") or ".." in self.sub_path.split("/"):
            raise ValueError(f"sub_path: expected a path inside the volume, found {self.sub_path}")


@dataclass(frozen=True)
class Role:
    """What differs for the pods of one role; what is left out is as for all.

    Attributes:
        cpu: Cores.
        memory: Memory.
        gpus: Number of GPUs.
        node_selector: Labels that the pod's node must have, in place of those for all.
        tolerations: Taints that are no obstacle, in place of those for all.
    """

    cpu: str | None = pod.checked(pod.positive, None)
    memory: str | None = pod.checked(pod.memory, None)
    gpus: int | None = pod.checked(pod.between(0, 64), None)
    node_selector: Mapping[str, str] | None = pod.checked(pod.labels, None)
    tolerations: tuple[Toleration, ...] | None = None


@dataclass(frozen=True)
class Roles:
    """The roles whose pods differ.

    Attributes:
        chief: The first worker.
        workers: The other workers.
        parameter_servers: Parameter servers.
        evaluator: The evaluator.
    """

    chief: Role = Role()
    workers: Role = Role()
    parameter_servers: Role = Role()
    evaluator: Role = Role()


@dataclass(frozen=True)
class Scheduling:
    """Gang scheduling, for a training operator that was started with a gang scheduler.

    Attributes:
        min_available: Pods that must fit before any is started; None for all.
        queue: The scheduler's queue.
        priority_class: Priority of the group.
        timeout_seconds: How long the group waits; None for the scheduler's default.
    """

    min_available: int | None = pod.checked(pod.between(1), None)
    queue: str = pod.checked(documents.resource_name)
    priority_class: str = pod.checked(documents.resource_name)
    timeout_seconds: int | None = pod.checked(pod.between(1), None)


@dataclass(frozen=True)
class ObjectStore:
    """How the pods reach the store that the artifacts lie in.

    Attributes:
        endpoint: Address of an S3 store; empty for Kubeflow's own with `minio://`, Amazon's with
            `s3://`.
        region: The bucket's region.
        secret: The Secret with the store's keys. Empty: for `minio://` the one that Kubeflow
            Pipelines has in every namespace, `mlpipeline-minio-artifact`; for `s3://` and `gs://`
            none, and the pods' service account must have a role (workload identity).
        access_key: The Secret's key with the access key.
        secret_key: The Secret's key with the secret key.
        google_key: The Secret's key with the JSON key of a Google service account, for `gs://`.
    """

    endpoint: str = pod.checked(_url)
    region: str = ""
    secret: str = pod.checked(documents.resource_name)
    access_key: str = pod.checked(_secret_key, "accesskey")
    secret_key: str = pod.checked(_secret_key, "secretkey")
    google_key: str = pod.checked(_secret_key, "key.json")


@dataclass(frozen=True)
class JobSettings:
    """What a training job asks of the cluster.

    Attributes:
        image: The image of every pod. Empty for that of the task which starts the job, or else the
            project's own.
        image_pull_policy: `Always`, `IfNotPresent` or `Never`; empty for Kubernetes' default.
        image_pull_secrets: Secrets for the registry.
        workers: Processes that train together, the chief included.
        parameter_servers: Pods that hold the weights. With them training is asynchronous: the
            chief hands out work and takes no step itself, so it takes two workers at least.
        evaluator: Whether a pod of its own evaluates.
        cpu: Cores of each pod, asked for and at the most: `2` or `500m`.
        memory: Memory of each pod, asked for and at the most, such as `4Gi`.
        gpus: GPUs of each worker.
        gpu_resource: The resource that stands for one GPU.
        roles: What differs for the pods of a role.
        node_selector: Labels that the pods' nodes must have.
        tolerations: Taints of nodes that are no obstacle.
        priority_class: Priority of the pods.
        service_account: Account of the pods, for roles in a cloud; the namespace's default where
            empty. Its token is never mounted.
        env: Environment variables. Not for secrets: they would stand in the resource.
        secrets: Kubernetes Secrets to use.
        volumes: PersistentVolumeClaims to mount.
        object_store: How to reach the artifacts' store.
        shared_memory: Size of `/dev/shm`, in memory; empty for the container runtime's 64 MB.
        scratch: Largest size of the pod's scratch directory, where inputs are copied to; empty for
            what the node has.
        run_as_user: The pods' user id; None for the image's. Never 0.
        fs_group: The group that owns mounted volumes; None for none. Needed where a volume is not
            writable by the image's user.
        termination_grace_seconds: Time to save a checkpoint when a pod is told to end.
        labels: Labels of the job and its pods, such as a Kueue queue.
        annotations: Annotations of the job and its pods.
        restart_policy: `Always`, `OnFailure`, `Never` or `ExitCode`; empty for the kind's default.
        backoff_limit: Restarts before the job fails, as the kind counts them; None for a default.
        active_deadline_seconds: How long the job may run before its controller ends it; None for
            `deadline_seconds`.
        ttl_seconds: How long the finished job stays; None for as long as the run.
        clean_pod_policy: Pods removed when the job has ended: `All`, `Running` or `None`; empty
            for `Running`.
        scheduling: Gang scheduling; None for none.
        suspend: Whether the job waits for somebody to resume it.
        managed_by: `kueue.x-k8s.io/multikueue` to have MultiKueue run it elsewhere.
        runtime: The ClusterTrainingRuntime of a TrainJob.
        deadline_seconds: How long the task waits before it cancels the job.
        grace_seconds: How long a pod may be unschedulable or its image not pulled.
    """

    image: str = pod.checked(pod.image)
    image_pull_policy: str = pod.checked(documents.one_of("Always", "IfNotPresent", "Never"))
    image_pull_secrets: tuple[str, ...] = pod.checked(pod.names, ())
    workers: int = pod.checked(pod.between(1, 1000), 1)
    parameter_servers: int = pod.checked(pod.between(0, 1000), 0)
    evaluator: bool = False
    cpu: str = pod.checked(pod.positive, "2")
    memory: str = pod.checked(pod.memory, "4Gi")
    gpus: int = pod.checked(pod.between(0, 64), 0)
    gpu_resource: str = pod.checked(pod.extended_resource, "nvidia.com/gpu")
    roles: Roles = Roles()
    node_selector: Mapping[str, str] = pod.mapping(pod.labels)
    tolerations: tuple[Toleration, ...] = ()
    priority_class: str = pod.checked(documents.resource_name)
    service_account: str = pod.checked(documents.resource_name)
    env: Mapping[str, str] = pod.mapping(_variables)
    secrets: tuple[Secret, ...] = ()
    volumes: tuple[Volume, ...] = ()
    object_store: ObjectStore = ObjectStore()
    shared_memory: str = pod.checked(pod.memory)
    scratch: str = pod.checked(pod.memory)
    run_as_user: int | None = pod.checked(pod.between(1), None)
    fs_group: int | None = pod.checked(pod.between(0), None)
    termination_grace_seconds: int = pod.checked(pod.between(0, 3600), 60)
    labels: Mapping[str, str] = pod.mapping(pod.labels)
    annotations: Mapping[str, str] = pod.mapping(pod.annotations)
    restart_policy: str = pod.checked(documents.one_of("Always", "OnFailure", "Never", "ExitCode"))
    backoff_limit: int | None = pod.checked(pod.between(0), None)
    active_deadline_seconds: int | None = pod.checked(pod.between(1), None)
    ttl_seconds: int | None = pod.checked(pod.between(0), None)
    clean_pod_policy: str = pod.checked(documents.one_of("All", "Running", "None"))
    scheduling: Scheduling | None = None
    suspend: bool = False
    managed_by: str = pod.checked(documents.one_of(MULTIKUEUE))
    runtime: str = pod.checked(documents.resource_name, DEFAULT_RUNTIME)
    deadline_seconds: int = pod.checked(pod.between(1), 24 * 3600)
    grace_seconds: int = pod.checked(pod.between(0), 300)

    def __post_init__(self) -> None:
        if self.parameter_servers and self.workers < 2:
            raise ValueError(
                "parameter_servers: the chief only hands out work then; set workers to 2 or more"
            )
        _mounts_apart(self)
        variables = tuple(self.env) + tuple(
            variable for secret in self.secrets for variable in secret.env.values()
        )
        pod.distinct(variables, "environment variable")

    def role(self, name: str) -> Role:
        """Gives what differs for a role.

        Args:
            name: An attribute of `Roles`.
        """
        role: Role = getattr(self.roles, name)
        return role


def parse(document: Any, source: str = "job") -> JobSettings:
    """Checks the `job` document.

    Args:
        document: A mapping from YAML, JSON or a KFP struct; keys are those of `JobSettings`.
            Whole numbers may come as floats.
        source: How to name it in an error.

    Raises:
        UserError: For the first key that is unknown (the message names the closest) or whose value
            does not fit.
    """
    return documents.parse(JobSettings, {} if document is None else document, source)


def _mounts_apart(settings: JobSettings) -> None:
    paths = (
        *(volume.mount_path for volume in settings.volumes),
        *(secret.mount_path for secret in settings.secrets if secret.mount_path),
    )
    normal = tuple(path.rstrip("/") for path in paths)
    pod.distinct(normal, "mount_path")
    for path in normal:
        if path in (WORK_PATH, TMP_PATH, SHARED_MEMORY_PATH, CREDENTIALS_PATH):
            raise ValueError(f"mount_path {path} is the pod's own; choose another")
