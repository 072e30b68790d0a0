"""Deploys a model, after checking that it answers as it did when it was evaluated."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment import repository, summary
from kfp_tabular.components.deployment.verify import Golden, verify

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What to deploy, and where.

    Attributes:
        model: A model artifact.
        golden_examples: The golden examples of its evaluation.
        summary: The Markdown page to write.
        model_name: The model's name in the repository and at the endpoint.
        model_repository: The repository: a path or `file://`.
        backend: One of `BACKENDS`.
    """

    model: Path
    golden_examples: Path
    summary: Path
    model_name: str
    model_repository: str
    backend: str = "local"


@dataclass(frozen=True)
class Deployed:
    """Where a model went.

    Attributes:
        model_uri: What a server loads.
        version: Its version.
        new: Whether this deployment made it; else it was there already.
    """

    model_uri: str
    version: str
    new: bool


Backend = Callable[[Request], Deployed]
"""Makes a model, already verified, available. It changes nothing where it did so before."""


def run(request: Request) -> Deployed:
    """Verifies a model and deploys it.

    Raises:
        UserError: For arguments that are not fit, or inputs that do not fit one another.
        MismatchError: Where the model answers other than in its evaluation.
    """
    backend = _backend(request.backend)
    repository.check_name(request.model_name)
    local_path(request.model_repository)
    golden = Golden.load(request.golden_examples)
    difference = verify(request.model, golden)
    _logger.info(
        "%d golden examples: answers differ from the evaluation's by at most %.2g",
        len(golden.instances),
        difference,
    )
    deployed = backend(request)
    files.write_text(
        request.summary,
        summary.markdown(
            summary.Facts(
                name=request.model_name,
                model_uri=deployed.model_uri,
                version=deployed.version,
                new=deployed.new,
                compared=len(golden.instances),
                difference=difference,
                instance=golden.instances[0] if golden.instances else {},
            )
        ),
    )
    return deployed


def local_path(model_repository: str) -> Path:
    """Gives the repository's path.

    Args:
        model_repository: A path or `file://`.

    Raises:
        UserError: For an empty one or another scheme.
    """
    if not model_repository.strip():
        raise UserError("model_repository is empty; give the directory to publish models in.")
    scheme = _SCHEME.match(model_repository)
    if scheme is None:
        return Path(model_repository).expanduser()
    if scheme.group().lower() != "file://":
        raise UserError(
            f"model_repository: {model_repository!r} is not on this machine; backend 'local' "
            "publishes into a path or file://."
        )
    return Path(unquote(urlsplit(model_repository).path))


def _local(request: Request) -> Deployed:
    published = repository.publish(
        request.model, local_path(request.model_repository), request.model_name
    )
    _logger.info("%s %s", "published" if published.new else "already published:", published.path)
    return Deployed(str(published.path), str(published.version), published.new)


BACKENDS: Mapping[str, Backend] = {"local": _local}


def _backend(name: str) -> Backend:
    if name not in BACKENDS:
        raise UserError(
            f"backend: {name!r} is not in this release; available: {', '.join(BACKENDS)}."
        )
    return BACKENDS[name]
