"""What a container needs of the tracking store: its folder or its server, and registered models."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import model_uri, open_registry
from kfp_tabular.components.common.registry.kubeflow_api import SCHEME as KUBEFLOW
from kfp_tabular.components.common.registry.port import RegistryAwayError
from kfp_tabular.components.common.registry.resolving import version_of
from kfp_tabular.components.common.storage.location import parse
from kfp_tabular.components.common.tracking import address as addresses
from kfp_tabular.components.common.tracking import resolve
from kfp_tabular.pipelines.local.containers.engine import Mount

_ARGUMENT = "tracking_uri"
_FORWARDED = "MLFLOW_TRACKING_"


@dataclass(frozen=True)
class RegistryAccess:
    """What a task sees of the store and of the models in it.

    Attributes:
        folder: The folder of an embedded store, which the task writes to; None for none.
        mounts: The folder, and the directories of the registered models that arguments name.
        environment: Variables to set.
        forwarded: Names of variables to forward: the address of a server and its login.
        is_remote: Whether the store is on a server.
    """

    folder: Path | None = None
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    forwarded: tuple[str, ...] = ()
    is_remote: bool = False


def of_task(parameters: Mapping[str, Any], environment: Mapping[str, str]) -> RegistryAccess:
    """Return what a task needs of the store; nothing unless it has an argument `tracking_uri`.

    Args:
        parameters: The task's input parameters.
        environment: The variables of this process, which say where the store is.

    Raises:
        UserError: If the store has no valid address.

    Example:
        >>> of_task({"data_uri": "/data"}, {"KFP_TABULAR_HOME": "/store"}).mounts
        ()
        >>> of_task({"tracking_uri": "none"}, {"KFP_TABULAR_HOME": "/store"}).mounts
        ()
    """
    given = parameters.get(_ARGUMENT)
    if not isinstance(given, str):
        return RegistryAccess()
    # Kubeflow's registry holds no runs: those go where the environment says.
    is_kubeflows = given.startswith(KUBEFLOW)
    found = resolve("" if is_kubeflows else given, environment)
    models = tuple(
        Mount(path, path) for path in _models(parameters, given if is_kubeflows else found.uri)
    )
    is_remote = is_kubeflows or found.kind == "server"
    forwarded = tuple(sorted(it for it in environment if it.startswith(_FORWARDED)))
    if found.kind != "embedded":
        return RegistryAccess(None, models, {}, forwarded if is_remote else (), is_remote)
    folder = found.database.parent
    folder.mkdir(parents=True, exist_ok=True)
    variables = {
        name: environment[name]
        for name in (addresses.SERVER_VARIABLE, addresses.HOME_VARIABLE)
        if environment.get(name)
    }
    mounts = (Mount(folder, folder, writable=True), *models)
    return RegistryAccess(folder, mounts, variables, forwarded if is_remote else (), is_remote)


def _models(parameters: Mapping[str, Any], registry_uri: str) -> list[Path]:
    """Return the directories on this machine of the registered models that arguments name."""
    named = _names(parameters)
    if not (named and registry_uri):
        return []
    # What is wrong with a name or the registry is for the task to say.
    try:
        registry = open_registry(registry_uri)
        versions = [version_of(name, registry) for name in named] if registry else []
        places = [parse(uri) for version in versions for uri in version.locations]
    except (UserError, RegistryAwayError):
        return []
    return list(dict.fromkeys(it.path for it in places if it.is_local and it.path.is_dir()))


def _names(parameters: Mapping[str, Any]) -> list[model_uri.ModelUri]:
    found = []
    baseline = parameters.get("baseline")
    if isinstance(baseline, str) and baseline and not model_uri.is_registered(baseline):
        baseline = f"{model_uri.SCHEME}{parameters.get('model_name', '')}@{baseline}"
    for value in (baseline, parameters.get("baseline_model_uri"), parameters.get("model")):
        if isinstance(value, str) and model_uri.is_registered(value):
            try:
                found.append(model_uri.parse(value))
            except UserError:
                continue
    return found
