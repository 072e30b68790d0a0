"""SparkApplication (sparkoperator.k8s.io/v1beta2), the job of the Kubeflow Spark Operator.

Comments about the operator follow its source, 2.5: `internal/controller/sparkapplication`; those
about Spark its own, 4: `resource-managers/kubernetes`.

The pods are given as templates, which Spark itself applies, so the operator's webhook is not
needed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.common.kubernetes.client.resource_kinds import SPARK_APPLICATION
from kfp_tabular.components.common.kubernetes.jobs import network_policies
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Verdict
from kfp_tabular.components.common.pods import job_pods, pod_settings
from kfp_tabular.components.common.pods.quantities import parse_quantity
from kfp_tabular.components.common.pods.security import container_security
from kfp_tabular.components.common.pods.variables import literal
from kfp_tabular.components.common.processing.kubernetes_settings import (
    KubernetesSettings,
    SparkPod,
)
from kfp_tabular.components.common.processing.processing_settings import SparkSettings

SPARK_VERSION = "4.3.0"
"""The version of pyspark in the image."""

DRIVER, EXECUTOR = "spark-kubernetes-driver", "spark-kubernetes-executor"
"""The names that the operator gives Spark for the containers of pod templates."""

DRIVER_MODULE = "kfp_tabular.components.common.task.spark_driver"
EXECUTOR_MODULE = "kfp_tabular.components.common.processing.spark.executor_pod"

MAIN_FILE = "local:///opt/kfp-tabular/spark_driver.py"
"""Spark wants the name of a program. No such file is there: the pod's command runs a module."""

NAME_LABEL = "sparkoperator.k8s.io/app-name"

PORTS = {
    "spark.driver.port": 7078,
    "spark.driver.blockManager.port": 7079,
    "spark.blockManager.port": 7080,
}
"""Where driver and executors listen for each other. Spark would take any port."""

SUBMISSIONS = 3
"""So often the operator tries again to submit, such as where the API server does not answer."""

_SECONDS_BETWEEN_SUBMISSIONS = 10
_CORES_OF_EXECUTOR = 2
_MEBIBYTE = 2**20
_LEAST_OVERHEAD = 384
_MEMORY_OF_PYTHON = 1024
_MEMORY_BESIDE = 512


@dataclass(frozen=True)
class SparkApplication:
    """What a SparkApplication is made from.

    Attributes:
        name: Its name.
        settings: The engine's settings.
        arguments: The arguments of the driver's program.
        image: The image of its pods, unless the settings name one.
        labels: Labels of the resource and its pods, in addition to those of the settings.
        stores: The schemes of the object stores that its pods use.
    """

    name: str
    settings: SparkSettings
    arguments: Sequence[str]
    image: str
    labels: Mapping[str, str] = field(default_factory=dict)
    stores: frozenset[str] = frozenset()

    @property
    def pods(self) -> KubernetesSettings:
        """The settings of its pods."""
        return self.settings.kubernetes or KubernetesSettings()

    @property
    def all_labels(self) -> dict[str, str]:
        """The labels of the resource, which the operator passes on to the pods."""
        own = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
        return {**self.pods.labels, **self.labels, **own}

    def build(self) -> dict[str, Any]:
        """Return the resource.

        Raises:
            ValueError: A pod's memory is less than its Java process needs.
        """
        pods = self.pods
        metadata = {
            "name": self.name,
            "labels": self.all_labels,
            "annotations": dict(pods.annotations),
        }
        return {
            "apiVersion": SPARK_APPLICATION.api_version,
            "kind": SPARK_APPLICATION.kind,
            "metadata": {key: value for key, value in metadata.items() if value},
            "spec": self._spec(pods),
        }

    def _spec(self, pods: KubernetesSettings) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "type": "Python",
            "pythonVersion": "3",
            "mode": "cluster",
            "sparkVersion": SPARK_VERSION,
            "image": pods.image or self.image,
            "mainApplicationFile": MAIN_FILE,
            "arguments": [literal(argument) for argument in self.arguments],
            "sparkConf": {
                **{name: str(port) for name, port in PORTS.items()},
                "spark.ui.enabled": "false",
                # Otherwise the driver lists and deletes claims, for which it needs more rights.
                "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
                "spark.kubernetes.driver.reusePersistentVolumeClaim": "false",
                **self.settings.conf,
            },
            # A driver that failed is not started again: Kubeflow Pipelines retries the task.
            "restartPolicy": {
                "type": "OnFailure",
                "onFailureRetries": 0,
                "onFailureRetryInterval": _SECONDS_BETWEEN_SUBMISSIONS,
                "onSubmissionFailureRetries": SUBMISSIONS,
                "onSubmissionFailureRetryInterval": _SECONDS_BETWEEN_SUBMISSIONS,
            },
            "driver": self._driver(pods),
            "executor": self._executor(pods),
        }
        if pods.image_pull_policy:
            spec["imagePullPolicy"] = pods.image_pull_policy
        if pods.ttl_seconds is not None:
            spec["timeToLiveSeconds"] = pods.ttl_seconds
        if pods.suspend:
            spec["suspend"] = True
        if allocation := pods.dynamic_allocation:
            spec["dynamicAllocation"] = {
                "enabled": True,
                "initialExecutors": max(allocation.initial, allocation.min),
                "minExecutors": allocation.min,
                "maxExecutors": allocation.max,
            }
        return spec

    def _driver(self, pods: KubernetesSettings) -> dict[str, Any]:
        template = self._template(pods, pods.driver, DRIVER, DRIVER_MODULE)
        # If the task is killed, nothing else ends the application.
        template["spec"]["activeDeadlineSeconds"] = pods.deadline_seconds
        return {
            **_resources(pods.driver, 1, self.settings.driver_memory, "driver"),
            "serviceAccount": pods.service_account,
            "template": template,
        }

    def _executor(self, pods: KubernetesSettings) -> dict[str, Any]:
        cores = self.settings.executor_cores or _CORES_OF_EXECUTOR
        template = self._template(pods, pods.executor, EXECUTOR, EXECUTOR_MODULE)
        template["spec"]["automountServiceAccountToken"] = False
        instances = {} if pods.dynamic_allocation else {"instances": pods.executors}
        return {
            **instances,
            **_resources(pods.executor, cores, self.settings.executor_memory, "executor"),
            "serviceAccount": pods.service_account,
            "template": template,
        }

    def _template(
        self, pods: KubernetesSettings, role: SparkPod, container: str, module: str
    ) -> dict[str, Any]:
        # Spark adds image, arguments, ports, resources, and a volume for its own files.
        spec: dict[str, Any] = {
            "containers": [
                {
                    "name": container,
                    "command": ["python3", "-m", module],
                    "workingDir": job_pods.WORK_PATH,
                    "env": job_pods.environment(pods, self.stores),
                    "volumeMounts": job_pods.mounts(pods, self.stores),
                    "securityContext": container_security(),
                }
            ],
            "volumes": job_pods.volumes(pods, self.stores),
            "securityContext": job_pods.pod_security(pods),
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": pods.termination_grace_seconds,
            **pod_settings.placement(pods, role.node_selector, role.tolerations),
        }
        if pods.priority_class:
            spec["priorityClassName"] = pods.priority_class
        metadata = {
            "labels": {**self.all_labels, **job_pods.SIDECAR_OFF},
            "annotations": {**pods.annotations, **job_pods.SIDECAR_OFF},
        }
        return {"metadata": metadata, "spec": spec}


def _resources(pod: SparkPod, cores: int, java: str, role: str) -> dict[str, Any]:
    """Return a pod's cores and memory: that of Java, and the rest as Spark's "overhead"."""
    heap = int(java[:-1]) * (1024 if java.endswith("g") else 1)
    if pod.memory:
        overhead = int(parse_quantity(pod.memory)) // _MEBIBYTE - heap
        if overhead < _LEAST_OVERHEAD:
            raise ValueError(
                f"kubernetes.{role}.memory: {pod.memory} is all memory of the pod, and "
                f"{role}_memory gives {java} of it to Java; Python and Java's own need at least "
                f"{_LEAST_OVERHEAD}Mi more"
            )
    else:
        overhead = cores * _MEMORY_OF_PYTHON + _MEMORY_BESIDE
    cpu = pod.cpu or str(cores)
    return {
        "cores": cores,
        "coreRequest": cpu,
        "coreLimit": cpu,
        "memory": java,
        "memoryOverhead": f"{overhead}m",
    }


def judge(resource: Mapping[str, Any]) -> Verdict:
    """Return whether an application is running, succeeded or failed, and why.

    Args:
        resource: The application as the API returns it; it may have no status yet.

    Example:
        >>> state = {"state": "RUNNING"}
        >>> executors = {"taxi-exec-1": "RUNNING", "taxi-exec-2": "FAILED"}
        >>> print(judge({"status": {"applicationState": state, "executorState": executors}}))
        RUNNING: executors: 1 running, 1 failed
    """
    status = resource.get("status") or {}
    found = status.get("applicationState") or {}
    state, message = str(found.get("state") or ""), str(found.get("errorMessage") or "").strip()
    if state == "COMPLETED":
        return Verdict("succeeded", state)
    if state == "FAILED":
        return Verdict("failed", state, message)
    # FAILING, SUCCEEDING and SUBMISSION_FAILED become something else in the next moment.
    return Verdict("running", state, message or _executors(status.get("executorState") or {}))


def _executors(states: Mapping[str, str]) -> str:
    counts = {
        word: sum(state == word.upper() for state in states.values())
        for word in ("pending", "running", "completed", "failed")
    }
    shown = [f"{count} {word}" for word, count in counts.items() if count]
    return f"executors: {', '.join(shown)}" if shown else ""


def pod_selector(name: str) -> str:
    """Return the label selector of an application's pods."""
    return f"{NAME_LABEL}={name}"


def driver_selector(name: str) -> str:
    """Return the label selector of an application's driver."""
    return f"{NAME_LABEL}={name},spark-role=driver"


def network_policy(name: str, owner: Mapping[str, Any]) -> dict[str, Any]:
    """Return the policy by which driver and executors reach each other.

    Args:
        name: The application's name.
        owner: The application.

    Example:
        >>> owner = {"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication"}
        >>> owner["metadata"] = {"name": "taxi", "uid": "0b6a3c1e-7f0f-4b53-9e5b-2f1f3f0a9d11"}
        >>> (rule,) = network_policy("taxi", owner)["spec"]["ingress"]
        >>> [entry["port"] for entry in rule["ports"]]
        [7078, 7079, 7080]
    """
    ports = [(port, port) for port in PORTS.values()]
    return network_policies.build({NAME_LABEL: name}, ports, name, owner)
