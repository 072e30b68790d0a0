"""TrainJob (trainer.kubeflow.org/v1alpha1) and the ClusterTrainingRuntime that it runs on.

Comments about the Trainer follow the source of Kubeflow Trainer 2.3: `pkg/apis/trainer/v1alpha1`,
`pkg/controller`, `pkg/runtime/core` and `pkg/runtime/framework/plugins/jobset`. A TrainJob holds
the container's image, command, arguments, variables and resources, and patches parts of the pod;
everything else is in its runtime, which all jobs share. Settings that a TrainJob cannot hold are
refused.
"""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common import images
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.kubernetes.client import resource_kinds
from kfp_tabular.components.common.pods import job_pods
from kfp_tabular.components.common.pods.job_pods import SIDECAR_OFF, WORK_PATH
from kfp_tabular.components.common.pods.security import container_security
from kfp_tabular.components.common.pods.variables import literal
from kfp_tabular.components.common.training_job import pod_template
from kfp_tabular.components.common.training_job.batch_job import user_error_policy
from kfp_tabular.components.common.training_job.job_kind import JobKind
from kfp_tabular.components.common.training_job.job_settings import (
    DEFAULT_RUNTIME,
    JobSettings,
    Roles,
)
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.common.training_options import WORKER_MODULE

CONTAINER = "node"
"""The replicated job, and the container in it, that the Trainer applies `spec.trainer` to."""

RENDEZVOUS_MODULE = "kfp_tabular.components.training.rendezvous"
"""Builds TF_CONFIG, which the Trainer does not set, then runs the worker program."""

WORKERS_VARIABLE = "KFP_TABULAR_WORKERS"
"""The number of workers, for each pod; the JobSet does not pass it on."""

JOBSET_VARIABLE = "KFP_TABULAR_JOBSET"
"""The name of the JobSet, from which its pods' host names and domain follow."""

MANAGER = "kfp-tabular.dev/launcher"
"""Owner of the patches; the webhook expects a domain and a path."""

RESTARTS = 3

_NAME_LABEL = "jobset.sigs.k8s.io/jobset-name"
_ANCESTOR = {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}

_SET_BY_RUNTIME = {
    "priority_class": "priorityClassName",
    "image_pull_policy": "imagePullPolicy",
    "clean_pod_policy": "",
    "restart_policy": "restartPolicy",
    "backoff_limit": "failurePolicy.maxRestarts",
    "ttl_seconds": "ttlSecondsAfterFinished",
    "scheduling": "podGroupPolicy",
}
"""Settings that a TrainJob has no field for, with the runtime's field; empty if it has none."""


def runtime(name: str = DEFAULT_RUNTIME, image: str = images.TENSORFLOW) -> dict[str, Any]:
    """Return the ClusterTrainingRuntime that the jobs are made for.

    A lost worker restarts the whole set, which resumes from its checkpoint: the other workers
    cannot continue without it. A worker that reports bad input fails the job at once.

    Args:
        name: Its name, which `job.runtime` refers to.
        image: The image for TrainJobs that name none.

    Example:
        >>> runtime()["metadata"]["name"]
        'kfp-tabular-tensorflow'
    """
    job = TrainingJobSpec(arguments=(), settings=JobSettings(image=image))
    container = {
        "name": CONTAINER,
        "image": image,
        "command": pod_template.command(RENDEZVOUS_MODULE),
        "workingDir": WORK_PATH,
        "env": [
            *pod_template.environment(job),
            {"name": WORKERS_VARIABLE, "value": "1"},
            {
                "name": JOBSET_VARIABLE,
                "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{_NAME_LABEL}']"}},
            },
        ],
        "ports": [{"name": "workers", "containerPort": pod_template.PORT, "protocol": "TCP"}],
        "resources": pod_template.resources(job.settings, "workers"),
        "volumeMounts": pod_template.mounts(job),
        "securityContext": container_security(),
    }
    pods = {
        "metadata": {"labels": dict(SIDECAR_OFF), "annotations": dict(SIDECAR_OFF)},
        "spec": {
            "containers": [container],
            "volumes": pod_template.volumes(job),
            "securityContext": job_pods.pod_security(job.settings),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": job.settings.termination_grace_seconds,
            "restartPolicy": "Never",
        },
    }
    return {
        "apiVersion": resource_kinds.TRAINING_RUNTIME.api_version,
        "kind": resource_kinds.TRAINING_RUNTIME.kind,
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
                            "name": CONTAINER,
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


def refuse_unsupported(settings: JobSettings) -> None:
    """Reject settings that a TrainJob cannot express.

    Raises:
        UserError: For the first such setting.

    Example:
        >>> refuse_unsupported(JobSettings(workers=3))
        >>> refuse_unsupported(JobSettings(backoff_limit=5))
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: job.backoff_limit: a TrainJob has no
        field for it; set failurePolicy.maxRestarts in a ClusterTrainingRuntime of your own ...
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
    for name, field in _SET_BY_RUNTIME.items():
        if getattr(settings, name) not in ("", None):
            remedy = (
                f"; set {field} in a ClusterTrainingRuntime of your own and name it in job.runtime"
                if field
                else "; its pods stay until it is deleted"
            )
            raise UserError(f"job.{name}: a TrainJob has no field for it{remedy}.")


def _build_spec(job: TrainingJobSpec) -> dict[str, Any]:
    """Return the spec of a TrainJob. Its first pod is the chief."""
    settings = job.settings
    refuse_unsupported(settings)
    return {
        "runtimeRef": {
            "apiGroup": resource_kinds.TRAINING_RUNTIME.group,
            "kind": resource_kinds.TRAINING_RUNTIME.kind,
            "name": settings.runtime,
        },
        "trainer": {
            "image": pod_template.image(settings),
            "command": pod_template.command(_module(job)),
            "args": [literal(argument) for argument in job.arguments],
            "env": [
                *pod_template.environment(job),
                {"name": WORKERS_VARIABLE, "value": str(settings.workers)},
            ],
            "numNodes": settings.workers,
            "resourcesPerNode": pod_template.resources(settings, "workers"),
        },
        "runtimePatches": [{"manager": MANAGER, "trainingRuntimeSpec": _patch(job)}],
        **job.lifecycle(),
    }


def _module(job: TrainingJobSpec) -> str:
    return RENDEZVOUS_MODULE if job.module == WORKER_MODULE else job.module


def _patch(job: TrainingJobSpec) -> dict[str, Any]:
    """Return what the job changes in the runtime's template.

    The Trainer passes on none of the TrainJob's own labels; labels reach the JobSet and its pods
    only by this patch. It merges lists by name, so the runtime's volumes stay.
    """
    settings = job.settings
    pods = {
        "metadata": job.pod_metadata(),
        "spec": {
            "containers": [
                {
                    "name": CONTAINER,
                    "volumeMounts": pod_template.mounts(job),
                    "securityContext": container_security(),
                }
            ],
            "volumes": pod_template.volumes(job),
            "securityContext": job_pods.pod_security(settings),
            "terminationGracePeriodSeconds": settings.termination_grace_seconds,
            **pod_template.placement(settings, "workers"),
        },
    }
    jobs = [{"name": CONTAINER, "template": {"spec": {"template": pods}}}]
    return {
        "template": {
            "metadata": {"labels": job.all_labels()},
            "spec": {"replicatedJobs": jobs},
        }
    }


def _training_containers(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [resource["spec"]["trainer"]]


TRAINJOB = JobKind(
    resource=resource_kinds.TRAINJOB,
    container=CONTAINER,
    # The JobSet has the job's name.
    name_label=_NAME_LABEL,
    chief_labels={
        "jobset.sigs.k8s.io/replicatedjob-name": CONTAINER,
        "batch.kubernetes.io/job-completion-index": "0",
    },
    # The conditions are the JobSet's. Failed may also come from the Trainer itself, with the
    # reasons DeadlineExceeded and TrainingRuntimeNotSupported.
    succeeded="Complete",
    build_spec=_build_spec,
    training_containers=_training_containers,
)
