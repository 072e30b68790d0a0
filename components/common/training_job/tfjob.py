"""TFJob (kubeflow.org/v1), as the Training Operator 1.9 handles it.

The facts below are from its source (branch release-1.9): `pkg/webhooks/tensorflow`,
`pkg/controller.v1/tensorflow` and `pkg/controller.v1/common`.
"""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common.kubernetes.client.kinds import TFJOB as KIND
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Verdict
from kfp_tabular.components.common.training_job import conditions, pod
from kfp_tabular.components.common.training_job.settings import JobSettings
from kfp_tabular.components.common.training_job.spec import TrainingJobSpec

__all__ = ["CHIEF_LABELS", "CONTAINER", "KIND", "build", "judge", "template"]

CONTAINER = "tensorflow"
"""The webhook refuses a job without a container of this name."""

CHIEF_LABELS = {"training.kubeflow.org/job-role": "master"}
"""What the operator puts on the chief's pod."""

RESTARTS_PER_POD = 3

_JOB_LABEL = "training.kubeflow.org/job-name"
_PORT = {"name": "tfjob-port", "containerPort": pod.PORT, "protocol": "TCP"}
_REPLICA_TYPES = {
    "chief": "Chief",
    "workers": "Worker",
    "parameter_servers": "PS",
    "evaluator": "Evaluator",
}


def build(spec: TrainingJobSpec) -> dict[str, Any]:
    """Gives the TFJob.

    There is always a chief. It decides about success: the operator takes the job as succeeded when
    the chief's container has ended with 0, and ends the others' pods then; one pod of any role
    that fails for good fails the job.
    """
    return {
        "apiVersion": KIND.api_version,
        "kind": KIND.kind,
        "metadata": spec.metadata(),
        "spec": {
            "runPolicy": _run_policy(spec.settings),
            "tfReplicaSpecs": {
                _REPLICA_TYPES[role]: {
                    "replicas": count,
                    # In place, so that a worker keeps its address and its scratch directory. With
                    # ExitCode the operator never counts restarts, and a pod out of memory would be
                    # started for ever.
                    "restartPolicy": spec.settings.restart_policy or "OnFailure",
                    "template": {
                        "metadata": spec.pod_metadata(),
                        "spec": pod.pod_spec(spec, role, CONTAINER, [_PORT]),
                    },
                }
                for role, count in replicas(spec.settings).items()
            },
        },
    }


def template(spec: TrainingJobSpec) -> dict[str, Any]:
    """Gives the TFJob without name and namespace, as a Katib trial has it."""
    return conditions.without_identity(build(spec))


def replicas(settings: JobSettings) -> dict[str, int]:
    """Gives the number of pods by role; roles without any are left out."""
    counts = {
        "chief": 1,
        "workers": settings.workers - 1,
        "parameter_servers": settings.parameter_servers,
        "evaluator": int(settings.evaluator),
    }
    return {role: count for role, count in counts.items() if count}


def judge(resource: Mapping[str, Any]) -> Verdict:
    """Says what a TFJob's status means.

    Both conditions can be true, where a worker failed in the moment the chief ended; that is a
    failure. `Restarting` and `Suspended` are still running.
    """
    return conditions.judge(resource, succeeded="Succeeded", failed="Failed")


def pod_selector(name: str) -> str:
    """Gives the label selector of a job's pods."""
    return f"{_JOB_LABEL}={name}"


def chief_selector(name: str) -> str:
    """Gives the label selector of the chief's pod."""
    return conditions.selector({_JOB_LABEL: name, **CHIEF_LABELS})


def _run_policy(settings: JobSettings) -> dict[str, Any]:
    active = settings.active_deadline_seconds
    policy: dict[str, Any] = {
        # The operator's default leaves workers running after the chief has ended.
        "cleanPodPolicy": settings.clean_pod_policy or "Running",
        "backoffLimit": _backoff_limit(settings),
        # Checked by the operator only when something happens to the job; the task's own deadline
        # is the one that is kept to the second.
        "activeDeadlineSeconds": settings.deadline_seconds if active is None else active,
    }
    if settings.ttl_seconds is not None:
        policy["ttlSecondsAfterFinished"] = settings.ttl_seconds
    if settings.suspend:
        policy["suspend"] = True
    if settings.managed_by:
        policy["managedBy"] = settings.managed_by
    if settings.scheduling is not None:
        given = {
            "minAvailable": settings.scheduling.min_available,
            "queue": settings.scheduling.queue,
            "priorityClass": settings.scheduling.priority_class,
            "scheduleTimeoutSeconds": settings.scheduling.timeout_seconds,
        }
        policy["schedulingPolicy"] = {key: value for key, value in given.items() if value}
    return policy


def _backoff_limit(settings: JobSettings) -> int:
    """The operator adds up the restarts of all pods, and one lost worker restarts them all."""
    if settings.backoff_limit is not None:
        return settings.backoff_limit
    return RESTARTS_PER_POD * sum(replicas(settings).values())
