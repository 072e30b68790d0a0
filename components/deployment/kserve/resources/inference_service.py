"""The InferenceService of an endpoint, and the Service in front of two colors, as plain data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common import images
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.kubernetes.client.resource_kinds import (
    INFERENCE_SERVICE,
    SERVICE,
)
from kfp_tabular.components.common.pods.pod_settings import placement
from kfp_tabular.components.common.pods.quantities import parse_quantity
from kfp_tabular.components.common.pods.security import container_security
from kfp_tabular.components.common.pods.variables import literal
from kfp_tabular.components.deployment.kserve.resources.service_settings import (
    IMAGE,
    KNATIVE,
    SERVING_RUNTIME,
    TENSORFLOW,
    VISIBILITY_LABELS,
    ServiceSettings,
)

TASK = "deploy-model"

INSTANCE_LABEL = "app.kubernetes.io/instance"
"""Names the endpoint: two colors are two InferenceServices of the same endpoint."""
MODEL_VERSION_LABEL = "kfp-tabular.dev/model-version"
SCHEMA_LABEL = "kfp-tabular.dev/schema-digest"
ROLLOUT_LABEL = "kfp-tabular.dev/rollout"
"""On every pod of one candidate; tells its pods from those of the previous one."""
URI_ANNOTATION = "kfp-tabular.dev/model-uri"
OWN_PREFIX = "kfp-tabular.dev/"
KEYS_ANNOTATIONS = {
    "labels": "kfp-tabular.dev/labels",
    "annotations": "kfp-tabular.dev/annotations",
}
"""Notes which labels and annotations this project set, besides those with `OWN_PREFIX`.

A later rollout removes those that it does not set any more."""

CONTAINER = "kserve-container"
PORT = 8080
AGENT_PORT = 9081
"""Port of KServe's agent, in front of the model, if there is a logger or a batcher."""

TAG = "latest"
"""The tag that KServe gives the newest revision, with `enable-tag-routing`."""

LONGEST_NAME = 46
"""Revisions are `<name>-predictor-00001`, tagged routes `latest-<name>-predictor`: DNS labels."""

MODE_ANNOTATION = "serving.kserve.io/deploymentMode"
"""Always set: without it, the cluster's default decides."""

COLORS = ("blue", "green")

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_AUTH_PATH = "/var/run/kfp-tabular/auth"
_SIGNING_PATH = "/var/run/kfp-tabular/signing"
_PUBLIC_KEY = "public_key.pem"
_HEXADECIMAL_DIGITS = 12
_DEFAULT_CORES = 1
"""CPU limit of custom predictors and of the TensorFlow Serving runtime in KServe."""


@dataclass(frozen=True)
class EndpointSpec:
    """What an endpoint should serve, and how.

    Attributes:
        name: The endpoint's name, also the model's in its URL paths.
        settings: The `service` document.
        storage_uri: URI of the model, as KServe reads it.
        model_digest: Digest of the model's content, `sha256:<hex>`.
        schema_digest: Digest of the schema that the model was trained with, `sha256:<hex>`.
        run_id: ID of the pipeline run; may be empty.
        image: The image of the task, for runtime `image` if the settings name none.

    Example:
        >>> EndpointSpec("taxi", ServiceSettings(), "s3://models/taxi", "sha256:0123abcd").version
        '19114957'
    """

    name: str
    settings: ServiceSettings
    storage_uri: str
    model_digest: str
    schema_digest: str = ""
    run_id: str = ""
    image: str = ""

    @property
    def version(self) -> str:
        """The model's version: a number that follows from its content."""
        return lineage.content_version(self.model_digest)

    @property
    def digest(self) -> str:
        """Digest of all that makes the endpoint, except for the run and the model's URI.

        Two runs that would deploy the same model in the same way have the same digest.
        """
        same = EndpointSpec(self.name, self.settings, "", self.model_digest, self.schema_digest)
        resource = _build(same, self.name, rollout="")
        return names.input_digest(self.model_digest, resource["metadata"], resource["spec"])


def check_name(name: str) -> None:
    """Check an endpoint's name.

    Raises:
        UserError: If it is not lower-case letters, digits and inner hyphens, begins with another
            character than a letter, or is longer than 46 characters.

    Example:
        >>> check_name("taxi-fares")
        >>> check_name("Taxi fares")
        Traceback (most recent call last):
        kfp_tabular.components.common.errors.UserError: model_name: 'Taxi fares' is not a valid name
        for an endpoint. Use at most 46 lower-case letters, digits and hyphens, ...
    """
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise UserError(
            f"model_name: {name!r} is not a valid name for an endpoint. Use at most "
            f"{LONGEST_NAME} lower-case letters, digits and hyphens, with a letter first and no "
            "hyphen last."
        )


def build_inference_service(spec: EndpointSpec, name: str = "") -> dict[str, Any]:
    """Return the InferenceService.

    Args:
        spec: What it serves.
        name: Its name, if it is one of two colors; empty for the endpoint's.

    Raises:
        UserError: If the endpoint's name is not valid.

    Example:
        >>> settings = ServiceSettings.parse({"min_replicas": 2})
        >>> spec = EndpointSpec("taxi", settings, "s3://models/taxi", "sha256:0123abcd")
        >>> resource = build_inference_service(spec)
        >>> resource["metadata"]["name"], resource["spec"]["predictor"]["minReplicas"]
        ('taxi', 2)
    """
    check_name(spec.name)
    resource = _build(spec, name or spec.name, rollout=spec.digest[:_HEXADECIMAL_DIGITS])
    annotations = resource["metadata"]["annotations"]
    made = {
        note: ",".join(key for key in resource["metadata"][what] if not key.startswith(OWN_PREFIX))
        for what, note in KEYS_ANNOTATIONS.items()
    }
    annotations |= made
    annotations |= {names.DIGEST_ANNOTATION: spec.digest, URI_ANNOTATION: spec.storage_uri}
    return resource


def build_entry_service(endpoint: str, served: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Service that selects one of the two colors.

    Args:
        endpoint: The endpoint's name, which is also the Service's.
        served: The color's InferenceService, which decides at which port its pods listen.

    Example:
        >>> served = {"metadata": {"name": "taxi-blue"}, "spec": {"predictor": {"minReplicas": 1}}}
        >>> build_entry_service("taxi", served)["spec"]["selector"]
        {'component': 'predictor', 'serving.kserve.io/inferenceservice': 'taxi-blue'}
    """
    agent = {"logger", "batcher"} & served["spec"]["predictor"].keys()
    return {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "metadata": {
            "name": endpoint,
            "labels": {
                **names.Identity("", TASK, "").labels(),
                INSTANCE_LABEL: endpoint,
            },
        },
        "spec": {
            "selector": {"component": "predictor", POD_LABEL: served["metadata"]["name"]},
            "ports": [
                {
                    "name": "http",
                    "port": 80,
                    "protocol": "TCP",
                    "targetPort": AGENT_PORT if agent else PORT,
                }
            ],
        },
    }


def predict_path(name: str) -> str:
    """Return the path of a model's predictions in the v1 protocol.

    Example:
        >>> predict_path("taxi")
        '/v1/models/taxi:predict'
    """
    return f"/v1/models/{name}:predict"


def color_name(name: str, color: str) -> str:
    """Return the name of a color's InferenceService.

    Example:
        >>> color_name("taxi", "blue")
        'taxi-blue'
    """
    return f"{name}-{color}"


POD_LABEL = "serving.kserve.io/inferenceservice"


def _build(spec: EndpointSpec, name: str, rollout: str) -> dict[str, Any]:
    return {
        "apiVersion": INFERENCE_SERVICE.api_version,
        "kind": INFERENCE_SERVICE.kind,
        "metadata": {
            "name": name,
            "labels": _labels(spec),
            "annotations": _annotations(spec.settings),
        },
        "spec": {"predictor": _predictor(spec, name, rollout)},
    }


def _labels(spec: EndpointSpec) -> dict[str, str]:
    labels = {
        **spec.settings.labels,
        **names.Identity(spec.run_id, TASK, "").labels(),
        "app.kubernetes.io/name": "kfp-tabular-serving",
        INSTANCE_LABEL: spec.name,
        MODEL_VERSION_LABEL: spec.version,
    }
    if spec.schema_digest:
        digest = spec.schema_digest.rpartition(":")[2]
        labels[SCHEMA_LABEL] = digest[:_HEXADECIMAL_DIGITS]
    if spec.settings.cluster_local:
        labels[VISIBILITY_LABELS[spec.settings.mode]] = "cluster-local"
    return labels


def _annotations(settings: ServiceSettings) -> dict[str, str]:
    # KServe copies the annotations of an InferenceService to its pods: any change here creates a
    # new revision.
    annotations = {**settings.annotations, MODE_ANNOTATION: settings.mode}
    if settings.mode == KNATIVE:
        annotations["serving.kserve.io/enable-tag-routing"] = "true"
    if settings.autoscaler:
        annotations["serving.kserve.io/autoscalerClass"] = settings.autoscaler
    # TensorFlow Serving has metrics only if a configuration file turns them on.
    if settings.prometheus and settings.runtime != TENSORFLOW:
        annotations |= {
            "serving.kserve.io/enable-prometheus-scraping": "true",
            "prometheus.kserve.io/port": str(PORT),
            "prometheus.kserve.io/path": "/metrics",
        }
    return annotations


def _predictor(spec: EndpointSpec, name: str, rollout: str) -> dict[str, Any]:
    settings = spec.settings
    predictor: dict[str, Any] = {
        "labels": {ROLLOUT_LABEL: rollout},
        "minReplicas": settings.min_replicas,
        **_scaling(settings),
        **_placement(settings),
        **_helpers(settings),
    }
    if settings.timeout_seconds is not None:
        predictor["timeout"] = settings.timeout_seconds
    volumes = []
    if settings.runtime == IMAGE:
        predictor["containers"] = [_own_container(spec)]
        # For metrics that several worker processes share; written with every request.
        memory = {"medium": "Memory", "sizeLimit": "64Mi"}
        volumes.append({"name": "tmp", "emptyDir": memory})
    else:
        predictor["model"] = _model(spec, name)
    if settings.auth_secret:
        volumes.append({"name": "auth", "secret": {"secretName": settings.auth_secret}})
    if settings.public_key_secret:
        secret = {"secretName": settings.public_key_secret}
        volumes.append({"name": "signing", "secret": secret})
    if volumes:
        predictor["volumes"] = volumes
    return predictor


def _scaling(settings: ServiceSettings) -> dict[str, Any]:
    found: dict[str, Any] = {
        "maxReplicas": settings.max_replicas,
        "scaleMetric": settings.scale_metric,
        "scaleTarget": settings.scale_target,
    }
    found = {name: value for name, value in found.items() if value}
    if settings.container_concurrency is not None:
        found["containerConcurrency"] = settings.container_concurrency
    if settings.keda is not None:
        found["autoScaling"] = {"metrics": _keda_metrics(settings)}
    return found


def _keda_metrics(settings: ServiceSettings) -> list[dict[str, Any]]:
    keda = settings.keda
    if keda is None:
        return []
    metrics: list[dict[str, Any]] = [
        {
            "type": "Resource",
            "resource": {
                "name": name,
                "target": {"type": "Utilization", "averageUtilization": percent},
            },
        }
        for name, percent in (("cpu", keda.cpu), ("memory", keda.memory))
        if percent is not None
    ]
    if keda.prometheus_query:
        metric = {
            "backend": "prometheus",
            "serverAddress": keda.prometheus_address,
            "query": keda.prometheus_query,
        }
        target = {"type": "Value", "value": keda.prometheus_threshold}
        metrics.append({"type": "External", "external": {"metric": metric, "target": target}})
    return metrics


def _placement(settings: ServiceSettings) -> dict[str, Any]:
    found = placement(settings)
    if settings.priority_class:
        found["priorityClassName"] = settings.priority_class
    return found


def _helpers(settings: ServiceSettings) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if settings.logger is not None:
        found["logger"] = {"url": settings.logger.url, "mode": settings.logger.mode}
    if settings.batcher is not None:
        found["batcher"] = {
            "maxBatchSize": settings.batcher.max_batch_size,
            "maxLatency": settings.batcher.max_latency_ms,
        }
    return found


def _own_container(spec: EndpointSpec) -> dict[str, Any]:
    settings = spec.settings
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": settings.image or spec.image or images.SERVING,
        "command": ["python", "-m", "kfp_tabular.serving"],
        "args": [
            "--model=/mnt/models",
            f"--name={spec.name}",
            "--host=0.0.0.0",
            f"--port={PORT}",
            # Requests keep arriving after SIGTERM until all endpoint lists are updated.
            "--drain-seconds=5",
            "--grace-seconds=20",
        ],
        "env": [{"name": "STORAGE_URI", "value": spec.storage_uri}, *_environment(settings)],
        "ports": [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}],
        "resources": _amounts(settings),
        "readinessProbe": _readiness(f"/v2/models/{spec.name}/ready"),
        "livenessProbe": {
            "httpGet": {"path": "/v2/health/live", "port": PORT},
            "initialDelaySeconds": 120,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "securityContext": container_security(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *_mounts(settings)],  # noqa: S108 - the pod's own
    }
    if settings.image_pull_policy:
        container["imagePullPolicy"] = settings.image_pull_policy
    return container


def _model(spec: EndpointSpec, name: str) -> dict[str, Any]:
    settings = spec.settings
    own = settings.runtime == SERVING_RUNTIME
    model: dict[str, Any] = {
        "modelFormat": {
            "name": "kfp-tabular" if own else "tensorflow",
            "version": "1" if own else "2",
        },
        "runtime": settings.serving_runtime,
        "protocolVersion": "v2" if own else "v1",
        "storageUri": spec.storage_uri,
        "resources": _amounts(settings),
    }
    if settings.serving_version:
        model["runtimeVersion"] = settings.serving_version
    if settings.storage_key:
        model["storage"] = {"key": settings.storage_key}
    if settings.image_pull_policy:
        model["imagePullPolicy"] = settings.image_pull_policy
    if _environment(settings):
        model["env"] = _environment(settings)
    if _mounts(settings):
        model["volumeMounts"] = _mounts(settings)
    # KServe appends arguments to those of the runtime, and the last one wins.
    arguments = []
    if not own:
        # By default it retries for five minutes before it reports why it cannot load a model.
        arguments.append("--max_num_load_retries=0")
    if name != spec.name:
        # Runtimes name the model after the InferenceService; clients must not see its color.
        arguments.append(f"--name={spec.name}" if own else f"--model_name={spec.name}")
        if own:
            model["readinessProbe"] = _readiness(f"/v2/models/{spec.name}/ready")
    if arguments:
        model["args"] = arguments
    return model


def _readiness(path: str) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": PORT},
        "periodSeconds": 5,
        "timeoutSeconds": 2,
        "failureThreshold": 3,
    }


def _environment(settings: ServiceSettings) -> list[dict[str, str]]:
    found = [{"name": name, "value": literal(value)} for name, value in settings.env.items()]
    if settings.auth_secret:
        found.append({"name": "KFP_TABULAR_SERVING_AUTH_KEYS", "value": _AUTH_PATH})
    if settings.public_key_secret:
        key = f"{_SIGNING_PATH}/{_PUBLIC_KEY}"
        found.append({"name": "KFP_TABULAR_SERVING_PUBLIC_KEY", "value": key})
    return found


def _mounts(settings: ServiceSettings) -> list[dict[str, Any]]:
    places = (
        ("auth", settings.auth_secret, _AUTH_PATH),
        ("signing", settings.public_key_secret, _SIGNING_PATH),
    )
    return [
        {"name": name, "mountPath": path, "readOnly": True}
        for name, secret, path in places
        if secret
    ]


def _amounts(settings: ServiceSettings) -> dict[str, Mapping[str, str]]:
    gpus = {settings.gpu_resource: str(settings.gpus)} if settings.gpus else {}
    cores = settings.cpu_limit
    defaulted = settings.runtime in (IMAGE, TENSORFLOW)
    if not cores and defaulted and parse_quantity(settings.cpu) > _DEFAULT_CORES:
        # The default would be below the request, and such pods are rejected.
        cores = settings.cpu
    limit = {"cpu": cores} if cores else {}
    return {
        "requests": {"cpu": settings.cpu, "memory": settings.memory, **gpus},
        "limits": {**limit, "memory": settings.memory, **gpus},
    }
