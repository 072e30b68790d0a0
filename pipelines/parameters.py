"""Run-time parameters of a pipeline: their declarations, and values from text or YAML."""

import datetime
import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from kfp_tabular.components.common.errors import UserError, closest

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent
    from kfp.pipeline_spec import pipeline_spec_pb2

_EXPECTED = {
    "STRING": "text",
    "NUMBER_INTEGER": "a whole number",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a list, such as a,b or [1, 2]",
    "STRUCT": 'keys and values, such as {"train": 0.8, "test": 0.2}',
}

_TYPES = {
    "STRING": "text",
    "NUMBER_INTEGER": "integer",
    "NUMBER_DOUBLE": "number",
    "BOOLEAN": "boolean",
    "LIST": "list",
    "STRUCT": "mapping",
}

_QUOTE = "the date {}; put it in quotes to make it text"
_MOST_SHOWN = 100
# A spec keeps numbers as floats of 64 bits; beyond this, not every whole number is one.
_LARGEST_INTEGER = 2**53

_OPTIONS = {"data_uri": "--data", "label": "--label"}


@dataclass(frozen=True)
class Parameter:
    """A run-time parameter of a pipeline.

    Attributes:
        name: Its name.
        type: `text`, `integer`, `number`, `boolean`, `list` or `mapping`.
        required: Whether it has no default.
        default: Its default; None for a required one. Of a locked one, the value that it has.
        meaning: What it does.
        locked: Whether the configuration fixes its value, so that runs do not have it.
    """

    name: str
    type: str
    required: bool
    default: Any
    meaning: str
    locked: bool = False


def describe(pipeline: "GraphComponent") -> list[Parameter]:
    """Return the parameters of a pipeline in the order of its signature.

    Args:
        pipeline: A function decorated with `@dsl.pipeline`; its docstring has the meanings.

    Example:
        >>> from kfp_tabular.pipelines.training.pipeline import training_pipeline
        >>> label = describe(training_pipeline)[1]
        >>> label.name, label.type, label.required
        ('label', 'text', True)
    """
    declared = types(pipeline.pipeline_spec)
    return [
        Parameter(
            name=name,
            type=_TYPES[declared[name]],
            required=not entry.optional,
            default=entry.default,
            meaning=" ".join((entry.description or "").split()),
        )
        for name, entry in (pipeline.component_spec.inputs or {}).items()
        if name in declared
    ]


def types(spec: "pipeline_spec_pb2.PipelineSpec") -> dict[str, str]:
    """Return KFP's type name of each parameter that a pipeline spec declares.

    Args:
        spec: A pipeline spec.

    Returns:
        By parameter: `STRING`, `NUMBER_INTEGER`, `NUMBER_DOUBLE`, `BOOLEAN`, `LIST` or `STRUCT`.

    Example:
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> declared = types(validation_pipeline.pipeline_spec)
        >>> declared["label"], declared["split_keys"], declared["split_fractions"]
        ('STRING', 'LIST', 'STRUCT')
    """
    from kfp.pipeline_spec import pipeline_spec_pb2

    names = pipeline_spec_pb2.ParameterType.ParameterTypeEnum
    declared = spec.root.input_definitions.parameters
    return {name: names.Name(entry.parameter_type) for name, entry in declared.items()}


def key_values(pairs: Iterable[str]) -> dict[str, str]:
    """Return the parameters of a command line by name.

    Args:
        pairs: Each `KEY=VALUE`; the value may hold further equals signs.

    Raises:
        UserError: For one that is not `KEY=VALUE`.

    Example:
        >>> key_values(["epochs=3", "csv_delimiter=="])
        {'epochs': '3', 'csv_delimiter': '='}
    """
    values = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise UserError(f"--param {pair!r}: expected KEY=VALUE.")
        values[key.strip()] = value
    return values


def convert(
    values: Mapping[str, Any], declared: Mapping[str, str], source: str = ""
) -> dict[str, Any]:
    """Convert parameter values to the types that a pipeline declares.

    Args:
        values: By parameter: text from a command line, or a value from YAML.
        declared: The pipeline's parameters, as `types` returns them.
        source: How an error begins, such as `training.yaml: `.

    Raises:
        UserError: For an unknown parameter (the message names the closest), or a value that does
            not fit or that no spec can hold, such as a date, NaN or a whole number above 2^53.

    Example:
        >>> convert({"exclude": "a,b"}, {"exclude": "LIST"})
        {'exclude': ['a', 'b']}
    """
    converted = {}
    for name, value in values.items():
        if name not in declared:
            raise UserError(
                f"{source}parameter {name!r} is unknown.{closest(name, declared)} "
                "'kfp-tabular params' lists the pipeline's parameters."
            )
        try:
            converted[name] = _CONVERTERS[declared[name]](value)
        except (TypeError, ValueError, OverflowError, yaml.YAMLError) as error:
            raise UserError(
                f"{source}parameter {name!r}: expected {_EXPECTED[declared[name]]}, "
                f"found {_found(value)}."
            ) from error
        problem = _not_in_spec(converted[name])
        if problem:
            raise UserError(f"{source}parameter {name!r}: {problem}.")
    return converted


def has_null(value: Any) -> bool:
    """Whether a value has a null in it, which a run's arguments may have and a default may not.

    Example:
        >>> has_null({"a": [1, None]}), has_null({"a": ""})
        (True, False)
    """
    if isinstance(value, Mapping):
        return any(map(has_null, value.values()))
    return any(map(has_null, value)) if isinstance(value, list) else value is None


def require(given: Collection[str], required: Iterable[str]) -> None:
    """Check that the parameters without a default are given.

    Args:
        given: The names of the parameters that are given.
        required: The names of those that must be.

    Raises:
        UserError: For the first that is missing.

    Example:
        >>> require({"data_uri"}, ["data_uri", "label"])
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: parameter 'label' is required; give it in
        --param or --config, or with --label.
    """
    for name in required:
        if name not in given:
            raise UserError(
                f"parameter {name!r} is required; give it in --param or --config"
                f"{f', or with {_OPTIONS[name]}' if name in _OPTIONS else ''}."
            )


def _found(value: Any) -> str:
    if value is None:
        return "nothing"
    return _QUOTE.format(value) if isinstance(value, datetime.date) else _cut(repr(value))


def _not_in_spec(value: Any) -> str:
    """Return why a spec, or the arguments of a run, cannot hold a value; empty if they can."""
    if isinstance(value, Mapping):
        keys = (
            f"the key {_cut(repr(key))} is not text; put it in quotes"
            for key in value
            if not isinstance(key, str)
        )
        return next(keys, "") or _not_in_spec([*value, *value.values()])
    if isinstance(value, list):
        return next(filter(None, map(_not_in_spec, value)), "")
    if isinstance(value, datetime.date):
        return f"it has {_QUOTE.format(value)}"
    return _not_in_json(value)


def _not_in_json(value: Any) -> str:
    """Return what keeps a single value out of JSON; empty for nothing."""
    if isinstance(value, str):
        is_unicode = not any("\ud800" <= character <= "\udfff" for character in value)
        return "" if is_unicode else f"{_cut(repr(value))} has a character that UTF-8 cannot hold"
    if isinstance(value, int):
        is_exact = abs(value) <= _LARGEST_INTEGER
        return "" if is_exact else f"{_cut(str(value))} is too large; at most {_LARGEST_INTEGER}"
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{value} is not a finite number"
    return "" if value is None else f"{type(value).__name__} is not a type of JSON"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise TypeError


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(float(value)):
        raise TypeError
    return float(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in ("true", "false"):
        raise ValueError
    return str(value).lower() == "true"


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("["):
            return [part.strip() for part in text.split(",") if part.strip()]
        value = _parse(text)
    if not isinstance(value, list):
        raise TypeError
    return value


def _struct(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = _parse(value) if value.strip() else {}
    if not isinstance(value, dict):
        raise TypeError
    return value


def _parse(text: str) -> Any:
    # JSON first: YAML reads some of it otherwise (1e-05 as text, escaped surrogates apart).
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return yaml.safe_load(text)


_CONVERTERS = {
    "STRING": _text,
    "NUMBER_INTEGER": _integer,
    "NUMBER_DOUBLE": _number,
    "BOOLEAN": _boolean,
    "LIST": _list,
    "STRUCT": _struct,
}
