"""TFJob (kubeflow.org/v1), the job of the Training Operator.

Comments about the operator follow its source, branch release-1.9: `pkg/webhooks/tensorflow`,
`pkg/controller.v1/tensorflow` and `pkg/controller.v1/common`.
"""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common.kubernetes.client import resource_kinds
from kfp_tabular.components.common.training_job import pod_template
from kfp_tabular.components.common.training_job.job_kind import JobKind
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec

CONTAINER = "tensorflow"
"""The operator's webhook rejects a job without a container of this name."""

RESTARTS_PER_POD = 3

_PORT = {"name": "tfjob-port", "containerPort": pod_template.PORT, "protocol": "TCP"}
_REPLICA_TYPES = {
    "chief": "Chief",
    "workers": "Worker",
    "parameter_servers": "PS",
    "evaluator": "Evaluator",
}


def replicas(settings: JobSettings) -> dict[str, int]:
    """Return the number of pods by role, without roles that have none.

    Example:
        >>> replicas(JobSettings(workers=3, evaluator=True))
        {'chief': 1, 'workers': 2, 'evaluator': 1}
    """
    counts = {
        "chief": 1,
        "workers": settings.workers - 1,
        "parameter_servers": settings.parameter_servers,
        "evaluator": int(settings.evaluator),
    }
    return {role: count for role, count in counts.items() if count}


def _build_spec(job: TrainingJobSpec) -> dict[str, Any]:
    """Return the spec of a TFJob, which always has a chief.

    The chief decides about success: once its container has ended with 0, the operator counts the
    job as succeeded and ends the other pods. A pod of any role that fails for good fails the job.
    """
    return {
        "runPolicy": _run_policy(job),
        "tfReplicaSpecs": {
            _REPLICA_TYPES[role]: {
                "replicas": count,
                # OnFailure restarts in place: a worker keeps its address and its scratch
                # directory. With ExitCode the operator never counts restarts, and would restart a
                # pod that runs out of memory forever.
                "restartPolicy": job.settings.restart_policy or "OnFailure",
                "template": {
                    "metadata": job.pod_metadata(),
                    "spec": pod_template.pod_spec(job, role, CONTAINER, [_PORT]),
                },
            }
            for role, count in replicas(job.settings).items()
        },
    }


def _run_policy(job: TrainingJobSpec) -> dict[str, Any]:
    settings = job.settings
    policy: dict[str, Any] = {
        # The operator's default leaves workers running after the chief has ended.
        "cleanPodPolicy": settings.clean_pod_policy or "Running",
        "backoffLimit": _backoff_limit(settings),
        # The operator checks the deadline only when something happens to the job; the task's own
        # deadline is exact.
        **job.lifecycle(),
    }
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
    # The operator adds up the restarts of all pods, and one lost worker restarts them all.
    if settings.backoff_limit is not None:
        return settings.backoff_limit
    return RESTARTS_PER_POD * sum(replicas(settings).values())


def _training_containers(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        container
        for replica in resource["spec"]["tfReplicaSpecs"].values()
        for container in replica["template"]["spec"]["containers"]
        if container["name"] == CONTAINER
    ]


TFJOB = JobKind(
    resource=resource_kinds.TFJOB,
    container=CONTAINER,
    name_label="training.kubeflow.org/job-name",
    chief_labels={"training.kubeflow.org/job-role": "master"},
    # A worker that fails just as the chief ends leaves both conditions true; the job failed then.
    # Restarting and Suspended are still running.
    succeeded="Succeeded",
    build_spec=_build_spec,
    training_containers=_training_containers,
)
