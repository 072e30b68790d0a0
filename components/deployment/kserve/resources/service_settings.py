"""What an endpoint asks of the cluster, and how it is rolled out: the `service` argument."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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

KNATIVE = "Knative"
STANDARD = "Standard"
"""Deployment modes, in the words of KServe since 0.16 (Serverless and RawDeployment before)."""

DIRECT = "direct"
CANARY = "canary"
BLUE_GREEN = "blue_green"

IMAGE = "image"
SERVING_RUNTIME = "serving_runtime"
TENSORFLOW = "tensorflow"

TENSORFLOW_SERVING = "2.19.1"
"""The image's tag for KServe's runtime; KServe's own is too old for the models' operations."""

VISIBILITY_LABELS = {
    KNATIVE: "networking.knative.dev/visibility",
    STANDARD: "networking.kserve.io/visibility",
}
"""In Knative mode KServe leaves it to Knative, which knows its own label only."""

_RUNTIME_NAMES = {SERVING_RUNTIME: "kfp-tabular", TENSORFLOW: "kserve-tensorflow-serving"}
_MODES = {DIRECT: STANDARD, CANARY: KNATIVE, BLUE_GREEN: STANDARD}
# What KServe and this project set themselves.
_RESERVED_VARIABLES = frozenset({"STORAGE_URI", "KFP_TABULAR_SERVING_AUTH_KEYS"})
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
"""Labels and annotations that are set from something else, by the key of that."""
_PERCENTILE_LABELS = re.compile(r"p?([0-9]{1,2}(\.[0-9]+)?)")


_check_variables = not_reserved(_RESERVED_VARIABLES, "this backend")


def _not_own(values: Mapping[str, str]) -> None:
    for key in values:
        if key.startswith(_OWN_PREFIXES) or key in _OWN_KEYS:
            setting = _OWN_KEYS.get(key)
            instead = f"say {setting} instead" if setting else "leave it out"
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


def _url(value: str) -> None:
    if not re.fullmatch(r"https?://[^/\s]+(/[^\s]*)?", value):
        raise ValueError("expected an address such as http://istio-ingressgateway.istio-system")


def _percentiles(values: Mapping[str, Any]) -> None:
    for name, bound in values.items():
        percentile(name)
        number = isinstance(bound, int | float) and not isinstance(bound, bool)
        if not number or not bound > 0:
            raise ValueError(f"{name}: expected milliseconds, more than 0")


def percentile(name: str) -> float:
    """Reads the name of a percentile.

    Args:
        name: Such as `p95`, `99` or `p99.9`.

    Returns:
        A number in (0, 100).

    Raises:
        ValueError: For anything else.
    """
    match = _PERCENTILE_LABELS.fullmatch(name)
    if match is None or not float(match.group(1)):
        raise ValueError(f"{name!r} is no percentile, such as p50, p95 or p99.9")
    return float(match.group(1))


def _steps(values: tuple[int, ...]) -> None:
    if not values or values[-1] != 100 or list(values) != sorted(set(values)) or values[0] < 1:
        raise ValueError("expected rising shares of the traffic in percent, the last one 100")


@dataclass(frozen=True)
class Logger:
    """KServe's payload logger: sends requests and answers to a sink, as CloudEvents.

    Attributes:
        url: The sink.
        mode: `all`, `request` or `response`.
    """

    url: str = required(_url)
    mode: str = checked(documents.one_of("all", "request", "response"), "all")


@dataclass(frozen=True)
class Batcher:
    """KServe's batcher, a sidecar that puts v1 requests together; not for runtime `tensorflow`.

    It reads numbers as doubles: of an integer beyond 2**53 the last digits change on the way.

    Attributes:
        max_batch_size: Rows in a batch at the most.
        max_latency_ms: How long a request waits for company, in milliseconds.
    """

    max_batch_size: int = checked(between(1), 32)
    max_latency_ms: int = checked(between(1), 50)


@dataclass(frozen=True)
class Keda:
    """What KEDA scales by; any of them.

    Attributes:
        cpu: Average use of the requested cores, in percent.
        memory: Average use of the requested memory, in percent.
        prometheus_address: Address of a Prometheus server.
        prometheus_query: What to ask it.
        prometheus_threshold: The answer per replica to aim at, such as `50`.
    """

    cpu: int | None = checked(between(1, 100), None)
    memory: int | None = checked(between(1, 100), None)
    prometheus_address: str = checked(_url)
    prometheus_query: str = ""
    prometheus_threshold: str = checked(check_positive)

    def __post_init__(self) -> None:
        asked = (self.prometheus_address, self.prometheus_query, self.prometheus_threshold)
        if any(asked) and not all(asked):
            raise ValueError("prometheus_address, _query and _threshold go together")
        if self.cpu is None and self.memory is None and not any(asked):
            raise ValueError("give cpu, memory or the three of prometheus")


@dataclass(frozen=True)
class Access:
    """How this task reaches the endpoint, to verify it.

    Attributes:
        via: `cluster` for the addresses inside of the cluster, `url` for those that clients use,
            `gateway` to connect to `gateway` and name the endpoint in the `Host` header.
        gateway: Address of an ingress gateway.
        token_file: A file in this task's pod with the bearer token that the endpoint wants.
        ca_file: A file in this task's pod with the certificates to trust, for https.
        timeout_seconds: How long one request may take. One that takes longer counts as failed.
    """

    via: str = checked(documents.one_of("cluster", "url", "gateway"), "cluster")
    gateway: str = checked(_url)
    token_file: str = ""
    ca_file: str = ""
    timeout_seconds: float = checked(between(0.05, 600), 10.0)

    def __post_init__(self) -> None:
        if (self.via == "gateway") != bool(self.gateway):
            raise ValueError("via: gateway and the address in gateway go together")


@dataclass(frozen=True)
class Verification:
    """What a candidate has to pass at each step; its answers must always be the golden ones.

    Attributes:
        requests: Requests to measure at the least. Every golden example is asked in any case.
        requests_per_second: How often to ask while a step lasts.
        concurrency: Requests under way at the most.
        max_error_rate: The share of requests that may fail, 0 to 1: no connection, a timeout, a
            status other than 200.
        max_latency_ms: Bounds of percentiles in milliseconds, such as `{p50: 50, p99: 500}`; empty
            for none. Each request holds one row.
        startup_seconds: How long the candidate's address may not answer at first, until routes
            have changed and a first pod is there.
    """

    requests: int = checked(between(1, 1_000_000), 100)
    requests_per_second: float = checked(between(0.01, 10_000), 20.0)
    concurrency: int = checked(between(1, 256), 2)
    max_error_rate: float = checked(between(0, 1), 0.0)
    max_latency_ms: Mapping[str, Any] = field(
        default_factory=dict, metadata={"check": _percentiles}
    )
    startup_seconds: float = checked(between(0, 3600), 120.0)


@dataclass(frozen=True)
class ServiceSettings(WorkloadSettings):
    """The rollout of an endpoint, and what it asks of the cluster besides `WorkloadSettings`.

    GPUs are those of each replica. Labels and annotations go to the endpoint and its pods. KServe
    finds the object store's Secrets in the service account.

    Attributes:
        strategy: `direct` changes the endpoint and verifies it then. `canary` gives the candidate
            rising shares of the traffic. `blue_green` verifies the candidate beside the current
            one, before it takes over.
        deployment_mode: `Knative` or `Standard`; empty for the strategy's: `canary` is Knative's,
            `blue_green` Standard's, `direct` works in both and takes Standard.
        runtime: `image` runs this project's serving image as a custom predictor,
            `serving_runtime` runs it by the ServingRuntime that the manifests install, `tensorflow`
            takes KServe's runtime for TensorFlow Serving.
        runtime_name: The (Cluster)ServingRuntime; empty for `kfp-tabular` and
            `kserve-tensorflow-serving`.
        runtime_version: The tag of that runtime's image, for runtime `tensorflow`; TensorFlow
            Serving needs 2.10 at least. Empty for `2.19.1` (`2.19.1-gpu` with GPUs), or for the
            runtime's own where `runtime_name` is given.
        image: The serving image for runtime `image`; empty for the image of the task.
        steps: The shares of the traffic that a canary gets one after the other, in percent. Before
            the first it is verified with none.
        soak_seconds: How long each step lasts.
        keep_previous_seconds: How long blue-green keeps the previous one after the change, ready to
            take over again; the checks go on meanwhile.
        verification: What the candidate has to pass.
        access: How this task reaches it.
        ready_seconds: How long a candidate may take to be ready.
        grace_seconds: How long a pod of it may be unschedulable.
        min_replicas: Replicas at the least; 0 scales to zero (Knative mode, or KEDA).
        max_replicas: Replicas at the most; 0 for KServe's default.
        scale_metric: `concurrency` or `rps` in Knative mode, `cpu` or `memory` with an HPA; empty
            for KServe's default.
        scale_target: The metric's value per replica to aim at; None for KServe's default.
        container_concurrency: Requests under way in a replica at the most, Knative mode; None for
            no limit.
        autoscaler: `hpa`, `keda`, `external` or `none`, Standard mode; empty for KServe's default.
        keda: What KEDA scales by.
        cpu: Cores that a replica asks for.
        cpu_limit: Cores that it may use. Empty for no limit with runtime `serving_runtime`; for
            KServe's default, 1, with the others, or for `cpu` where that is more.
        memory: Memory that a replica asks for and may use.
        storage_key: The key of KServe's `storage-config` Secret for the object store; not for
            runtime `image`, which takes the secrets of the service account.
        volumes: Claims that the model's path may lie in, as this task mounts them; such a path
            becomes `pvc://`, and KServe mounts the claim.
        env: Environment variables, such as the serving runtime's `KFP_TABULAR_SERVING_...`.
        auth_secret: A Secret with the keys that clients must present one of (runtimes `image` and
            `serving_runtime`).
        logger: KServe's payload logger; None for none.
        batcher: KServe's batcher; None for none. The project's own runtime batches by itself.
        timeout_seconds: How long a request may take; None for KServe's default.
        prometheus: Whether pods say where Prometheus finds their metrics. Those of runtime
            `tensorflow` do not: TensorFlow Serving has none without a configuration file.
        cluster_local: Whether the endpoint has no address outside of the cluster.
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
    verification: Verification = Verification()
    access: Access = Access()
    ready_seconds: float = checked(between(1, 86_400), 900.0)
    grace_seconds: float = checked(between(0, 86_400), 300.0)
    min_replicas: int = checked(between(0, 10_000), 1)
    max_replicas: int = checked(between(0, 10_000), 0)
    scale_metric: str = checked(documents.one_of("concurrency", "rps", "cpu", "memory"))
    scale_target: int | None = checked(between(1), None)
    container_concurrency: int | None = checked(between(0, 10_000), None)
    autoscaler: str = checked(documents.one_of("hpa", "keda", "external", "none"))
    keda: Keda | None = None
    cpu: str = checked(check_positive, "1")
    cpu_limit: str = checked(check_positive)
    memory: str = checked(check_size, "2Gi")
    storage_key: str = checked(documents.resource_name)
    volumes: tuple[Volume, ...] = ()
    env: Mapping[str, str] = mapping(_check_variables)
    auth_secret: str = checked(documents.resource_name)
    labels: Mapping[str, str] = mapping(_labels)
    annotations: Mapping[str, str] = mapping(_annotations)
    logger: Logger | None = None
    batcher: Batcher | None = None
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
        """The (Cluster)ServingRuntime's name; empty for runtime `image`."""
        return self.runtime_name or _RUNTIME_NAMES.get(self.runtime, "")

    @property
    def serving_version(self) -> str:
        """The tag for the ServingRuntime's image; empty for the runtime's own."""
        if self.runtime_version or self.runtime != TENSORFLOW or self.runtime_name:
            return self.runtime_version
        # KServe appends it only where no version is given.
        return TENSORFLOW_SERVING + ("-gpu" if self.gpus else "")


def _check_strategy(settings: ServiceSettings) -> None:
    needed = {CANARY: KNATIVE, BLUE_GREEN: STANDARD}.get(settings.strategy, settings.mode)
    if settings.mode != needed:
        raise ValueError(
            f"strategy {settings.strategy} needs deployment_mode {needed}: KServe "
            + (
                "ignores canaryTrafficPercent in Standard mode"
                if settings.strategy == CANARY
                else "routes to revisions by itself in Knative mode; use canary there"
            )
        )


def _check_runtime(settings: ServiceSettings) -> None:
    if settings.runtime == IMAGE and (settings.runtime_name or settings.storage_key):
        raise ValueError("runtime image takes no runtime_name and no storage_key")
    if settings.runtime != IMAGE and settings.image:
        raise ValueError(f"runtime {settings.runtime} takes no image; it has its own")
    if settings.runtime != TENSORFLOW and settings.runtime_version:
        raise ValueError("runtime_version is for runtime tensorflow")
    if settings.runtime == TENSORFLOW and settings.auth_secret:
        raise ValueError("TensorFlow Serving knows no keys: auth_secret is for this project's own")
    if settings.runtime == TENSORFLOW and settings.batcher is not None:
        # It refuses NaN, and rounds the smallest integer to one beyond int64.
        raise ValueError(
            "KServe's batcher does not pass on what stands for missing numbers in requests to "
            "TensorFlow Serving; leave batcher out with runtime tensorflow"
        )


def _check_knative(settings: ServiceSettings) -> None:
    if settings.autoscaler or settings.keda:
        raise ValueError("autoscaler and keda are for deployment_mode Standard")
    if settings.scale_metric in ("cpu", "memory"):
        raise ValueError("Knative scales by concurrency or rps")


def _check_standard(settings: ServiceSettings) -> None:
    if settings.container_concurrency is not None or settings.scale_metric in (
        "concurrency",
        "rps",
    ):
        raise ValueError(
            "container_concurrency and scaling by concurrency or rps are for deployment_mode "
            "Knative"
        )
    keda = settings.autoscaler == "keda"
    if keda != (settings.keda is not None):
        raise ValueError("autoscaler: keda and the settings in keda go together")
    if keda and (settings.scale_metric or settings.scale_target):
        raise ValueError("with KEDA, what to scale by stands in keda")
    if not keda and not settings.min_replicas:
        raise ValueError("min_replicas 0: only Knative mode and KEDA scale to zero")
    if settings.scale_target is not None and settings.scale_target > 100:
        raise ValueError("scale_target: expected a percentage, 1 to 100")
