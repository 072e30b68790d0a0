"""The pipeline run as the owner of resources: deleting the run deletes what it owns."""

import logging
import os
from typing import Any

from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import NotFoundError
from kfp_tabular.components.common.kubernetes.client.resource_kinds import POD

POD_NAME_VARIABLE = "KFP_POD_NAME"

_logger = logging.getLogger(__name__)


def reference(api: Api, namespace: str = "") -> dict[str, Any] | None:
    """Return an owner reference to the resource of the pipeline run.

    A task's pod is controlled by the run's Argo `Workflow`; KFP names the pod in `KFP_POD_NAME`
    (`backend/src/v2/compiler/argocompiler/common.go`).

    Args:
        api: Access to the cluster.
        namespace: The namespace of the owned resource; empty for that of the task.

    Returns:
        None outside a run, and for a resource in another namespace than the run: the garbage
        collector deletes resources whose owner is in another namespace.
    """
    pod_name = os.environ.get(POD_NAME_VARIABLE)
    if not pod_name:
        return None
    if namespace and namespace != api.namespace:
        _logger.warning(
            "The job is in namespace %r, the run in %r: deleting the run does not delete the job.",
            namespace,
            api.namespace,
        )
        return None
    try:
        pod = api.get(POD, pod_name)
    except NotFoundError:
        _logger.warning(
            "Pod %r (%s) not found: deleting the run will not delete the job.",
            pod_name,
            POD_NAME_VARIABLE,
        )
        return None
    for owner in pod["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            # Without `controller` and `blockOwnerDeletion`: the run does not control the job, and
            # blocking its deletion needs a permission on the run's finalizers.
            return {field: owner[field] for field in ("apiVersion", "kind", "name", "uid")}
    return None
