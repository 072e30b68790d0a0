"""Checks of YAML, by the parser that the document is for."""

import dataclasses
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from kfp_tabular.components import COMPONENTS
from kfp_tabular.components.common import options
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import processing_settings
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.deployment.kserve.resources.service_settings import ServiceSettings
from kfp_tabular.components.evaluation import blessing
from kfp_tabular.components.feature_engineering.features import feature_config as features
from kfp_tabular.components.tuning.search import search_space
from kfp_tabular.pipelines import configuration, parameters, registry
from tests.cluster import core_models
from tests.docs.pages import Block

_SERVICE = {field.name for field in dataclasses.fields(ServiceSettings)}
_KUSTOMIZATION = {"apiVersion", "kind", "namespace", "resources", "components", "patches", "images"}
_CONTAINER = {"securityContext", "resources", "env"}


def problems(block: Block) -> Iterator[str]:
    """Yield what is wrong with a YAML block."""
    try:
        found = list(yaml.safe_load_all(block.code))
    except yaml.YAMLError as error:
        yield f"not YAML: {error}"
        return
    for document in found:
        if not isinstance(document, dict) or not document:
            yield "not a mapping"
            continue
        try:
            yield from _document(document, block)
        except UserError as error:
            yield str(error)


def parameter_problems(values: Mapping[str, Any], pipeline: str = "training") -> Iterator[str]:
    """Yield what is wrong with values of a registered pipeline's parameters."""
    try:
        converted = parameters.convert(values, declared(pipeline))
        for name, value in converted.items():
            if name in _PARAMETERS:
                _PARAMETERS[name](value)
        for kind in _option_classes():
            yield from options.problems(options.build(kind, converted))
    except UserError as error:
        yield str(error)


@cache
def declared(pipeline: str) -> dict[str, str]:
    """Return the types of a registered pipeline's parameters."""
    definition = registry.PIPELINES[pipeline]
    return parameters.types(definition.build(configuration.PipelineConfig()).pipeline_spec)


@cache
def _option_classes() -> list[type]:
    """Return the options of each component that needs none to be given."""
    found = []
    for folder in COMPONENTS.values():
        name = f"kfp_tabular.components.{folder}.options"
        if importlib.util.find_spec(name) is not None:
            module = importlib.import_module(name)
            found += [
                kind
                for kind in vars(module).values()
                if dataclasses.is_dataclass(kind)
                and kind.__module__ == name
                and not any(
                    field.default is field.default_factory is dataclasses.MISSING
                    for field in dataclasses.fields(kind)
                )
            ]
    return found


def _document(document: dict[str, Any], block: Block) -> Iterator[str]:
    keys = set(document)
    if "apiVersion" in keys:
        yield from _kubernetes(document)
    elif keys <= _CONTAINER:
        container = {"name": "shown", **document}
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}
        yield from core_models.problems(pod)
    elif keys == {"job"}:
        JobSettings.parse(document["job"], block.name)
    elif keys <= declared("training").keys():
        yield from parameter_problems(document)
    elif "engine" in keys:
        processing_settings.parse(document)
    elif keys <= _SERVICE:
        ServiceSettings.parse(document, block.name)
    else:
        found = {name: list(_configuration(document, name)) for name in registry.PIPELINES}
        if all(found.values()):
            yield from found["training"]


def _configuration(document: dict[str, Any], pipeline: str) -> Iterator[str]:
    definition = registry.PIPELINES[pipeline]
    try:
        parsed = configuration.parse(document, "configuration", list(definition.tasks))
        definition.build(parsed)
    except UserError as error:
        yield str(error)
        return
    yield from parameter_problems(parsed.parameters, pipeline)


def _kubernetes(document: dict[str, Any]) -> Iterator[str]:
    if document.get("kind") is None:
        yield "no kind"
    elif document["kind"] == "Kustomization":
        yield from (
            f"Kustomization: unknown field {key}" for key in document.keys() - _KUSTOMIZATION
        )
    elif core_models.model(document) is None:
        yield f"{document['apiVersion']}, {document['kind']}: not a kind that these tests know"
    else:
        yield from core_models.problems(document)


def _thresholds(argument: str) -> Callable[[Mapping[str, Any]], object]:
    def check(value: Mapping[str, Any]) -> None:
        slicings = [
            bound["slice"]
            for bounds in value.values()
            for bound in (bounds if isinstance(bounds, list) else [bounds])
            if "slice" in bound
        ]
        blessing.parse_bounds(value, "binary", slicings, argument=argument)

    return check


def _feature_config(value: Mapping[str, Any]) -> None:
    for name, parsed in features.parse(value, list(value)).items():
        if parsed.kind is None and not any(
            parsed.options.keys() <= set(taken) for taken in features.OPTIONS.values()
        ):
            raise UserError(f"feature_config: {name!r}: no kind takes {sorted(parsed.options)}")


_PARAMETERS: dict[str, Callable[[Any], object]] = {
    "training_job": JobSettings.parse,
    "trial_job": JobSettings.parse,
    "service": ServiceSettings.parse,
    "search_space": search_space.parse,
    "thresholds": _thresholds("thresholds"),
    "change_thresholds": _thresholds("change_thresholds"),
    "feature_config": _feature_config,
}
