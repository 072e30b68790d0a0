"""A plain Kubernetes Job (batch/v1) of one pod, for Katib trials that need no operator."""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE, UserError
from kfp_tabular.components.common.kubernetes.client import resource_kinds
from kfp_tabular.components.common.training_job import pod_template
from kfp_tabular.components.common.training_job.job_kind import JobKind
from kfp_tabular.components.common.training_job.job_settings import JobSettings, Roles
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec

CONTAINER = "tensorflow"

RESTARTS = 3


def refuse_unsupported(settings: JobSettings) -> None:
    """Reject settings that a Job of one pod cannot express.

    Raises:
        UserError: For the first such setting.

    Example:
        >>> refuse_unsupported(JobSettings(workers=1))
        >>> refuse_unsupported(JobSettings(workers=3))
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.errors.UserError: job.workers: a plain Job is one pod;
        leave it out, or use a TFJob.
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
            f"job.restart_policy: expected Never or OnFailure for a plain Job, found "
            f"{settings.restart_policy}."
        )


def user_error_policy(container: str) -> dict[str, Any]:
    """Return the pod failure policy that fails a Job at once for bad input.

    Args:
        container: The container whose exit code decides.

    Example:
        >>> user_error_policy("tensorflow")["rules"][0]["action"]
        'FailJob'
    """
    codes = {
        "containerName": container,
        "operator": "In",
        "values": [USER_ERROR_EXIT_CODE],
    }
    return {"rules": [{"action": "FailJob", "onExitCodes": codes}]}


def _build_spec(job: TrainingJobSpec) -> dict[str, Any]:
    settings = job.settings
    refuse_unsupported(settings)
    policy = settings.restart_policy or "Never"
    body: dict[str, Any] = {
        "backoffLimit": RESTARTS if settings.backoff_limit is None else settings.backoff_limit,
        **job.lifecycle(),
        "template": {
            "metadata": job.pod_metadata(),
            "spec": {**pod_template.pod_spec(job, "chief", CONTAINER), "restartPolicy": policy},
        },
    }
    if policy == "Never":
        # Kubernetes accepts such a rule only with Never. Retrying does not help bad input.
        body["podFailurePolicy"] = user_error_policy(CONTAINER)
    return body


def _training_containers(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    containers: list[dict[str, Any]] = resource["spec"]["template"]["spec"]["containers"]
    return containers


BATCH_JOB = JobKind(
    resource=resource_kinds.JOB,
    container=CONTAINER,
    name_label="batch.kubernetes.io/job-name",
    chief_labels={},
    succeeded="Complete",
    build_spec=_build_spec,
    training_containers=_training_containers,
)
