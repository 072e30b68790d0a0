"""A job with an operator of its own, and one of Kubernetes itself, in their simplest forms."""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import JOB, TFJOB
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Launch, Verdict
from tests.cluster.operators import Flavour, now

NAME = "train-model-0123456789"

# It cannot be changed once it is set.
_STARTED = now()


def conditions(resource: Mapping[str, Any]) -> Verdict:
    """Read the conditions as both kinds have them."""
    for condition in (resource.get("status") or {}).get("conditions") or ():
        if condition["status"] == "True" and condition["type"] in ("Succeeded", "Complete"):
            return Verdict("succeeded")
        if condition["status"] == "True" and condition["type"] == "Failed":
            return Verdict("failed", condition.get("reason", ""), condition.get("message", ""))
    return Verdict("running")


def _tfjob(variant: int = 0, **changes: Any) -> Launch:
    container = {"name": "tensorflow", "image": "registry.example.com/trainer:1"}
    template = {"spec": {"containers": [container]}}
    resource = {
        "apiVersion": TFJOB.api_version,
        "kind": TFJOB.kind,
        "metadata": {"name": NAME},
        "spec": {
            "runPolicy": {"backoffLimit": variant},
            "tfReplicaSpecs": {"Chief": {"replicas": 1, "template": template}},
        },
    }
    given: dict[str, Any] = {
        "deadline_seconds": 60,
        "pod_selector": f"training.kubeflow.org/job-name={NAME}",
        "chief_selector": "training.kubeflow.org/replica-type=chief",
        "container": "tensorflow",
    }
    return Launch(TFJOB, resource, conditions, **{**given, **changes})


def _tfjob_labels(role: str) -> Any:
    return lambda job: {
        "training.kubeflow.org/job-name": job["metadata"]["name"],
        "training.kubeflow.org/replica-type": role,
    }


def _tfjob_status(phase: str, message: str) -> Mapping[str, Any]:
    return {"conditions": [_condition(phase.capitalize(), message)]}


def _job(variant: int = 0, **changes: Any) -> Launch:
    container = {"name": "main", "image": "registry.example.com/trainer:1"}
    resource = {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {"name": NAME},
        "spec": {
            "backoffLimit": variant,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }
    selector = f"job-name={NAME}"
    given: dict[str, Any] = {
        "deadline_seconds": 60,
        "pod_selector": selector,
        "chief_selector": "role=chief",
        "container": "main",
    }
    return Launch(JOB, resource, conditions, **{**given, **changes})


def _job_labels(role: str) -> Any:
    return lambda job: {"job-name": job["metadata"]["name"], "role": role}


def _job_status(phase: str, message: str) -> Mapping[str, Any]:
    started = {"startTime": _STARTED}
    if phase == "running":
        return {**started, "active": 1}
    if phase == "failed":
        conditions = [_condition("FailureTarget", message), _condition("Failed", message)]
        return {**started, "active": 0, "conditions": conditions}
    conditions = [_condition("SuccessCriteriaMet", message), _condition("Complete", message)]
    return {
        **started,
        "completionTime": now(),
        "active": 0,
        "succeeded": 1,
        "conditions": conditions,
    }


def _condition(kind: str, message: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": "True",
        "reason": f"Job{kind}",
        "message": message,
        "lastTransitionTime": now(),
        "lastProbeTime" if kind not in ("Running", "Succeeded") else "lastUpdateTime": now(),
    }


_HERE = "tests.components.common.kubernetes.flavours"
TFJOB_FLAVOUR = Flavour(
    path=f"{_HERE}:TFJOB_FLAVOUR",
    launch=_tfjob,
    chief_labels=_tfjob_labels("chief"),
    worker_labels=_tfjob_labels("worker"),
    status=_tfjob_status,
    container="tensorflow",
)
JOB_FLAVOUR = Flavour(
    path=f"{_HERE}:JOB_FLAVOUR",
    launch=_job,
    chief_labels=_job_labels("chief"),
    worker_labels=_job_labels("worker"),
    status=_job_status,
    container="main",
)
