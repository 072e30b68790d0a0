"""What a training job requests from the cluster: the `job` argument of the Kubernetes backends.

Keys have the same names as in the pipeline's configuration file where both have them. Kubernetes
quantities, names and paths are checked here, because an error that a controller finds later only
shows up as an event, which is easily missed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.documents import between, checked, mapping
from kfp_tabular.components.common.pods.job_pods import JobPodSettings
from kfp_tabular.components.common.pods.metadata import check_labels
from kfp_tabular.components.common.pods.quantities import check_positive, check_size
from kfp_tabular.components.common.pods.scheduling import Toleration
from kfp_tabular.components.common.pods.variables import not_reserved

DEFAULT_RUNTIME = "kfp-tabular-tensorflow"
"""The ClusterTrainingRuntime that the project's manifests install."""

MULTIKUEUE = "kueue.x-k8s.io/multikueue"

RESERVED_VARIABLES = ("TF_CONFIG", "JOB_COMPLETION_INDEX")
"""Variables that the controllers set; with other values workers would not find each other."""

_check_variables = not_reserved(RESERVED_VARIABLES, "the job's controller")


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
class JobSettings(JobPodSettings):
    """What a training job requests from the cluster, in addition to `JobPodSettings`.

    Without `image`, pods have the image of the task that starts the job, or outside of a cluster
    the project's own. `gpus` counts the GPUs of each worker. A pod saves a checkpoint in its
    `termination_grace_seconds`. The token of the service account is never mounted.

    Attributes:
        workers: Number of processes that train together, including the chief.
        parameter_servers: Number of pods that hold the weights. Training is asynchronous then: the
            chief only distributes work, so `workers` must be at least 2.
        evaluator: Whether a separate pod evaluates.
        cpu: Cores of each pod, request and limit, such as `2` or `500m`.
        memory: Memory of each pod, request and limit, such as `4Gi`.
        roles: Settings that differ by role.
        env: Environment variables. Use `secrets` for secrets: these values are part of the
            resource.
        restart_policy: `Always`, `OnFailure`, `Never` or `ExitCode`; empty for the kind's default.
        backoff_limit: Restarts before the job fails, as the kind counts them; None for the kind's
            default.
        active_deadline_seconds: How long the job may run before its controller ends it; None for
            `deadline_seconds`.
        clean_pod_policy: Pods to remove when the job has ended: `All`, `Running` or `None`; empty
            for `Running`.
        scheduling: Gang scheduling; None for none.
        managed_by: `kueue.x-k8s.io/multikueue` to let MultiKueue run it in another cluster.
        runtime: The ClusterTrainingRuntime of a TrainJob.
    """

    DOCUMENT = "job"

    workers: int = checked(between(1, 1000), 1)
    parameter_servers: int = checked(between(0, 1000), 0)
    evaluator: bool = False
    cpu: str = checked(check_positive, "2")
    memory: str = checked(check_size, "4Gi")
    roles: Roles = Roles()
    env: Mapping[str, str] = mapping(_check_variables)
    restart_policy: str = checked(documents.one_of("Always", "OnFailure", "Never", "ExitCode"))
    backoff_limit: int | None = checked(between(0), None)
    active_deadline_seconds: int | None = checked(between(1), None)
    clean_pod_policy: str = checked(documents.one_of("All", "Running", "None"))
    scheduling: Scheduling | None = None
    managed_by: str = checked(documents.one_of(MULTIKUEUE))
    runtime: str = checked(documents.resource_name, DEFAULT_RUNTIME)

    def __post_init__(self) -> None:
        if self.parameter_servers and self.workers < 2:
            raise ValueError(
                "parameter_servers: the chief only distributes work then; set workers to 2 or more"
            )
        super().__post_init__()

    @classmethod
    def check_variables(cls, values: Mapping[str, str]) -> None:
        """Check the names of variables.

        Raises:
            ValueError: For the first that does not fit, or that the job's controller sets.
        """
        _check_variables(values)

    def role(self, name: str) -> Role:
        """Return the settings of a role.

        Args:
            name: An attribute of `Roles`.
        """
        role: Role = getattr(self.roles, name)
        return role
