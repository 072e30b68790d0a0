"""Opens a registry by its address."""

import os

from kfp_tabular.components.common.registry.kubeflow_api import SCHEME
from kfp_tabular.components.common.registry.kubeflow_registry import KubeflowRegistry
from kfp_tabular.components.common.registry.mlflow_registry import MlflowRegistry
from kfp_tabular.components.common.registry.port import Registry
from kfp_tabular.components.common.tracking import address, embedded_store, mlflow_client

_TOKEN = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - the name of a variable


def open_registry(uri: str = "", *, by_default: bool = False) -> Registry | None:
    """Open the registry.

    Args:
        uri: The address of Kubeflow's Model Registry (`model-registry+http://...`), or of the
            tracking store: an MLflow server, a file (`sqlite:///...`), or `none`. Empty:
            `MLFLOW_TRACKING_URI`, or the embedded store.
        by_default: Whether the embedded store is below the current folder where `KFP_TABULAR_HOME`
            is not set.

    Returns:
        The registry; None if there is none.

    Raises:
        UserError: If the address is none of these, or the file cannot be written.

    Example:
        >>> open_registry("none") is None
        True
    """
    if uri.startswith(SCHEME):
        return KubeflowRegistry(uri, os.environ.get(_TOKEN, ""))
    found = address.resolve(uri, by_default=by_default)
    if found.kind == address.NONE:
        return None
    if found.kind == "embedded":
        embedded_store.ensure(found)
    return MlflowRegistry(mlflow_client.connect(found.uri), found.uri, found.artifacts)
