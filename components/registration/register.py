"""The logic of `register_model`."""

import json
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files, options
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.errors import UserError, shown
from kfp_tabular.components.common.registry import (
    ModelVersion,
    Registry,
    VersionDraft,
    open_registry,
    promotion,
    verify,
)
from kfp_tabular.components.common.registry.port import CHALLENGER, RegistryAwayError
from kfp_tabular.components.registration import recording, version_documents
from kfp_tabular.components.registration.options import RegistrationOptions
from kfp_tabular.components.registration.version_documents import Registrable

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RegistrationRequest:
    """A model to register.

    Attributes:
        model: Directory of the model artifact.
        evaluation: Directory of its evaluation.
        golden_examples: Directory of its golden examples.
        summary: The Markdown page to write.
        training_logs: The training's, to record with the run; None for none.
        pages: The pages to record with the run, by the task that wrote them.
        model_uri: URI of the model artifact; empty for its directory.
        options: The arguments of the component.
    """

    model: Path
    evaluation: Path
    golden_examples: Path
    summary: Path
    training_logs: Path | None = None
    pages: Mapping[str, Path] = field(default_factory=dict)
    model_uri: str = ""
    options: RegistrationOptions = field(default_factory=RegistrationOptions)


def run(request: RegistrationRequest, registry: Registry | None = None) -> str:
    """Record the run of a model, and register the model if it is blessed; write the page.

    A model that is registered already under this name, by its digest, is not registered again, so
    the task can be retried.

    Args:
        request: The model.
        registry: The registry; None opens the one that the options name.

    Returns:
        The number of the version; empty if none was registered.

    Raises:
        UserError: If an input does not fit, or the registry refuses the login.
    """
    given = request.options
    options.check(given)
    run = recording.record_run(
        given, request.model, request.evaluation, request.training_logs, request.pages
    )
    if not given.blessed:
        return _end(request, "", "Not registered: evaluation did not bless the model.")
    try:
        found = registry or open_registry(given.tracking_uri)
        if found is None:
            return _end(request, "", "Not registered: no registry is in use (tracking_uri).")
        version = _registered(found, request, run)
    except RegistryAwayError as error:
        _logger.warning("warning [registry-away]: not registered: %s", error)
        return _end(request, "", f"Not registered: {error}. Register it later by running again.")
    text = f"Version {version.version} of {version.name}, challenger.\n\n    {version.uri}\n"
    return _end(request, version.version, text)


def _registered(registry: Registry, request: RegistrationRequest, run: str) -> ModelVersion:
    name = request.options.model_name
    found = read(request)
    if name in registry.names():
        for version in registry.versions(name):
            if version.digest == found.digest:
                _logger.info("%s holds this model already", version.uri)
                if found.location not in version.locations:
                    registry.locate(version, found.location)
                return version
    expects = _expected(registry, name, found.evaluation)
    with tempfile.TemporaryDirectory(prefix="kfp-tabular-") as folder:
        documents = Path(folder)
        version_documents.write(found, documents)
        facts = {**version_documents.facts(found), "expects": expects}
        if request.options.run_id:
            facts["pipeline_run"] = request.options.run_id
        version = registry.add(
            name, VersionDraft(found.digest, found.location, documents, facts, run)
        )
    registry.point(name, CHALLENGER, version.version)
    _logger.info("registered %s, challenger", version.uri)
    return version


def _expected(registry: Registry, name: str, evaluation: Any) -> str:
    """Return the champion that the model may replace: the one that it was compared with."""
    if name not in registry.names():
        return ""
    champion = promotion.standing(registry, name).champion
    compared = (evaluation.get("baseline") or {}).get("digest", "")
    if compared:
        same = [it.version for it in registry.versions(name) if it.digest == compared]
        if same and champion not in same:
            return same[0]
    return champion


def read(request: RegistrationRequest) -> Registrable:
    """Read what is to be registered.

    Raises:
        UserError: If an artifact is missing or damaged, or the evaluation is of another model.
    """
    digest = lineage.read(request.model)["digest"]
    verify(request.model, digest)
    file = request.evaluation / version_documents.EVALUATION_FILE
    try:
        evaluation = json.loads(file.read_text(encoding="utf-8"))
        measured = evaluation["model"]["digest"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{shown(file)}: not an evaluation: {error!r}.") from error
    if measured != digest:
        raise UserError(
            f"{shown(file)}: it is of another model ({measured}), not of {shown(request.model)} "
            f"({digest})."
        )
    return Registrable(
        model=request.model,
        location=request.model_uri or str(request.model.absolute()),
        digest=digest,
        spec=ModelSpec.load(request.model),
        golden=GoldenExamples.load(request.golden_examples),
        evaluation=evaluation,
    )


def _end(request: RegistrationRequest, version: str, text: str) -> str:
    _logger.info("%s", text.splitlines()[0])
    files.write_text(request.summary, f"# {request.options.model_name}\n\n{text}\n")
    return version
