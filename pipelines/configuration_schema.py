"""The JSON schema of a pipeline's configuration, derived from the dataclasses that parse it."""

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, get_args, get_origin

import docstring_parser

from kfp_tabular.components.common.documents import NotAllowedError
from kfp_tabular.pipelines import parameters
from kfp_tabular.pipelines.configuration import IMAGES, PipelineConfig, TaskConfig
from kfp_tabular.pipelines.definition import PipelineDefinition

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

# YAML reads `cpu: 4` and `tag: 1.0` as numbers; the parser takes them for text.
_SCALARS: Mapping[Any, Any] = {
    str: ["string", "number"],
    int: "integer",
    float: "number",
    bool: "boolean",
}
_PARAMETERS: Mapping[str, Any] = {
    "text": ["string", "number"],
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "list": ["array", "string"],
    "mapping": ["object", "string"],
}

_UNLIKELY = "\0"
"""A value that no list of allowed values has."""


def build(pipeline: PipelineDefinition) -> dict[str, Any]:
    """Return the JSON schema of the configuration of a pipeline.

    Args:
        pipeline: The pipeline; its tasks and parameters are keys of the configuration.

    Example:
        >>> from kfp_tabular.pipelines.registry import find
        >>> schema = build(find("validation"))
        >>> list(schema["properties"]["tasks"]["properties"])
        ['ingest-data', 'validate-data']
    """
    schema = _of_dataclass(PipelineConfig)
    properties = schema["properties"]
    task = _of_dataclass(TaskConfig)
    properties["tasks"] |= _closed({name: {"$ref": "#/$defs/task"} for name in pipeline.tasks})
    properties["defaults"] = {
        "$ref": "#/$defs/task",
        "description": properties["defaults"]["description"],
    }
    properties["images"] |= _closed({name: {"type": "string"} for name in IMAGES})
    declared = {
        entry.name: (
            {"type": _PARAMETERS[entry.type], "description": entry.meaning},
            {} if entry.required else {"default": entry.default},
        )
        for entry in parameters.describe(pipeline.builder(PipelineConfig()))
    }
    properties["parameters"] |= _closed(
        {name: entry | default for name, (entry, default) in declared.items()}
    )
    properties["locked"] |= _closed({name: entry for name, (entry, _) in declared.items()})
    return {
        "$schema": _DIALECT,
        "title": f"Configuration of the pipeline {pipeline.name}",
        **schema,
        "$defs": {"task": task},
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _of_dataclass(kind: type) -> dict[str, Any]:
    descriptions = _descriptions(kind)
    properties = {}
    required = []
    for field in dataclasses.fields(kind):
        entry = _of_type(field.type)
        allowed = _allowed(field)
        if allowed:
            # Empty text counts as left out.
            entry["enum"] = [*allowed, *([""] if field.default == "" else [])]
        if field.name in descriptions:
            entry["description"] = descriptions[field.name]
        if isinstance(field.default, str | int | float) and field.default != "":
            entry["default"] = field.default
        missing = dataclasses.MISSING
        if field.default is missing and field.default_factory is missing:
            required.append(field.name)
        properties[field.name] = entry
    schema = _closed(properties)
    return {**schema, "required": required} if required else schema


def _of_type(kind: Any) -> dict[str, Any]:
    if isinstance(kind, types.UnionType):
        inner = _of_type(next(entry for entry in get_args(kind) if entry is not types.NoneType))
        return {"anyOf": [inner, {"type": "null"}]}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _of_type(get_args(kind)[0])}
    if get_origin(kind) is Mapping:
        return {"type": "object", "additionalProperties": _of_type(get_args(kind)[1])}
    if dataclasses.is_dataclass(kind):
        return _of_dataclass(kind)  # type: ignore[arg-type]
    return {"type": _SCALARS[kind]} if kind in _SCALARS else {}


def _allowed(field: "dataclasses.Field[Any]") -> tuple[str, ...]:
    check = field.metadata.get("check")
    if check is None or field.type is not str:
        return ()
    try:
        check(_UNLIKELY)
    except NotAllowedError as error:
        return error.allowed
    except ValueError:
        pass
    return ()


def _descriptions(kind: type) -> dict[str, str]:
    """Return the meaning of each attribute, from the docstrings of a class and its bases."""
    found: dict[str, str] = {}
    for entry in reversed(kind.__mro__[:-1]):
        parsed = docstring_parser.parse(entry.__doc__ or "", docstring_parser.DocstringStyle.GOOGLE)
        found |= {
            param.arg_name: " ".join((param.description or "").split()) for param in parsed.params
        }
    return found
