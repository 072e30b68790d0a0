"""Deployment of a verified model: checks the options, then calls the backend they name."""

from collections.abc import Callable, Mapping

from kfp_tabular.components.common import options
from kfp_tabular.components.common.registry import Registry
from kfp_tabular.components.deployment.deployment_request import (
    Deployment,
    DeploymentRequest,
    Tell,
)
from kfp_tabular.components.deployment.options import KSERVE, LOCAL
from kfp_tabular.components.deployment.promoting import Cause, promoted

Backend = Callable[[DeploymentRequest, Tell], Deployment]
"""Verifies a model and makes it available. Changes nothing where it is available already."""


def run(
    request: DeploymentRequest, registry: Registry | None = None, cause: Cause | None = None
) -> Deployment:
    """Verify a model and deploy it; a registered version becomes champion then.

    Args:
        request: The model, and how to deploy it.
        registry: The registry; None opens the one that the options name.
        cause: Why the version is promoted; None for a pipeline run.

    Raises:
        UserError: If an option does not fit, or the inputs do not fit one another.
        MismatchError: If the model's answers differ from those of its evaluation.
        RolloutError: If an endpoint was rolled back; see `kserve.backend.run` for more.
    """
    options.check(request.options)
    with promoted(request, registry, cause) as tell:
        return BACKENDS[request.options.backend](request, tell)


def _local(request: DeploymentRequest, tell: Tell) -> Deployment:
    # The two backends run in different images, so each is imported only where it is used.
    from kfp_tabular.components.deployment.local import backend

    return backend.run(request, tell)


def _kserve(request: DeploymentRequest, tell: Tell) -> Deployment:
    from kfp_tabular.components.deployment.kserve import backend

    return backend.run(request, tell=tell)


BACKENDS: Mapping[str, Backend] = {LOCAL: _local, KSERVE: _kserve}
