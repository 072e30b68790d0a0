"""The interface of a component, from its KFP specification and its docstring."""

import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import docstring_parser

from kfp_tabular.pipelines.catalog.artifacts import format_of

_PARAMETER_TYPES = {
    "String": "str",
    "Integer": "int",
    "Float": "float",
    "Boolean": "bool",
    "Dict": "dict",
    "List": "list",
}
_SINGLE_OUTPUT = "Output"


@dataclass(frozen=True)
class Argument:
    """An input or an output.

    Attributes:
        name: The argument's name; `Output` for a component's only output parameter.
        type: A Python type for a parameter, KFP's class for an artifact.
        description: Its description in the docstring, on one line; may be empty.
        artifact: Whether it is an artifact.
        required: Whether a pipeline must give it.
        default: The default of an optional parameter, as Python writes it.
    """

    name: str
    type: str
    description: str
    artifact: bool
    required: bool = False
    default: str = ""


@dataclass(frozen=True)
class Interface:
    """The parts of a component's code that its page shows.

    Attributes:
        name: The component's name.
        summary: The docstring's first line.
        body: The rest of its text, Markdown.
        inputs: Parameters and artifacts, required ones first.
        outputs: Artifacts and parameters.
        raises: The exceptions, and when they are raised.
        problems: The problems of the documentation, a sentence each.
    """

    name: str
    summary: str
    body: str
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    raises: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


def read(component: Any) -> Interface:
    """Read a component's interface.

    Args:
        component: A component made with `dsl.component`.

    Example:
        >>> from kfp_tabular.components import ingest_data
        >>> first = read(ingest_data).inputs[0]
        >>> first.name, first.type, first.required
        ('data_uri', 'str', True)
    """
    spec = component.component_spec
    parsed = docstring_parser.parse(
        inspect.getdoc(component.python_func) or "", docstring_parser.DocstringStyle.GOOGLE
    )
    texts = {param.arg_name: _line(param.description) for param in parsed.params}
    texts |= _returned(
        parsed, [name for name, o in (spec.outputs or {}).items() if not _is_artifact(o.type)]
    )
    inputs = [
        _input(name, declared, texts.get(name, ""), spec.inputs[name])
        for name, declared in _declared(component, spec.inputs or {})
    ]
    outputs = [
        Argument(
            name=name,
            type=_type(output.type),
            description=texts.get(name, ""),
            artifact=_is_artifact(output.type),
        )
        for name, output in (spec.outputs or {}).items()
    ]
    raises = tuple((raised.type_name or "", _line(raised.description)) for raised in parsed.raises)
    return Interface(
        name=component.python_func.__name__,
        summary=parsed.short_description or "",
        body=parsed.long_description or "",
        inputs=tuple(sorted(inputs, key=lambda argument: not argument.required)),
        outputs=tuple(outputs),
        raises=raises,
        problems=tuple(_problems(parsed, [*inputs, *outputs], raises)),
    )


def _declared(component: Any, inputs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return each input's annotation, in the order of the function's arguments."""
    parameters = inspect.signature(component.python_func).parameters
    return [(name, parameters[name].annotation) for name in parameters if name in inputs]


def _input(name: str, declared: Any, text: str, spec: Any) -> Argument:
    artifact = _is_artifact(spec.type)
    return Argument(
        name=name,
        type=_type(spec.type),
        description=text,
        artifact=artifact,
        required=not spec.optional,
        default="" if artifact or not spec.optional else _literal(spec.default, declared),
    )


def _literal(value: Any, declared: Any) -> str:
    if declared is float:
        value = float(value)
    if isinstance(value, dict | list | str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


def _is_artifact(declared: str) -> bool:
    return "@" in declared


def _type(declared: str) -> str:
    """Return a KFP type as people write it.

    Example:
        >>> _type("system.Dataset@0.0.1"), _type("typing.Dict[str, float]")
        ('Dataset', 'dict')
    """
    plain = re.sub(r"\[.*\]$", "", declared.removeprefix("typing."))
    plain = plain.removeprefix("system.").partition("@")[0]
    return _PARAMETER_TYPES.get(plain, plain)


def _returned(parsed: docstring_parser.Docstring, names: Sequence[str]) -> dict[str, str]:
    """Return the descriptions of output parameters, from the section `Returns:`.

    A single output is described by the whole section; several have entries `name: text`.
    """
    # The parser takes the text before the first colon for a type.
    lines = "\n".join(
        ": ".join(part for part in (entry.type_name, entry.description) if part)
        for entry in parsed.many_returns
    ).splitlines()
    if list(names) == [_SINGLE_OUTPUT]:
        return {_SINGLE_OUTPUT: _line(" ".join(lines))}
    texts: dict[str, str] = {}
    current = ""
    for line in lines:
        name, colon, rest = line.strip().partition(":")
        if colon and name in names:
            current, line = name, rest  # noqa: PLW2901 - the line without its name
        texts[current] = _line(f"{texts.get(current, '')} {line}")
    return {name: text for name, text in texts.items() if name in names}


def _problems(
    parsed: docstring_parser.Docstring,
    arguments: Iterable[Argument],
    raises: Iterable[tuple[str, str]],
) -> list[str]:
    known = {argument.name for argument in arguments}
    problems = [
        f"{'output' if argument.name == _SINGLE_OUTPUT else 'argument'} {argument.name!r} has no "
        "description"
        for argument in arguments
        if not argument.description
    ]
    problems += [
        f"the docstring describes {param.arg_name!r}, which is not an argument"
        for param in parsed.params
        if param.arg_name not in known
    ]
    problems += [
        f"the format of the artifact {argument.name!r} is not in pipelines/catalog/artifacts.py"
        for argument in arguments
        if argument.artifact and format_of(argument.name, argument.type) is None
    ]
    if not parsed.short_description:
        problems.append("the docstring is missing")
    if not any(text for _, text in raises):
        problems.append("the docstring does not describe what is raised")
    return problems


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
