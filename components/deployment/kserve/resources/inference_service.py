"""The resources of an endpoint, as plain data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common import images
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.kubernetes.client.kinds import INFERENCE_SERVICE, SERVICE
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
"""The endpoint: two colors are two InferenceServices of one."""
MODEL_VERSION_LABEL = "kfp-tabular.dev/model-version"
SCHEMA_LABEL = "kfp-tabular.dev/schema-digest"
ROLLOUT_LABEL = "kfp-tabular.dev/rollout"
"""Of every pod of one candidate: tells its pods from those of the one before."""
URI_ANNOTATION = "kfp-tabular.dev/model-uri"
OWN_PREFIX = "kfp-tabular.dev/"
KEYS_ANNOTATIONS = {
    "labels": "kfp-tabular.dev/labels",
    "annotations": "kfp-tabular.dev/annotations",
}
"""Which labels and annotations were made, so that they can go again, `OWN_PREFIX` aside."""

CONTAINER = "kserve-container"
PORT = 8080
AGENT_PORT = 9081
"""Where KServe's agent listens, in front of the model, for the logger and the batcher."""

TAG = "latest"
"""The tag that KServe gives the newest revision, with `enable-tag-routing`."""

LONGEST_NAME = 46
"""Revisions are `<name>-predictor-00001`, tagged routes `latest-<name>-predictor`: DNS labels."""

MODE_ANNOTATION = "serving.kserve.io/deploymentMode"
"""Always set: without it the mode is whatever the cluster's default happens to be."""

COLORS = ("blue", "green")

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_AUTH_PATH = "/var/run/kfp-tabular/auth"
_HEXADECIMAL_DIGITS = 12
_DEFAULT_CORES = 1
"""The limit that KServe gives custom predictors, and its runtime for TensorFlow Serving has."""


@dataclass(frozen=True)
class Wanted:
    """What an endpoint is to serve.

    Attributes:
        name: Its name, also the model's in the endpoint's paths.
        settings: What it asks of the cluster.
        storage_uri: The model's address, as KServe reads it.
        model_digest: Of the model's content, `sha256:<hex>`.
        schema_digest: Of the schema that the model was trained with, `sha256:<hex>`.
        run_id: The pipeline run; may be empty.
        image: The image of the task, for runtime `image` where the settings name none.
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
        """What the endpoint would be made of, the run and the model's place aside.

        Two runs that would deploy the same have the same.
        """
        same = Wanted(self.name, self.settings, "", self.model_digest, self.schema_digest)
        resource = _build(same, self.name, rollout="")
        return names.input_digest(self.model_digest, resource["metadata"], resource["spec"])


def check_name(name: str) -> None:
    """Checks an endpoint's name.

    Raises:
        UserError: Where it is not lower-case letters, digits and inner hyphens, begins with a
            letter and has 46 characters at most.
    """
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise UserError(
            f"model_name: {name!r} is not fit for an endpoint; use at most {LONGEST_NAME} "
            "lower-case letters, digits and hyphens, with a letter first and no hyphen last."
        )


def build_inference_service(wanted: Wanted, name: str = "") -> dict[str, Any]:
    """Gives the InferenceService.

    Args:
        wanted: What it serves.
        name: Its name, where it is one of two colors; the endpoint's where empty.
    """
    check_name(wanted.name)
    resource = _build(wanted, name or wanted.name, rollout=wanted.digest[:_HEXADECIMAL_DIGITS])
    annotations = resource["metadata"]["annotations"]
    made = {
        note: ",".join(key for key in resource["metadata"][what] if not key.startswith(OWN_PREFIX))
        for what, note in KEYS_ANNOTATIONS.items()
    }
    annotations |= made
    annotations |= {names.DIGEST_ANNOTATION: wanted.digest, URI_ANNOTATION: wanted.storage_uri}
    return resource


def build_entry_service(endpoint: str, served: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the Service that leads to one of the two colors.

    Args:
        endpoint: Its name, the endpoint's.
        served: The color's InferenceService, which decides where its pods listen.
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
    """Return the path of a model's predictions in the v1 protocol."""
    return f"/v1/models/{name}:predict"


def color_name(name: str, color: str) -> str:
    """Gives the name of a color's InferenceService."""
    return f"{name}-{color}"


POD_LABEL = "serving.kserve.io/inferenceservice"


def _build(wanted: Wanted, name: str, rollout: str) -> dict[str, Any]:
    return {
        "apiVersion": INFERENCE_SERVICE.api_version,
        "kind": INFERENCE_SERVICE.kind,
        "metadata": {
            "name": name,
            "labels": _labels(wanted),
            "annotations": _annotations(wanted.settings),
        },
        "spec": {"predictor": _predictor(wanted, name, rollout)},
    }


def _labels(wanted: Wanted) -> dict[str, str]:
    labels = {
        **wanted.settings.labels,
        **names.Identity(wanted.run_id, TASK, "").labels(),
        "app.kubernetes.io/name": "kfp-tabular-serving",
        INSTANCE_LABEL: wanted.name,
        MODEL_VERSION_LABEL: wanted.version,
    }
    if wanted.schema_digest:
        digest = wanted.schema_digest.rpartition(":")[2]
        labels[SCHEMA_LABEL] = digest[:_HEXADECIMAL_DIGITS]
    if wanted.settings.cluster_local:
        labels[VISIBILITY_LABELS[wanted.settings.mode]] = "cluster-local"
    return labels


def _annotations(settings: ServiceSettings) -> dict[str, str]:
    # KServe copies the annotations of an InferenceService to its pods: whatever changes here makes
    # a new revision.
    annotations = {**settings.annotations, MODE_ANNOTATION: settings.mode}
    if settings.mode == KNATIVE:
        annotations["serving.kserve.io/enable-tag-routing"] = "true"
    if settings.autoscaler:
        annotations["serving.kserve.io/autoscalerClass"] = settings.autoscaler
    # TensorFlow Serving has metrics only where a configuration file turns them on.
    if settings.prometheus and settings.runtime != TENSORFLOW:
        annotations |= {
            "serving.kserve.io/enable-prometheus-scraping": "true",
            "prometheus.kserve.io/port": str(PORT),
            "prometheus.kserve.io/path": "/metrics",
        }
    return annotations


def _predictor(wanted: Wanted, name: str, rollout: str) -> dict[str, Any]:
    settings = wanted.settings
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
        predictor["containers"] = [_own_container(wanted)]
        # Metrics that several worker processes share; they are written with every request.
        memory = {"medium": "Memory", "sizeLimit": "64Mi"}
        volumes.append({"name": "tmp", "emptyDir": memory})
    else:
        predictor["model"] = _model(wanted, name)
    if settings.auth_secret:
        volumes.append({"name": "auth", "secret": {"secretName": settings.auth_secret}})
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


def _own_container(wanted: Wanted) -> dict[str, Any]:
    settings = wanted.settings
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": settings.image or wanted.image or images.SERVING,
        "command": ["python", "-m", "kfp_tabular.serving"],
        "args": [
            "--model=/mnt/models",
            f"--name={wanted.name}",
            "--host=0.0.0.0",
            f"--port={PORT}",
            # Endpoints' lists change later than SIGTERM comes; until then, requests still arrive.
            "--drain-seconds=5",
            "--grace-seconds=20",
        ],
        "env": [{"name": "STORAGE_URI", "value": wanted.storage_uri}, *_environment(settings)],
        "ports": [{"name": "http1", "containerPort": PORT, "protocol": "TCP"}],
        "resources": _amounts(settings),
        "readinessProbe": _readiness(f"/v2/models/{wanted.name}/ready"),
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


def _model(wanted: Wanted, name: str) -> dict[str, Any]:
    settings = wanted.settings
    own = settings.runtime == SERVING_RUNTIME
    model: dict[str, Any] = {
        "modelFormat": {
            "name": "kfp-tabular" if own else "tensorflow",
            "version": "1" if own else "2",
        },
        "runtime": settings.serving_runtime,
        "protocolVersion": "v2" if own else "v1",
        "storageUri": wanted.storage_uri,
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
    if settings.auth_secret:
        model["volumeMounts"] = _mounts(settings)
    # KServe appends arguments to the runtime's, and the last one wins.
    arguments = []
    if not own:
        # By default it tries to load a model for five minutes before anybody is told why it cannot.
        arguments.append("--max_num_load_retries=0")
    if name != wanted.name:
        # Runtimes call the model as the InferenceService; clients must not notice its color.
        arguments.append(f"--name={wanted.name}" if own else f"--model_name={wanted.name}")
        if own:
            model["readinessProbe"] = _readiness(f"/v2/models/{wanted.name}/ready")
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
    return found


def _mounts(settings: ServiceSettings) -> list[dict[str, Any]]:
    if not settings.auth_secret:
        return []
    return [{"name": "auth", "mountPath": _AUTH_PATH, "readOnly": True}]


def _amounts(settings: ServiceSettings) -> dict[str, Mapping[str, str]]:
    gpus = {settings.gpu_resource: str(settings.gpus)} if settings.gpus else {}
    cores = settings.cpu_limit
    defaulted = settings.runtime in (IMAGE, TENSORFLOW)
    if not cores and defaulted and parse_quantity(settings.cpu) > _DEFAULT_CORES:
        # The default would be below what is asked for, and such pods are refused.
        cores = settings.cpu
    limit = {"cpu": cores} if cores else {}
    return {
        "requests": {"cpu": settings.cpu, "memory": settings.memory, **gpus},
        "limits": {**limit, "memory": settings.memory, **gpus},
    }
