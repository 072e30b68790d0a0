"""TrainJob (trainer.kubeflow.org/v1alpha1) and the ClusterTrainingRuntime under it.

The facts below are from the source of Kubeflow Trainer 2.3: `pkg/apis/trainer/v1alpha1`,
`pkg/controller`, `pkg/runtime/core` and `pkg/runtime/framework/plugins/jobset`. A TrainJob carries
a container's image, command, arguments, variables and resources, and patches a part of the pod; the
rest stands in its runtime, for all jobs alike. What a job asks for and a TrainJob cannot carry is
refused.
"""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common import images
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client.kinds import TRAINING_RUNTIME
from kfp_tabular.components.common.kubernetes.client.kinds import TRAINJOB as KIND
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Verdict
from kfp_tabular.components.common.pods.security import container_security
from kfp_tabular.components.common.pods.variables import literal
from kfp_tabular.components.common.training_job import conditions, pod
from kfp_tabular.components.common.training_job.job import user_error_policy
from kfp_tabular.components.common.training_job.settings import (
    DEFAULT_RUNTIME,
    WORK_PATH,
    JobSettings,
    Roles,
)
from kfp_tabular.components.common.training_job.spec import (
    SIDECAR_OFF,
    WORKER_MODULE,
    TrainingJobSpec,
)

__all__ = ["CHIEF_LABELS", "CONTAINER", "KIND", "build", "judge", "runtime", "template"]

NODE = "node"
"""The replicated job and the container that the Trainer applies `spec.trainer` to."""

CONTAINER = NODE

CHIEF_LABELS = {
    "jobset.sigs.k8s.io/replicatedjob-name": NODE,
    "batch.kubernetes.io/job-completion-index": "0",
}
"""What JobSet and the Job controller put on the chief's pod."""

RENDEZVOUS_MODULE = "kfp_tabular.components.training.rendezvous"
"""Builds TF_CONFIG, which the Trainer does not, and becomes the worker program."""

WORKERS_VARIABLE = "KFP_TABULAR_WORKERS"
"""Tells each pod how many there are: nothing else in a pod of a JobSet does."""

JOBSET_VARIABLE = "KFP_TABULAR_JOBSET"
"""The JobSet's name, which the pods' host names and their domain are made of."""

MANAGER = "kfp-tabular.dev/launcher"
"""Owner of the patches; the webhook wants a domain and a path."""

RESTARTS = 3

_JOB_LABEL = "jobset.sigs.k8s.io/jobset-name"
_ANCESTOR = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}

_IN_THE_RUNTIME = {
    "priority_class": "priorityClassName",
    "image_pull_policy": "imagePullPolicy",
    "clean_pod_policy": "",
    "restart_policy": "restartPolicy",
    "backoff_limit": "failurePolicy.maxRestarts",
    "ttl_seconds": "ttlSecondsAfterFinished",
    "scheduling": "podGroupPolicy",
}
"""Settings that a TrainJob cannot carry, and what of a runtime says it."""


def build(spec: TrainingJobSpec) -> dict[str, Any]:
    """Gives the TrainJob. Its first pod is the chief.

    Raises:
        UserError: For settings that a TrainJob cannot carry.
    """
    settings = spec.settings
    refuse(settings)
    active = settings.active_deadline_seconds
    body: dict[str, Any] = {
        "runtimeRef": {
            "apiGroup": TRAINING_RUNTIME.group,
            "kind": TRAINING_RUNTIME.kind,
            "name": settings.runtime,
        },
        "trainer": {
            "image": pod.image(settings),
            "command": pod.command(_module(spec)),
            "args": [literal(argument) for argument in spec.arguments],
            "env": [
                *pod.environment(spec),
                {"name": WORKERS_VARIABLE, "value": str(settings.workers)},
            ],
            "numNodes": settings.workers,
            "resourcesPerNode": pod.resources(settings, "workers"),
        },
        "runtimePatches": [{"manager": MANAGER, "trainingRuntimeSpec": _patch(spec)}],
        "activeDeadlineSeconds": settings.deadline_seconds if active is None else active,
    }
    if settings.suspend:
        body["suspend"] = True
    if settings.managed_by:
        body["managedBy"] = settings.managed_by
    return {
        "apiVersion": KIND.api_version,
        "kind": KIND.kind,
        "metadata": spec.metadata(),
        "spec": body,
    }


def template(spec: TrainingJobSpec) -> dict[str, Any]:
    """Gives the TrainJob without name and namespace, as a Katib trial has it."""
    return conditions.without_identity(build(spec))


def runtime(name: str = DEFAULT_RUNTIME, image: str = images.TENSORFLOW) -> dict[str, Any]:
    """Gives the ClusterTrainingRuntime that the jobs are made for.

    One lost worker restarts the set, which goes on from its checkpoint: the others could not go on
    without it. A worker that blames its input fails the job at once.

    Args:
        name: Its name, which `job.runtime` refers to.
        image: The image where a TrainJob names none.
    """
    spec = TrainingJobSpec(arguments=(), settings=JobSettings(image=image))
    container = {
        "name": CONTAINER,
        "image": image,
        "command": pod.command(RENDEZVOUS_MODULE),
        "workingDir": WORK_PATH,
        "env": [
            *pod.environment(spec),
            {"name": WORKERS_VARIABLE, "value": "1"},
            {
                "name": JOBSET_VARIABLE,
                "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{_JOB_LABEL}']"}},
            },
        ],
        "ports": [{"name": "workers", "containerPort": pod.PORT, "protocol": "TCP"}],
        "resources": pod.resources(spec.settings, "workers"),
        "volumeMounts": pod.mounts(spec),
        "securityContext": container_security(),
    }
    pods = {
        "metadata": {"labels": dict(SIDECAR_OFF), "annotations": dict(SIDECAR_OFF)},
        "spec": {
            "containers": [container],
            "volumes": pod.volumes(spec),
            "securityContext": pod.pod_security(spec.settings),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": spec.settings.termination_grace_seconds,
            "restartPolicy": "Never",
        },
    }
    return {
        "apiVersion": TRAINING_RUNTIME.api_version,
        "kind": TRAINING_RUNTIME.kind,
        "metadata": {
            "name": name,
            "labels": {"trainer.kubeflow.org/framework": "tensorflow"},
        },
        "spec": {
            "mlPolicy": {"numNodes": 1},
            "template": {
                "spec": {
                    "network": {"enableDNSHostnames": True, "publishNotReadyAddresses": True},
                    "failurePolicy": {
                        "maxRestarts": RESTARTS,
                        "rules": [
                            {
                                "name": "BadInput",
                                "action": "FailJobSet",
                                "onJobFailureReasons": ["PodFailurePolicy"],
                            }
                        ],
                    },
                    "replicatedJobs": [
                        {
                            "name": NODE,
                            "replicas": 1,
                            "template": {
                                "metadata": {"labels": dict(_ANCESTOR)},
                                "spec": {
                                    "completionMode": "Indexed",
                                    "backoffLimit": 0,
                                    "podFailurePolicy": user_error_policy(CONTAINER),
                                    "template": pods,
                                },
                            },
                        }
                    ],
                }
            },
        },
    }


def refuse(settings: JobSettings) -> None:
    """Refuses what a TrainJob cannot carry.

    Raises:
        UserError: For the first such setting.
    """
    if settings.parameter_servers or settings.evaluator:
        name = "parameter_servers" if settings.parameter_servers else "evaluator"
        raise UserError(
            f"job.{name}: all pods of a TrainJob are workers; leave it out, or use a TFJob."
        )
    if settings.roles != Roles():
        raise UserError(
            "job.roles: all pods of a TrainJob are alike; leave it out, or use a TFJob."
        )
    for name, there in _IN_THE_RUNTIME.items():
        if getattr(settings, name) not in ("", None):
            remedy = (
                f"; set {there} in a ClusterTrainingRuntime of your own and name it in job.runtime"
                if there
                else "; its pods stay until it is deleted"
            )
            raise UserError(f"job.{name}: a TrainJob cannot carry it{remedy}.")


def judge(resource: Mapping[str, Any]) -> Verdict:
    """Says what a TrainJob's status means.

    The conditions are the JobSet's, and Failed may also come from the Trainer itself, with the
    reasons `DeadlineExceeded` and `TrainingRuntimeNotSupported`.
    """
    return conditions.judge(resource, succeeded="Complete", failed="Failed")


def pod_selector(name: str) -> str:
    """Gives the label selector of a job's pods; the JobSet has the job's name."""
    return f"{_JOB_LABEL}={name}"


def chief_selector(name: str) -> str:
    """Gives the label selector of the chief's pod."""
    return conditions.selector({_JOB_LABEL: name, **CHIEF_LABELS})


def _module(spec: TrainingJobSpec) -> str:
    return RENDEZVOUS_MODULE if spec.module == WORKER_MODULE else spec.module


def _patch(spec: TrainingJobSpec) -> dict[str, Any]:
    """Gives what the job changes in the runtime's template.

    Labels go to the JobSet and to its pods by the patch only: the Trainer hands on none of the
    TrainJob's own. It merges lists by name, so the runtime's volumes stay.
    """
    settings = spec.settings
    pods = {
        "metadata": spec.pod_metadata(),
        "spec": {
            "containers": [
                {
                    "name": CONTAINER,
                    "volumeMounts": pod.mounts(spec),
                    "securityContext": container_security(),
                }
            ],
            "volumes": pod.volumes(spec),
            "securityContext": pod.pod_security(settings),
            "terminationGracePeriodSeconds": settings.termination_grace_seconds,
            **pod.placement(settings, "workers"),
        },
    }
    jobs = [{"name": NODE, "template": {"spec": {"template": pods}}}]
    return {
        "template": {
            "metadata": {"labels": spec.all_labels()},
            "spec": {"replicatedJobs": jobs},
        }
    }
