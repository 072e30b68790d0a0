"""Checks Python without running it: imports resolve, and called functions accept the arguments.

A program of its own, since examples belong to different environments. It reads a JSON list of
sources from standard input and writes a list of lists of problems:

    .venvs/tensorflow/bin/python tests/docs/python_names.py <sources.json
"""

import ast
import inspect
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

_UNKNOWN = object()


def problems(code: str, local: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield what is wrong with a piece of Python.

    Args:
        code: The source.
        local: Modules that the page itself defines, by their first part.
    """
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        yield f"not Python: {error}"
        return
    names: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _import(node, names, local)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = _resolve(node.value.func, names)
            for target in node.targets:
                if isinstance(target, ast.Name) and inspect.isclass(made):
                    names[target.id] = _Instance(made)
        if isinstance(node, ast.With):
            for item in node.items:
                made = isinstance(item.context_expr, ast.Call) and _resolve(
                    item.context_expr.func, names
                )
                if isinstance(item.optional_vars, ast.Name) and inspect.isclass(made):
                    names[item.optional_vars.id] = _Instance(made)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _resolve(node, names) is None:
            yield f"line {node.lineno}: {ast.unparse(node)} does not exist"
        if isinstance(node, ast.Call):
            function = _resolve(node.func, names)
            if function is not None and function is not _UNKNOWN:
                yield from _call(node, function)


class _Instance:
    """A stand-in for an object of a class, which was not created."""

    def __init__(self, kind: type) -> None:
        self.kind = kind


def _import(
    node: ast.Import | ast.ImportFrom, names: dict[str, Any], local: frozenset[str]
) -> Iterator[str]:
    given = [alias.name for alias in node.names]
    modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else given
    if {module.split(".")[0] for module in modules} & local:
        return
    try:
        exec(ast.unparse(node), names)
    except (ImportError, AttributeError) as error:
        yield f"line {node.lineno}: {ast.unparse(node)}: {error}"


def _resolve(node: ast.expr, names: dict[str, Any]) -> Any:
    """Return what an expression names; `_UNKNOWN` where it cannot be told, None where it is not."""
    if isinstance(node, ast.Name):
        return names.get(node.id, _UNKNOWN)
    if not isinstance(node, ast.Attribute):
        return _UNKNOWN
    owner = _resolve(node.value, names)
    if owner is _UNKNOWN or owner is None:
        return _UNKNOWN
    if isinstance(owner, _Instance):
        fields = getattr(owner.kind, "__annotations__", {})
        found = getattr(owner.kind, node.attr, _UNKNOWN if node.attr in fields else None)
        return found if callable(found) or found is None else _UNKNOWN
    if inspect.ismodule(owner) or inspect.isclass(owner):
        return getattr(owner, node.attr, None)
    return _UNKNOWN


def _call(node: ast.Call, function: Any) -> Iterator[str]:
    if any(isinstance(argument, ast.Starred) for argument in node.args):
        return
    keywords = {entry.arg: None for entry in node.keywords if entry.arg}
    whole = len(keywords) == len(node.keywords)
    where = f"line {node.lineno}: {ast.unparse(node.func)}"
    inputs = getattr(getattr(function, "component_spec", None), "inputs", None)
    if isinstance(inputs, dict):
        yield from (f"{where} has no argument {name!r}" for name in keywords.keys() - inputs.keys())
        return
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    given = [None] * len(node.args)
    if isinstance(node.func, ast.Attribute) and _is_method(function):
        given.insert(0, None)
    try:
        signature.bind(*given, **keywords) if whole else signature.bind_partial(*given, **keywords)
    except TypeError as error:
        yield f"{where}: {error}"


def _is_method(function: Any) -> bool:
    """Whether the first parameter is the object: a function that was found in its class."""
    if not inspect.isfunction(function):
        return False
    return next(iter(inspect.signature(function).parameters), "") == "self"


def main() -> None:
    """Check the sources on standard input."""
    asked = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what imports print is not part of the answer
    found = [list(problems(entry["code"], frozenset(entry["local"]))) for entry in asked]
    json.dump(found, answers)
    answers.flush()


if __name__ == "__main__":
    main()
