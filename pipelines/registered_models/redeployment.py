"""Promotion and rollback from the command line, in the serving environment."""

import getpass
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common import images
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import Registry, promotion
from kfp_tabular.pipelines.environments.location import Environments
from kfp_tabular.pipelines.environments.module_run import ModuleFailedError, run_module

_MODULE = "kfp_tabular.components.deployment.redeploy"
_DEPLOYMENT = "deployment"


@dataclass(frozen=True)
class DeployedVersion:
    """A version that was deployed again.

    Attributes:
        version: Its number in the registry.
        replaced: The champion before; empty for none.
        model_uri: What the endpoint loads.
        endpoint: URL of the endpoint; empty for a local one.
    """

    version: str
    replaced: str
    model_uri: str
    endpoint: str


def rollback_target(registry: Registry, name: str) -> str:
    """Return the version that a rollback goes back to: the champion before.

    Raises:
        UserError: If there was none.
    """
    standing = promotion.standing(registry, name)
    if not standing.previous:
        what = (
            f"version {standing.champion} is its first champion"
            if standing.champion
            else ("it has no champion yet")
        )
        raise UserError(f"{name}: nothing to roll back to: {what}.")
    return standing.previous


def deployment_of(registry: Registry, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a model is deployed: as its champion was, with changes.

    Args:
        registry: The registry.
        name: The model.
        changes: Arguments of `deploy_model` that differ; empty values are ignored.

    Raises:
        UserError: If nothing tells where to.
    """
    from kfp_tabular.components.common.registry import promotion_log

    found: dict[str, Any] = {}
    for made in promotion_log.standing(registry.records(name)).promotions:
        found = json.loads(made.facts.get(_DEPLOYMENT) or "{}") or found
    found |= {key: value for key, value in changes.items() if value}
    if not found.get("model_repository") and found.get("backend", "local") == "local":
        raise UserError(
            f"{name}: no rollout of it is recorded, so where to deploy it is not known. Give "
            "--model-repository."
        )
    return found


def deploy(
    registry: Registry, name: str, version: str, reason: str, deployment: Mapping[str, Any]
) -> DeployedVersion:
    """Deploy a version through the verified rollout, and make it champion.

    Raises:
        UserError: If the version cannot be deployed; one line that says why.
    """
    expects = promotion.head(registry, name)
    document = {
        "name": name,
        "version": version,
        "tracking_uri": registry.address,
        "reason": reason,
        "by": f"{getpass.getuser()}@{platform.node()}",
        "expects": expects,
        "deployment": dict(deployment),
    }
    python = Environments.find().python(images.SERVING)
    try:
        printed = run_module(python, _MODULE, given=json.dumps(document))
    except (UserError, ModuleFailedError) as error:
        raise UserError(f"{name}: version {version} was not deployed: {error}") from error
    told: Mapping[str, Any] = json.loads(printed.splitlines()[-1])
    return DeployedVersion(version, expects, told["model_uri"], told["endpoint"])
