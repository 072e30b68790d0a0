"""A plain Job (batch/v1): one worker, for a Katib trial that needs no operator."""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE, UserError
from kfp_tabular.components.common.kubernetes.client.kinds import JOB as KIND
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Verdict
from kfp_tabular.components.common.training_job import conditions, pod
from kfp_tabular.components.common.training_job.settings import JobSettings, Roles
from kfp_tabular.components.common.training_job.spec import TrainingJobSpec

__all__ = ["CHIEF_LABELS", "CONTAINER", "KIND", "build", "judge", "template"]

CONTAINER = "tensorflow"

CHIEF_LABELS: dict[str, str] = {}
"""There is one pod, and nothing to tell it from."""

RESTARTS = 3

_JOB_LABEL = "batch.kubernetes.io/job-name"


def build(spec: TrainingJobSpec) -> dict[str, Any]:
    """Gives the Job.

    Raises:
        UserError: For settings that a Job of one pod cannot express.
    """
    settings = spec.settings
    refuse(settings)
    active = settings.active_deadline_seconds
    policy = settings.restart_policy or "Never"
    body: dict[str, Any] = {
        "backoffLimit": RESTARTS if settings.backoff_limit is None else settings.backoff_limit,
        "activeDeadlineSeconds": settings.deadline_seconds if active is None else active,
        "template": {
            "metadata": spec.pod_metadata(),
            "spec": {**pod.pod_spec(spec, "chief", CONTAINER), "restartPolicy": policy},
        },
    }
    if policy == "Never":
        # Kubernetes takes such a rule only with Never: bad input does not get better by retrying.
        body["podFailurePolicy"] = user_error_policy(CONTAINER)
    if settings.ttl_seconds is not None:
        body["ttlSecondsAfterFinished"] = settings.ttl_seconds
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
    """Gives the Job without name and namespace, as a Katib trial has it."""
    return conditions.without_identity(build(spec))


def refuse(settings: JobSettings) -> None:
    """Refuses what a Job of one pod cannot express.

    Raises:
        UserError: For the first such setting.
    """
    given = {
        "workers": settings.workers > 1,
        "parameter_servers": settings.parameter_servers > 0,
        "evaluator": settings.evaluator,
        "roles": settings.roles != Roles(),
        "clean_pod_policy": bool(settings.clean_pod_policy),
        "scheduling": settings.scheduling is not None,
    }
    for name, present in given.items():
        if present:
            raise UserError(f"job.{name}: a plain Job is one pod; leave it out, or use a TFJob.")
    if settings.restart_policy not in ("", "Never", "OnFailure"):
        raise UserError(
            f"job.restart_policy: a plain Job takes Never or OnFailure, not "
            f"{settings.restart_policy}."
        )


def user_error_policy(container: str) -> dict[str, Any]:
    """Gives the pod failure policy that fails a Job at once when the program blames its input."""
    codes = {
        "containerName": container,
        "operator": "In",
        "values": [USER_ERROR_EXIT_CODE],
    }
    return {"rules": [{"action": "FailJob", "onExitCodes": codes}]}


def judge(resource: Mapping[str, Any]) -> Verdict:
    """Says what a Job's status means."""
    return conditions.judge(resource, succeeded="Complete", failed="Failed")


def pod_selector(name: str) -> str:
    """Gives the label selector of a Job's pods."""
    return f"{_JOB_LABEL}={name}"


def chief_selector(name: str) -> str:
    """Gives the label selector of the one pod."""
    return pod_selector(name)
