"""A deployment of a registered version: it is verified first, and champion afterwards."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import (
    Registry,
    open_registry,
    promotion,
    verify,
    verify_listed,
)
from kfp_tabular.components.common.registry.port import ModelVersion
from kfp_tabular.components.deployment.deployment_request import (
    DeploymentRequest,
    Tell,
    tell_nothing,
)
from kfp_tabular.components.deployment.options import DeploymentOptions

DEPLOYMENT = "deployment"
"""The fact of a promotion that says how the version was deployed, so that it can be repeated."""

BY, REASON = "by", "reason"

# What MLflow allows for one fact.
_LONGEST = 5000


@dataclass(frozen=True)
class Cause:
    """Why a version is promoted, for the history.

    Attributes:
        by: The run or person.
        reason: `run`, `promote` or `rollback`.
        expects: The champion that it may replace: the one that it was compared with. None for
            whichever it is.
    """

    by: str
    reason: str = "run"
    expects: str | None = None


@contextmanager
def promoted(
    request: DeploymentRequest, registry: Registry | None = None, cause: Cause | None = None
) -> Iterator[Tell]:
    """Make a registered version champion if the block, its rollout, succeeds.

    Without a registered version, check the model by its own list of digests only.

    Args:
        request: The deployment.
        registry: The registry; None opens the one that the options name.
        cause: Why; None for a run that was compared with the champion at its registration.

    Yields:
        Records where the model is, before the endpoint loads it: its storage initializer may ask
        the registry.

    Raises:
        UserError: If the model's bytes are not those of the version, or the champion moved.
    """
    options = request.options
    if not options.registered_version:
        verify_listed(request.model)
        yield tell_nothing
        return
    opened = open_registry(options.tracking_uri) if registry is None else registry
    if opened is None:
        raise UserError(
            f"registered_version: {options.registered_version!r}, but tracking_uri names no "
            "registry."
        )
    version = opened.version(options.model_name, options.registered_version)
    verify(request.model, version.digest)

    def tell(uri: str) -> None:
        if uri not in version.locations:
            opened.locate(version, uri)

    why = cause or Cause(options.run_id, expects=version.facts.get("expects", ""))
    if why.reason == "run" and is_champion(opened, version):
        # A retry of this task: the endpoint is checked again, and the aliases stay.
        yield tell
        return
    facts = {BY: why.by, REASON: why.reason, DEPLOYMENT: _repeatable(options)}
    with promotion.rollout(opened, version, why.expects, facts):
        yield tell


def is_champion(registry: Registry, version: ModelVersion) -> bool:
    """Whether a version is the champion already."""
    return promotion.standing(registry, version.name).champion == version.version


def _repeatable(options: DeploymentOptions) -> str:
    """Return the arguments with which a rollback deploys again; empty if they are too long."""
    given: Mapping[str, Any] = {
        "backend": options.backend,
        "model_repository": options.model_repository,
        "service": dict(options.service),
        "signing_key": options.signing_key,
    }
    text = json.dumps(given, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= _LONGEST else ""
