"""Backend `local`: publishes a model whose answers match its evaluation into a repository."""

import logging
from pathlib import Path

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage.location import parse
from kfp_tabular.components.deployment.deployment_request import (
    Deployment,
    DeploymentRequest,
    Tell,
    tell_nothing,
)
from kfp_tabular.components.deployment.local import deployment_summary, model_repository
from kfp_tabular.components.deployment.local.golden_check import largest_difference

_logger = logging.getLogger(__name__)


def run(request: DeploymentRequest, tell: Tell = tell_nothing) -> Deployment:
    """Verify a model and publish it as the newest version of its repository.

    Args:
        request: The model.
        tell: Takes the directory of the published model.

    Raises:
        UserError: If an option or an input does not fit.
        MismatchError: If the model's answers differ from those of its evaluation.

    Example:
        >>> from kfp_tabular.components.deployment.options import DeploymentOptions
        >>> options = DeploymentOptions(model_repository="/srv/models", service={"min_replicas": 2})
        >>> model, golden, summary = Path("model"), Path("golden"), Path("summary.md")
        >>> run(DeploymentRequest(model, golden, summary, options=options))
        Traceback (most recent call last):
        kfp_tabular.components.common.errors.UserError: service: applies to backend 'kserve' only;
        leave it empty for 'local'.
    """
    options = request.options
    if options.service:
        raise UserError("service: applies to backend 'kserve' only; leave it empty for 'local'.")
    root = local_path(options.model_repository)
    model_repository.check_writable(root, options.model_name)
    golden = GoldenExamples.load(request.golden_examples)
    difference = largest_difference(request.model, golden)
    _logger.info(
        "compared %d golden examples: answers differ from the evaluation by at most %.2g",
        len(golden.instances),
        difference,
    )
    published = model_repository.publish(
        request.model, root, options.model_name, options.signing_key
    )
    state = "published" if published.is_new else "already published:"
    _logger.info("%s %s", state, published.path)
    tell(str(published.path))
    page = deployment_summary.markdown(options.model_name, published, golden, difference)
    files.write_text(request.summary, page)
    return Deployment(str(published.path), str(published.version), published.is_new)


def local_path(repository: str) -> Path:
    """Return the directory of a repository.

    Args:
        repository: A path or a `file://` URI.

    Raises:
        UserError: If it is empty or on an object store.

    Example:
        >>> local_path("file:///srv/models").as_posix()
        '/srv/models'
    """
    if not repository.strip():
        raise UserError("model_repository is empty; backend 'local' publishes into a directory.")
    location = parse(repository)
    if not location.is_local:
        raise UserError(
            f"model_repository: {repository!r} is on an object store, but backend 'local' "
            "publishes into a path or file://. Use backend 'kserve' for object stores."
        )
    return location.path
