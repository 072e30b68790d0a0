"""What the three kinds of job have in common: conditions, selectors, templates."""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Verdict

_IDENTITY = ("name", "namespace", "ownerReferences")


def judge(resource: Mapping[str, Any], *, succeeded: str, failed: str) -> Verdict:
    """Says what a status with conditions means.

    Args:
        resource: The job as the API gives it; it may have no status yet.
        succeeded: Type of the condition of success.
        failed: Type of the condition of failure; it wins where both are true.
    """
    status = resource.get("status") or {}
    true = {
        condition["type"]: condition
        for condition in status.get("conditions") or ()
        if condition.get("status") == "True"
    }
    if failed in true:
        return Verdict("failed", true[failed].get("reason", ""), true[failed].get("message", ""))
    if succeeded in true:
        return Verdict("succeeded", true[succeeded].get("reason", ""))
    last: Mapping[str, Any] = next(reversed(true.values()), {})
    return Verdict("running", last.get("reason", ""), last.get("message", ""))


def selector(labels: Mapping[str, str]) -> str:
    """Gives the label selector of exactly these labels."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def without_identity(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Gives a resource without what Katib sets itself for each trial."""
    metadata = {key: value for key, value in resource["metadata"].items() if key not in _IDENTITY}
    return {**resource, "metadata": metadata}
