"""Deploys a registered version again: `python -m kfp_tabular.components.deployment.redeploy`.

The command line runs this in the serving environment to promote a version or to roll back. The
rollout is that of `deploy_model`, with the same checks.
"""

import json
import logging
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import options
from kfp_tabular.components.common.errors import UserError, reported_to_user
from kfp_tabular.components.common.registry import open_registry, opened
from kfp_tabular.components.common.registry.resolving import of_version
from kfp_tabular.components.deployment import deploy
from kfp_tabular.components.deployment.deployment_request import Deployment, DeploymentRequest
from kfp_tabular.components.deployment.options import DeploymentOptions
from kfp_tabular.components.deployment.promoting import Cause


@dataclass(frozen=True)
class Redeployment:
    """A version to deploy again.

    Attributes:
        name: The registered model.
        version: The number of the version.
        tracking_uri: The registry.
        reason: `promote` or `rollback`.
        by: Who wants it.
        expects: The champion that it replaces; empty for none.
        deployment: `backend`, `model_repository`, `service` and `signing_key` of `deploy_model`.
    """

    name: str
    version: str
    tracking_uri: str
    reason: str
    by: str
    expects: str
    deployment: Mapping[str, Any]


def run(wanted: Redeployment) -> Deployment:
    """Deploy a version, and make it champion.

    Args:
        wanted: The version.

    Raises:
        UserError: If the version is gone or damaged, or the champion moved.
    """
    registry = open_registry(wanted.tracking_uri)
    if registry is None:
        raise UserError("No registry is in use. Name one with --tracking-uri.")
    version = registry.version(wanted.name, wanted.version)
    given = options.build(
        DeploymentOptions,
        {
            **wanted.deployment,
            "model_name": wanted.name,
            "registered_version": wanted.version,
            "tracking_uri": wanted.tracking_uri,
        },
    )
    resolved = of_version(version)
    with (
        tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder,
        opened(resolved) as model,
    ):
        request = DeploymentRequest(
            model=model,
            golden_examples=registry.documents(version, Path(folder)),
            summary=Path(folder) / "summary.md",
            model_uri=resolved.uri,
            options=given,
        )
        return deploy.run(request, registry, Cause(wanted.by, wanted.reason, wanted.expects))


def main() -> None:
    """Read a `Redeployment` as JSON from the input; print the deployment as JSON.

    Raises:
        SystemExit: With code 2 for a version that cannot be deployed.
    """
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.INFO)
    with reported_to_user():
        deployed = run(Redeployment(**json.load(sys.stdin)))
        sys.stdout.write(json.dumps(vars(deployed)) + "\n")


if __name__ == "__main__":
    main()
