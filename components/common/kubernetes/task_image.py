"""The image of the running task, which is also the default image of its jobs."""

import os

from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import NotFoundError
from kfp_tabular.components.common.kubernetes.client.resource_kinds import POD
from kfp_tabular.components.common.kubernetes.owner_reference import POD_NAME_VARIABLE

_KFP_CONTAINER = "main"
"""The container of a KFP task that runs the component's code; the other containers are Argo's."""


def task_image(api: Api) -> str:
    """Return the image that this task runs in; empty outside of a KFP pod.

    A job in the image of its task needs no configuration and runs the same version.

    Args:
        api: Access to the cluster.
    """
    name = os.environ.get(POD_NAME_VARIABLE, "")
    if not name:
        return ""
    try:
        pod = api.get(POD, name)
    except NotFoundError:
        return ""
    for container in pod["spec"]["containers"]:
        if container["name"] == _KFP_CONTAINER:
            return str(container["image"])
    return ""
