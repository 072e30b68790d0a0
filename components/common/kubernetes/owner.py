"""The run that a task belongs to, as an owner: what it owns is deleted with it."""

from typing import Any

from kfp_tabular.components.common.kubernetes.api import Api


def reference(api: Api, namespace: str = "") -> dict[str, Any] | None:
    """Gives an owner reference to the run's own resource.

    A task's pod is controlled by the run's Argo `Workflow`; KFP names the pod in `KFP_POD_NAME`.

    Args:
        api: Access to the cluster.
        namespace: Where the owned resource will be; the task's where empty.

    Returns:
        None outside of a run, and in another namespace than the run's: the garbage collector
        deletes what has an owner elsewhere.
    """
    raise NotImplementedError
