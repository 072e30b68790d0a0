"""The kinds of Kubernetes resources that this package works with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Object = Mapping[str, Any]
"""A resource as parsed from JSON."""


@dataclass(frozen=True)
class Kind:
    """A kind of resource, as the API server serves it.

    Attributes:
        api_version: Such as `v1` or `kubeflow.org/v1`.
        kind: Such as `TFJob`.
        plural: The resource's name in URLs and in Roles, such as `tfjobs`.
        name_limit: The longest name, in characters, that leaves room for the names which the
            controller derives from it.
        namespaced: Whether objects of this kind live in a namespace.
        propagation: How objects are deleted. `Foreground` keeps an object until all objects that it
            owns are deleted. `Background` is for kinds whose controller re-creates those during the
            deletion, which would then never end.
    """

    api_version: str
    kind: str
    plural: str
    name_limit: int = 63
    namespaced: bool = True
    propagation: Literal["Foreground", "Background"] = "Foreground"

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def qualified(self) -> str:
        """The resource as `kubectl` and RBAC name it, such as `tfjobs.kubeflow.org`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


# Pods and services are `<job>-<replica type>-<index>` and must be DNS labels (63): leaves
# `-evaluator-9999`.
TFJOB = Kind("kubeflow.org/v1", "TFJob", "tfjobs", name_limit=48)
# Pods are `<job>-<replicated job>-<job index>-<pod index>-<5 random>`, checked against 63 by
# JobSet's webhook: leaves `-node-0-9999-xxxxx`. The Trainer (2.3) creates the JobSet again of a
# TrainJob that waits for its deletion.
TRAINJOB = Kind(
    "trainer.kubeflow.org/v1alpha1",
    "TrainJob",
    "trainjobs",
    name_limit=45,
    propagation="Background",
)
TRAINING_RUNTIME = Kind(
    "trainer.kubeflow.org/v1alpha1",
    "ClusterTrainingRuntime",
    "clustertrainingruntimes",
    namespaced=False,
)
# Pods are `<job>-<5 random>`, and the name is the value of a label.
JOB = Kind("batch/v1", "Job", "jobs", name_limit=57)
# Katib rejects longer names; trials add 9 characters. It creates the job of a Trial and the service
# of a Suggestion again, even while these wait for their deletion.
EXPERIMENT = Kind(
    "kubeflow.org/v1beta1",
    "Experiment",
    "experiments",
    name_limit=40,
    propagation="Background",
)
TRIAL = Kind("kubeflow.org/v1beta1", "Trial", "trials")
SUGGESTION = Kind("kubeflow.org/v1beta1", "Suggestion", "suggestions")
# Spark names a Service `<job>-<16 hexadecimal digits>-driver-svc` (63) and executors
# `<job>-<16 hexadecimal digits>-exec-<number>`, with a prefix of at most 47: leaves 30 of 47.
SPARK_APPLICATION = Kind(
    "sparkoperator.k8s.io/v1beta2", "SparkApplication", "sparkapplications", name_limit=30
)
INFERENCE_SERVICE = Kind("serving.kserve.io/v1beta1", "InferenceService", "inferenceservices")
SERVICE = Kind("v1", "Service", "services")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", name_limit=253)
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases", name_limit=253)
POD = Kind("v1", "Pod", "pods", name_limit=253)
EVENT = Kind("v1", "Event", "events", name_limit=253)
