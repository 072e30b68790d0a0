"""Run-time parameters of a pipeline: from text or YAML to the types that the spec declares."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from kfp_tabular.components.common.errors import UserError, closest

if TYPE_CHECKING:
    from kfp.pipeline_spec import pipeline_spec_pb2

_EXPECTED = {
    "STRING": "text",
    "NUMBER_INTEGER": "a whole number",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a list, such as a,b or [1, 2]",
    "STRUCT": 'keys and values, such as {"train": 0.8, "test": 0.2}',
}

_OPTIONS = {"data_uri": "--data", "label": "--label"}


def types(spec: "pipeline_spec_pb2.PipelineSpec") -> dict[str, str]:
    """Gives a spec's parameters.

    Args:
        spec: A pipeline spec.

    Returns:
        By parameter: `STRING`, `NUMBER_INTEGER`, `NUMBER_DOUBLE`, `BOOLEAN`, `LIST` or `STRUCT`.
    """
    from kfp.pipeline_spec import pipeline_spec_pb2

    names = pipeline_spec_pb2.ParameterType.ParameterTypeEnum
    declared = spec.root.input_definitions.parameters
    return {name: names.Name(entry.parameter_type) for name, entry in declared.items()}


def key_values(pairs: Iterable[str]) -> dict[str, str]:
    """Gives the parameters of a command line.

    Args:
        pairs: Each `KEY=VALUE`; the value may hold further equals signs.

    Raises:
        UserError: For one that is not.
    """
    values = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise UserError(f"--param {pair!r}: expected KEY=VALUE.")
        values[key.strip()] = value
    return values


def convert(values: Mapping[str, Any], declared: Mapping[str, str]) -> dict[str, Any]:
    """Converts parameter values to the types that a pipeline declares.

    Args:
        values: By parameter: text, as from a command line, or what YAML holds.
        declared: The pipeline's parameters, as `types` gives them.

    Raises:
        UserError: For an unknown parameter (the message names the closest) or a value that does
            not fit.
    """
    converted = {}
    for name, value in values.items():
        if name not in declared:
            raise UserError(f"parameter {name!r} is unknown.{closest(name, declared)}")
        try:
            converted[name] = _CONVERTERS[declared[name]](value)
        except (TypeError, ValueError, yaml.YAMLError) as error:
            raise UserError(
                f"parameter {name!r}: expected {_EXPECTED[declared[name]]}, found {value!r}."
            ) from error
    return converted


def require(given: Collection[str], required: Iterable[str]) -> None:
    """Check that the parameters without a default are given.

    Args:
        given: The names of the parameters that are given.
        required: The names of those that must be.

    Raises:
        UserError: For the first that is missing.
    """
    for name in required:
        if name not in given:
            raise UserError(
                f"parameter {name!r} is required; give it in --param or --config"
                f"{f', or with {_OPTIONS[name]}' if name in _OPTIONS else ''}."
            )


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
    if isinstance(value, bool):
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
