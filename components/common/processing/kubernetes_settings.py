"""What a Spark on Kubernetes asks of the cluster: `processing.kubernetes`, for `master: k8s`."""

from collections.abc import Mapping
from dataclasses import dataclass

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.documents import between, checked
from kfp_tabular.components.common.pods.job_pods import JobPodSettings
from kfp_tabular.components.common.pods.metadata import check_labels
from kfp_tabular.components.common.pods.quantities import check_positive, check_size
from kfp_tabular.components.common.pods.scheduling import Toleration

SERVICE_ACCOUNT = "kfp-tabular-spark"
"""The driver's account in the project's manifests, which may make the executors' pods."""


@dataclass(frozen=True)
class SparkPod:
    """The pods of one role; None means the same as for all pods.

    Attributes:
        cpu: Cores, request and limit, such as `2` or `500m`. Empty: those that its tasks use.
        memory: All memory, request and limit, such as `8Gi`: the Java process, and Python beside
            it. Empty: that of Java, 1 GiB for each Python process, and 512 MiB.
        node_selector: Labels that the pods' nodes must have, in place of those for all pods.
        tolerations: Taints to tolerate, in place of those for all pods.
    """

    cpu: str = checked(check_positive)
    memory: str = checked(check_size)
    node_selector: Mapping[str, str] | None = checked(check_labels, None)
    tolerations: tuple[Toleration, ...] | None = None


@dataclass(frozen=True)
class DynamicAllocation:
    """How the number of executors follows the work.

    Attributes:
        max: The most executors.
        min: The fewest.
        initial: Those at the start; at least `min`, and at least one.
    """

    max: int = documents.required(between(1, 10_000))
    min: int = checked(between(0, 10_000), 0)
    initial: int = checked(between(1, 10_000), 1)

    def __post_init__(self) -> None:
        if not self.min <= self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if not self.initial <= self.max:
            raise ValueError(f"initial {self.initial} is above max {self.max}")


@dataclass(frozen=True)
class KubernetesSettings(JobPodSettings):
    """What a Spark on Kubernetes asks of the cluster, besides `JobPodSettings`.

    Without `image`, the pods have the image `spark` from where the task's own image is, with the
    same tag. The driver runs as `service_account`; executors have no token for the cluster.

    Attributes:
        service_account: The driver's ServiceAccount, which makes the executors' pods. Their pods
            have it too, but not its token.
        executors: The number of executors, without `dynamic_allocation`.
        dynamic_allocation: The number of executors follows the work; None for a fixed number.
        driver: The driver's pod.
        executor: The executors' pods.
    """

    DOCUMENT = "processing.kubernetes"

    service_account: str = checked(documents.resource_name, SERVICE_ACCOUNT)
    executors: int = checked(between(1, 10_000), 2)
    dynamic_allocation: DynamicAllocation | None = None
    driver: SparkPod = SparkPod()
    executor: SparkPod = SparkPod()

    def __post_init__(self) -> None:
        if self.gpus:
            raise ValueError("gpus: processing uses none; leave it out")
        super().__post_init__()
