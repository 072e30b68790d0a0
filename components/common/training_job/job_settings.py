"""What a training job requests from the cluster: the `job` argument of the Kubernetes backends.

Keys have the same names as in the pipeline's configuration file where both have them. Kubernetes
quantities, names and paths are checked here, because an error that a controller finds later only
shows up as an event, which is easily missed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.documents import between, checked, mapping
from kfp_tabular.components.common.pods.metadata import check_labels
from kfp_tabular.components.common.pods.pod_settings import WorkloadSettings, check_image
from kfp_tabular.components.common.pods.quantities import check_positive, check_size
from kfp_tabular.components.common.pods.scheduling import Toleration
from kfp_tabular.components.common.pods.secrets import Secret, check_secret_key
from kfp_tabular.components.common.pods.variables import not_reserved
from kfp_tabular.components.common.pods.volumes import JobVolume

WORK_PATH = "/work"
"""The scratch directory of every pod: the working directory, HOME and TMPDIR."""

TMP_PATH = "/tmp"  # noqa: S108 - a mount in the pod, not a file in a shared directory

SHARED_MEMORY_PATH = "/dev/shm"  # noqa: S108 - where the kernel expects it

CREDENTIALS_PATH = "/var/run/kfp-tabular/google"
"""Where the key of a Google service account is mounted."""

DEFAULT_RUNTIME = "kfp-tabular-tensorflow"
"""The ClusterTrainingRuntime that the project's manifests install."""

MULTIKUEUE = "kueue.x-k8s.io/multikueue"

REQUIRED_NETWORK_POLICY = "required"
NO_NETWORK_POLICY = "none"

RESERVED_VARIABLES = ("TF_CONFIG", "JOB_COMPLETION_INDEX")
"""Variables that the controllers set; with other values workers would not find each other."""

_check_variables = not_reserved(RESERVED_VARIABLES, "the job's controller")


def _url(value: str) -> None:
    if not re.fullmatch(r"https?://[^/\s]+/?", value):
        raise ValueError("expected an address such as http://minio-service.kubeflow:9000")


@dataclass(frozen=True)
class Role:
    """Settings for the pods of one role; None means the same as for all pods.

    Attributes:
        cpu: Cores.
        memory: Memory.
        gpus: Number of GPUs.
        node_selector: Labels that the pods' nodes must have, in place of those for all pods.
        tolerations: Taints to tolerate, in place of those for all pods.
    """

    cpu: str | None = checked(check_positive, None)
    memory: str | None = checked(check_size, None)
    gpus: int | None = checked(between(0, 64), None)
    node_selector: Mapping[str, str] | None = checked(check_labels, None)
    tolerations: tuple[Toleration, ...] | None = None


@dataclass(frozen=True)
class Roles:
    """Settings by role.

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
    """Gang scheduling, for a training operator that runs with a gang scheduler.

    Attributes:
        min_available: Number of pods that must fit before any starts; None for all.
        queue: The scheduler's queue.
        priority_class: Priority class of the group.
        timeout_seconds: How long the group may wait; None for the scheduler's default.
    """

    min_available: int | None = checked(between(1), None)
    queue: str = checked(documents.resource_name)
    priority_class: str = checked(documents.resource_name)
    timeout_seconds: int | None = checked(between(1), None)


@dataclass(frozen=True)
class ObjectStore:
    """How the pods access the object store that holds the artifacts.

    Attributes:
        endpoint: Address of an S3 store. Empty: Kubeflow's own for `minio://`, Amazon's for
            `s3://`.
        region: The bucket's region.
        secret: The Secret with the store's keys. Empty: `mlpipeline-minio-artifact` for `minio://`,
            which Kubeflow Pipelines creates in every namespace; none for `s3://` and `gs://`, where
            the pods' service account then needs a role (workload identity).
        access_key: The Secret's key with the access key.
        secret_key: The Secret's key with the secret key.
        google_key: The Secret's key with the JSON key of a Google service account, for `gs://`.
    """

    endpoint: str = checked(_url)
    region: str = ""
    secret: str = checked(documents.resource_name)
    access_key: str = checked(check_secret_key, "accesskey")
    secret_key: str = checked(check_secret_key, "secretkey")
    google_key: str = checked(check_secret_key, "key.json")


@dataclass(frozen=True)
class JobSettings(WorkloadSettings):
    """What a training job requests from the cluster, in addition to `WorkloadSettings`.

    `gpus` counts the GPUs of each worker. Labels, such as that of a Kueue queue, and annotations
    apply to the job and its pods. The token of the service account is never mounted.

    Attributes:
        image: The image of every pod. Empty: the image of the task that starts the job, or outside
            of a cluster the project's own.
        workers: Number of processes that train together, including the chief.
        parameter_servers: Number of pods that hold the weights. Training is asynchronous then: the
            chief only distributes work, so `workers` must be at least 2.
        evaluator: Whether a separate pod evaluates.
        cpu: Cores of each pod, request and limit, such as `2` or `500m`.
        memory: Memory of each pod, request and limit, such as `4Gi`.
        roles: Settings that differ by role.
        env: Environment variables. Use `secrets` for secrets: these values are part of the
            resource.
        secrets: Kubernetes Secrets to use.
        volumes: PersistentVolumeClaims to mount.
        object_store: How to access the object store that holds the artifacts.
        shared_memory: Size of `/dev/shm`, which counts as memory; empty for the container
            runtime's 64 MB.
        scratch: Size limit of the pod's scratch directory, where inputs are copied to; empty for
            no limit but the node's disk.
        run_as_user: The pods' user id, above 0; None for the image's user.
        fs_group: The group that owns mounted volumes; None for none. Needed if the image's user
            may not write to a volume.
        termination_grace_seconds: Time that a pod gets to save a checkpoint before it is killed.
        restart_policy: `Always`, `OnFailure`, `Never` or `ExitCode`; empty for the kind's default.
        backoff_limit: Restarts before the job fails, as the kind counts them; None for the kind's
            default.
        active_deadline_seconds: How long the job may run before its controller ends it; None for
            `deadline_seconds`.
        ttl_seconds: How long the finished job is kept; None for as long as the run.
        clean_pod_policy: Pods to remove when the job has ended: `All`, `Running` or `None`; empty
            for `Running`.
        scheduling: Gang scheduling; None for none.
        network_policy: Whether the task makes a NetworkPolicy for each job of several pods, by
            which they reach each other: `auto`: where its account may; `required`: else it fails;
            `none`: never.
        suspend: Whether the job starts suspended, to be resumed by Kueue or by hand.
        managed_by: `kueue.x-k8s.io/multikueue` to let MultiKueue run it in another cluster.
        runtime: The ClusterTrainingRuntime of a TrainJob.
        deadline_seconds: How long the task waits before it cancels the job.
        grace_seconds: How long a pod may stay unschedulable, or its image unavailable, before the
            task fails.
    """

    DOCUMENT = "job"

    image: str = checked(check_image)
    workers: int = checked(between(1, 1000), 1)
    parameter_servers: int = checked(between(0, 1000), 0)
    evaluator: bool = False
    cpu: str = checked(check_positive, "2")
    memory: str = checked(check_size, "4Gi")
    roles: Roles = Roles()
    env: Mapping[str, str] = mapping(_check_variables)
    secrets: tuple[Secret, ...] = ()
    volumes: tuple[JobVolume, ...] = ()
    object_store: ObjectStore = ObjectStore()
    shared_memory: str = checked(check_size)
    scratch: str = checked(check_size)
    run_as_user: int | None = checked(between(1), None)
    fs_group: int | None = checked(between(0), None)
    termination_grace_seconds: int = checked(between(0, 3600), 60)
    restart_policy: str = checked(documents.one_of("Always", "OnFailure", "Never", "ExitCode"))
    backoff_limit: int | None = checked(between(0), None)
    active_deadline_seconds: int | None = checked(between(1), None)
    ttl_seconds: int | None = checked(between(0), None)
    clean_pod_policy: str = checked(documents.one_of("All", "Running", "None"))
    scheduling: Scheduling | None = None
    network_policy: str = checked(
        documents.one_of("auto", REQUIRED_NETWORK_POLICY, NO_NETWORK_POLICY), "auto"
    )
    suspend: bool = False
    managed_by: str = checked(documents.one_of(MULTIKUEUE))
    runtime: str = checked(documents.resource_name, DEFAULT_RUNTIME)
    deadline_seconds: int = checked(between(1), 24 * 3600)
    grace_seconds: int = checked(between(0), 300)

    def __post_init__(self) -> None:
        if self.parameter_servers and self.workers < 2:
            raise ValueError(
                "parameter_servers: the chief only distributes work then; set workers to 2 or more"
            )
        _mounts_apart(self)
        variables = tuple(self.env) + tuple(
            variable for secret in self.secrets for variable in secret.env.values()
        )
        documents.distinct(variables, "environment variable")
        _check_variables(dict.fromkeys(variables, ""))

    def role(self, name: str) -> Role:
        """Return the settings of a role.

        Args:
            name: An attribute of `Roles`.
        """
        role: Role = getattr(self.roles, name)
        return role


def _mounts_apart(settings: JobSettings) -> None:
    paths = (
        *(volume.mount_path for volume in settings.volumes),
        *(secret.mount_path for secret in settings.secrets if secret.mount_path),
    )
    normal = tuple(path.rstrip("/") for path in paths)
    documents.distinct(normal, "mount_path")
    for path in normal:
        if path in (WORK_PATH, TMP_PATH, SHARED_MEMORY_PATH, CREDENTIALS_PATH):
            raise ValueError(f"mount_path {path} is used by the pod itself; choose another")
