"""The run that a task belongs to, as an owner: what it owns is deleted with it."""

import logging
import os
from typing import Any

from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import NotFoundError
from kfp_tabular.components.common.kubernetes.client.kinds import POD

POD_NAME_VARIABLE = "KFP_POD_NAME"

_logger = logging.getLogger(__name__)


def reference(api: Api, namespace: str = "") -> dict[str, Any] | None:
    """Gives an owner reference to the run's own resource.

    A task's pod is controlled by the run's Argo `Workflow`; KFP names the pod in `KFP_POD_NAME`
    (`backend/src/v2/compiler/argocompiler/common.go`).

    Args:
        api: Access to the cluster.
        namespace: Where the owned resource will be; the task's where empty.

    Returns:
        None outside of a run, and in another namespace than the run's: the garbage collector
        deletes what has an owner elsewhere.
    """
    pod_name = os.environ.get(POD_NAME_VARIABLE)
    if not pod_name:
        return None
    if namespace and namespace != api.namespace:
        _logger.warning(
            "the job is in namespace %r and the run in %r: deleting the run will not delete it.",
            namespace,
            api.namespace,
        )
        return None
    try:
        pod = api.get(POD, pod_name)
    except NotFoundError:
        _logger.warning("no pod %r (%s): the job gets no owner.", pod_name, POD_NAME_VARIABLE)
        return None
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            # Not the controller of the job, and no reason to keep the run: to block its deletion
            # would take a permission on the run's finalizers.
            return {field: owner[field] for field in ("apiVersion", "kind", "name", "uid")}
    return None
