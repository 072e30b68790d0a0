"""The `service` argument: what an endpoint asks of the cluster, and how it is rolled out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.documents import between, checked, mapping, required
from kfp_tabular.components.common.pods.metadata import check_annotations, check_labels
from kfp_tabular.components.common.pods.pod_settings import WorkloadSettings, check_image
from kfp_tabular.components.common.pods.quantities import (
    check_positive,
    check_size,
    parse_quantity,
)
from kfp_tabular.components.common.pods.variables import not_reserved
from kfp_tabular.components.common.pods.volumes import Volume
from kfp_tabular.components.deployment.kserve.resources.verification_settings import (
    EndpointAccess,
    VerificationBounds,
    check_url,
)

KNATIVE = "Knative"
STANDARD = "Standard"
"""Deployment modes, as KServe 0.16 and later call them (before: Serverless, RawDeployment)."""

DIRECT = "direct"
CANARY = "canary"
BLUE_GREEN = "blue_green"

IMAGE = "image"
SERVING_RUNTIME = "serving_runtime"
TENSORFLOW = "tensorflow"

TENSORFLOW_SERVING = "2.19.1"
"""Tag of the image for KServe's runtime; KServe's default is too old for the models' operations."""

VISIBILITY_LABELS = {
    KNATIVE: "networking.knative.dev/visibility",
    STANDARD: "networking.kserve.io/visibility",
}
"""In Knative mode KServe leaves visibility to Knative, which knows its own label only."""

_RUNTIME_NAMES = {SERVING_RUNTIME: "kfp-tabular", TENSORFLOW: "kserve-tensorflow-serving"}
_MODES = {DIRECT: STANDARD, CANARY: KNATIVE, BLUE_GREEN: STANDARD}
# Variables that KServe and this project set.
_RESERVED_VARIABLES = frozenset(
    {"STORAGE_URI", "KFP_TABULAR_SERVING_AUTH_KEYS", "KFP_TABULAR_SERVING_PUBLIC_KEY"}
)
_OWN_PREFIXES = ("kfp-tabular.dev/", "internal.serving.kserve.io/")
_OWN_KEYS = {
    "app.kubernetes.io/managed-by": "",
    "app.kubernetes.io/name": "",
    "app.kubernetes.io/instance": "",
    "serving.kserve.io/inferenceservice": "",
    "serving.kserve.io/deploymentMode": "deployment_mode",
    "serving.kserve.io/enable-tag-routing": "strategy",
    "serving.kserve.io/autoscalerClass": "autoscaler",
    "serving.kserve.io/enable-prometheus-scraping": "prometheus",
    "prometheus.kserve.io/port": "prometheus",
    "prometheus.kserve.io/path": "prometheus",
    **dict.fromkeys(VISIBILITY_LABELS.values(), "cluster_local"),
}
"""Labels and annotations that this project sets, and the setting that each follows from."""


_check_variables = not_reserved(_RESERVED_VARIABLES, "this backend")


def _not_own(values: Mapping[str, str]) -> None:
    for key in values:
        if key.startswith(_OWN_PREFIXES) or key in _OWN_KEYS:
            setting = _OWN_KEYS.get(key)
            instead = f"use the setting {setting} instead" if setting else "leave it out"
            raise ValueError(f"{key!r} is set by this backend; {instead}")


def _labels(values: Mapping[str, str]) -> None:
    check_labels(values)
    _not_own(values)


def _annotations(values: Mapping[str, str]) -> None:
    check_annotations(values)
    _not_own(values)


def _tag(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", value):
        raise ValueError("expected an image's tag, such as 2.19.1")


def _steps(values: tuple[int, ...]) -> None:
    if not values or values[-1] != 100 or list(values) != sorted(set(values)) or values[0] < 1:
        raise ValueError("expected rising percentages of the traffic, the last one 100")


@dataclass(frozen=True)
class PayloadLogger:
    """KServe's payload logger: sends requests and answers to a sink, as CloudEvents.

    Attributes:
        url: URL of the sink.
        mode: `all`, `request` or `response`.
    """

    url: str = required(check_url)
    mode: str = checked(documents.one_of("all", "request", "response"), "all")


@dataclass(frozen=True)
class RequestBatcher:
    """KServe's batcher, a sidecar that batches v1 requests; not for runtime `tensorflow`.

    It reads numbers as doubles, so the last digits of an integer beyond 2**53 change.

    Attributes:
        max_batch_size: The most rows in a batch.
        max_latency_ms: How long a request waits for others, in milliseconds.
    """

    max_batch_size: int = checked(between(1), 32)
    max_latency_ms: int = checked(between(1), 50)


@dataclass(frozen=True)
class KedaScaling:
    """The metrics that KEDA scales by: one or more.

    Attributes:
        cpu: Target use of the requested cores, in percent.
        memory: Target use of the requested memory, in percent.
        prometheus_address: URL of a Prometheus server.
        prometheus_query: The PromQL query.
        prometheus_threshold: Target value of the query per replica, such as `50`.
    """

    cpu: int | None = checked(between(1, 100), None)
    memory: int | None = checked(between(1, 100), None)
    prometheus_address: str = checked(check_url)
    prometheus_query: str = ""
    prometheus_threshold: str = checked(check_positive)

    def __post_init__(self) -> None:
        asked = (self.prometheus_address, self.prometheus_query, self.prometheus_threshold)
        if any(asked) and not all(asked):
            raise ValueError(
                "prometheus_address, prometheus_query and prometheus_threshold go together"
            )
        if self.cpu is None and self.memory is None and not any(asked):
            raise ValueError("give cpu, memory, or the three prometheus settings")


@dataclass(frozen=True)
class ServiceSettings(WorkloadSettings):
    """The rollout of an endpoint, and what it asks of the cluster besides `WorkloadSettings`.

    GPUs are those of each replica. Labels and annotations go to the endpoint and its pods. KServe
    finds the object store's Secrets in the service account.

    Attributes:
        strategy: `direct` changes the endpoint and verifies it then. `canary` gives the candidate
            rising percentages of the traffic. `blue_green` verifies the candidate beside the
            current model before it takes over.
        deployment_mode: `Knative` or `Standard`; empty for the strategy's: `canary` needs Knative,
            `blue_green` Standard; `direct` works in both and uses Standard.
        runtime: `image` runs this project's serving image as a custom predictor,
            `serving_runtime` runs it by the ServingRuntime that the manifests install,
            `tensorflow` uses KServe's runtime for TensorFlow Serving.
        runtime_name: The (Cluster)ServingRuntime; empty for `kfp-tabular` and
            `kserve-tensorflow-serving`.
        runtime_version: Tag of that runtime's image, for runtime `tensorflow`; TensorFlow Serving
            2.10 or later. Empty for `2.19.1` (`2.19.1-gpu` with GPUs), or for the runtime's own
            version if `runtime_name` is given.
        image: The serving image for runtime `image`; empty for the image of the task.
        steps: The percentages of the traffic that a canary gets one after the other. Before the
            first step it is verified without traffic.
        soak_seconds: Duration of each step.
        keep_previous_seconds: How long blue-green keeps the previous model running after the
            switch, ready to take over again; the checks go on meanwhile.
        verification: The bounds that a candidate must keep.
        access: How this task reaches the endpoint.
        ready_seconds: How long a candidate may take to become ready.
        grace_seconds: How long one of its pods may be unschedulable.
        min_replicas: The fewest replicas; 0 scales to zero (Knative mode, or KEDA).
        max_replicas: The most replicas; 0 for KServe's default.
        scale_metric: `concurrency` or `rps` in Knative mode, `cpu` or `memory` with an HPA; empty
            for KServe's default.
        scale_target: Target value of the metric per replica; None for KServe's default.
        container_concurrency: The most concurrent requests in a replica, Knative mode; None for no
            limit.
        autoscaler: `hpa`, `keda`, `external` or `none`, Standard mode; empty for KServe's default.
        keda: The metrics that KEDA scales by.
        cpu: CPU request of a replica, in cores.
        cpu_limit: CPU limit of a replica. Empty: no limit with runtime `serving_runtime`; with the
            others KServe's default, 1, or `cpu` if that is more.
        memory: Memory request and limit of a replica.
        storage_key: Key in KServe's `storage-config` Secret for the object store; not for runtime
            `image`, which uses the Secrets of the service account.
        volumes: Claims that may hold the model, as this task mounts them; a path in one becomes
            `pvc://`, and KServe mounts the claim.
        env: Environment variables, such as the serving runtime's `KFP_TABULAR_SERVING_...`.
        auth_secret: A Secret with the keys that clients must present one of (runtimes `image` and
            `serving_runtime`).
        public_key_secret: A Secret whose `public_key.pem` is the public key of `signing_key`: the
            endpoint loads no model that is not signed with it (runtimes `image` and
            `serving_runtime`).
        model_registry: Whether `storageUri` is `model-registry://HOST/NAME/VERSION`, for clusters
            whose KServe has the storage initializer of Kubeflow's Model Registry; not for runtime
            `tensorflow`.
        logger: KServe's payload logger; None for none.
        batcher: KServe's batcher; None for none. The project's own runtime batches by itself.
        timeout_seconds: Time limit of a request; None for KServe's default.
        prometheus: Whether pods are annotated for Prometheus to scrape. Not with runtime
            `tensorflow`: TensorFlow Serving has no metrics without a configuration file.
        cluster_local: Whether the endpoint is reachable inside the cluster only.

    Example:
        >>> ServiceSettings.parse({"strategy": "canary", "steps": [10, 100]}).mode
        'Knative'
        >>> ServiceSettings.parse({"memory": 4})
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: service.memory: expected a size with its ...
    """

    DOCUMENT = "service"

    strategy: str = checked(documents.one_of(DIRECT, CANARY, BLUE_GREEN), DIRECT)
    deployment_mode: str = checked(documents.one_of(KNATIVE, STANDARD))
    runtime: str = checked(documents.one_of(IMAGE, SERVING_RUNTIME, TENSORFLOW), IMAGE)
    runtime_name: str = checked(documents.resource_name)
    runtime_version: str = checked(_tag)
    image: str = checked(check_image)
    steps: tuple[int, ...] = checked(_steps, (5, 25, 50, 100))
    soak_seconds: float = checked(between(0, 86_400), 60.0)
    keep_previous_seconds: float = checked(between(0, 86_400), 300.0)
    verification: VerificationBounds = field(default_factory=VerificationBounds)
    access: EndpointAccess = field(default_factory=EndpointAccess)
    ready_seconds: float = checked(between(1, 86_400), 900.0)
    grace_seconds: float = checked(between(0, 86_400), 300.0)
    min_replicas: int = checked(between(0, 10_000), 1)
    max_replicas: int = checked(between(0, 10_000), 0)
    scale_metric: str = checked(documents.one_of("concurrency", "rps", "cpu", "memory"))
    scale_target: int | None = checked(between(1), None)
    container_concurrency: int | None = checked(between(0, 10_000), None)
    autoscaler: str = checked(documents.one_of("hpa", "keda", "external", "none"))
    keda: KedaScaling | None = None
    cpu: str = checked(check_positive, "1")
    cpu_limit: str = checked(check_positive)
    memory: str = checked(check_size, "2Gi")
    storage_key: str = checked(documents.resource_name)
    volumes: tuple[Volume, ...] = ()
    env: Mapping[str, str] = mapping(_check_variables)
    auth_secret: str = checked(documents.resource_name)
    public_key_secret: str = checked(documents.resource_name)
    model_registry: bool = False
    labels: Mapping[str, str] = mapping(_labels)
    annotations: Mapping[str, str] = mapping(_annotations)
    logger: PayloadLogger | None = None
    batcher: RequestBatcher | None = None
    timeout_seconds: int | None = checked(between(1, 86_400), None)
    prometheus: bool = True
    cluster_local: bool = False

    def __post_init__(self) -> None:
        if self.max_replicas and self.max_replicas < self.min_replicas:
            raise ValueError(
                f"max_replicas {self.max_replicas} is below min_replicas {self.min_replicas}"
            )
        if self.cpu_limit and parse_quantity(self.cpu_limit) < parse_quantity(self.cpu):
            raise ValueError(f"cpu_limit {self.cpu_limit} is below cpu {self.cpu}")
        _check_strategy(self)
        _check_runtime(self)
        (_check_knative if self.mode == KNATIVE else _check_standard)(self)

    @property
    def mode(self) -> str:
        """`Knative` or `Standard`."""
        return self.deployment_mode or _MODES[self.strategy]

    @property
    def serving_runtime(self) -> str:
        """Name of the (Cluster)ServingRuntime; empty for runtime `image`."""
        return self.runtime_name or _RUNTIME_NAMES.get(self.runtime, "")

    @property
    def serving_version(self) -> str:
        """Return the tag of the ServingRuntime's image; empty for the runtime's own version."""
        if self.runtime_version or self.runtime != TENSORFLOW or self.runtime_name:
            return self.runtime_version
        # KServe appends the suffix only if no version is given.
        return TENSORFLOW_SERVING + ("-gpu" if self.gpus else "")


def _check_strategy(settings: ServiceSettings) -> None:
    needed = {CANARY: KNATIVE, BLUE_GREEN: STANDARD}.get(settings.strategy, settings.mode)
    if settings.mode != needed:
        raise ValueError(
            f"strategy {settings.strategy} needs deployment_mode {needed}: KServe "
            + (
                "ignores canaryTrafficPercent in Standard mode"
                if settings.strategy == CANARY
                else "routes to revisions itself in Knative mode; use canary there"
            )
        )


def _check_runtime(settings: ServiceSettings) -> None:
    if settings.runtime == IMAGE and (settings.runtime_name or settings.storage_key):
        raise ValueError("runtime_name and storage_key do not apply to runtime image")
    if settings.runtime != IMAGE and settings.image:
        raise ValueError(f"image does not apply to runtime {settings.runtime}, which has its own")
    if settings.runtime != TENSORFLOW and settings.runtime_version:
        raise ValueError("runtime_version applies to runtime tensorflow only")
    if settings.runtime == TENSORFLOW and settings.auth_secret:
        raise ValueError(
            "auth_secret does not apply to runtime tensorflow: TensorFlow Serving checks no keys"
        )
    if settings.runtime == TENSORFLOW and settings.public_key_secret:
        raise ValueError(
            "public_key_secret does not apply to runtime tensorflow: TensorFlow Serving verifies "
            "no signatures"
        )
    if settings.runtime == TENSORFLOW and settings.model_registry:
        raise ValueError(
            "model_registry does not apply to runtime tensorflow: the registry names the model's "
            "directory, and TensorFlow Serving needs a directory of versions"
        )
    if settings.runtime == TENSORFLOW and settings.batcher is not None:
        # It rejects NaN, and rounds the smallest int64 to a number beyond int64.
        raise ValueError(
            "batcher does not apply to runtime tensorflow: KServe's batcher does not pass on the "
            "values that mark missing numbers"
        )


def _check_knative(settings: ServiceSettings) -> None:
    if settings.autoscaler or settings.keda:
        raise ValueError("autoscaler and keda apply to deployment_mode Standard only")
    if settings.scale_metric in ("cpu", "memory"):
        raise ValueError("scale_metric: Knative scales by concurrency or rps")


def _check_standard(settings: ServiceSettings) -> None:
    if settings.container_concurrency is not None or settings.scale_metric in (
        "concurrency",
        "rps",
    ):
        raise ValueError(
            "container_concurrency and scaling by concurrency or rps apply to deployment_mode "
            "Knative only"
        )
    keda = settings.autoscaler == "keda"
    if keda != (settings.keda is not None):
        raise ValueError("autoscaler: keda and the settings in keda go together")
    if keda and (settings.scale_metric or settings.scale_target):
        raise ValueError("scale_metric and scale_target do not apply to KEDA; use keda")
    if not keda and not settings.min_replicas:
        raise ValueError("min_replicas 0: only Knative mode and KEDA scale to zero")
    if settings.scale_target is not None and settings.scale_target > 100:
        raise ValueError("scale_target: expected a percentage, 1 to 100")
