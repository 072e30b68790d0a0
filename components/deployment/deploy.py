"""Deploys a model that answers as it did when it was evaluated."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.golden_examples import Golden
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.storage.location import parse
from kfp_tabular.components.deployment.local import deployment_summary, model_repository

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What to deploy, and where.

    Attributes:
        model: A model artifact.
        golden_examples: The golden examples of its evaluation.
        summary: The Markdown page to write.
        model_name: The model's name in the repository and at the endpoint.
        model_repository: The repository: a path or `file://`; for `kserve` also a URI, or empty.
        backend: One of `BACKENDS`.
        model_uri: The model artifact's URI; for `kserve`.
        service: What the endpoint asks of the cluster; for `kserve`.
        run_id: The pipeline run; for `kserve`, may be empty.
    """

    model: Path
    golden_examples: Path
    summary: Path
    model_name: str
    model_repository: str
    backend: str = "local"
    model_uri: str = ""
    service: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = ""


@dataclass(frozen=True)
class Deployed:
    """Where a model went.

    Attributes:
        model_uri: What a server loads.
        version: Its version.
        new: Whether this deployment made it; else it was there already.
        endpoint: Where clients find it; empty for `local`.
        revision: What serves it; empty for `local`.
    """

    model_uri: str
    version: str
    new: bool
    endpoint: str = ""
    revision: str = ""


Backend = Callable[[Request], Deployed]
"""Verifies a model and makes it available. It changes nothing where it did so before."""


def run(request: Request) -> Deployed:
    """Verifies a model and deploys it.

    Raises:
        UserError: For arguments that are not fit, or inputs that do not fit one another.
        MismatchError: Where the model answers other than in its evaluation.
        RolloutError: Where an endpoint was rolled back; see `kserve.backend.run` for more.
    """
    backend = _backend(request.backend)
    model_repository.check_name(request.model_name)
    return backend(request)


def local_path(model_repository: str) -> Path:
    """Gives the repository's path.

    Args:
        model_repository: A path or `file://`.

    Raises:
        UserError: For an empty one or another scheme.
    """
    if not model_repository.strip():
        raise UserError("model_repository is empty; give the directory to publish models in.")
    location = parse(model_repository)
    if not location.is_local:
        raise UserError(
            f"model_repository: {model_repository!r} is not on this machine; backend 'local' "
            "publishes into a path or file://."
        )
    return location.path


def _local(request: Request) -> Deployed:
    # TensorFlow and numpy are only where a model is loaded.
    from kfp_tabular.components.deployment.local.golden_check import verify

    if request.service:
        raise UserError("service: only backend 'kserve' has an endpoint to be configured.")
    root = local_path(request.model_repository)
    golden = Golden.load(request.golden_examples)
    difference = verify(request.model, golden)
    _logger.info(
        "%d golden examples: answers differ from the evaluation's by at most %.2g",
        len(golden.instances),
        difference,
    )
    published = model_repository.publish(request.model, root, request.model_name)
    _logger.info("%s %s", "published" if published.new else "already published:", published.path)
    page = deployment_summary.markdown(
        deployment_summary.Facts(
            name=request.model_name,
            model_uri=str(published.path),
            version=str(published.version),
            new=published.new,
            compared=len(golden.instances),
            difference=difference,
            instance=golden.instances[0] if golden.instances else {},
        )
    )
    files.write_text(request.summary, page)
    return Deployed(str(published.path), str(published.version), published.new)


def _kserve(request: Request) -> Deployed:
    from kfp_tabular.components.deployment.kserve import backend

    deployed = backend.run(
        backend.Order(
            model=request.model,
            model_uri=request.model_uri or str(request.model),
            golden_examples=request.golden_examples,
            summary=request.summary,
            name=request.model_name,
            repository=request.model_repository,
            service=request.service,
            run_id=request.run_id,
        )
    )
    return Deployed(
        deployed.model_uri,
        deployed.version,
        deployed.new,
        deployed.endpoint,
        deployed.revision,
    )


BACKENDS: Mapping[str, Backend] = {"local": _local, "kserve": _kserve}


def _backend(name: str) -> Backend:
    if name not in BACKENDS:
        raise UserError(
            f"backend: {name!r} is unknown; available: {', '.join(BACKENDS)}."
            f"{closest(name, BACKENDS)}"
        )
    return BACKENDS[name]
