"""The source of lightweight Python components of other packages, which travels in the spec.

Argo stores it nine times in the Workflow. Components of this project have none in the spec.
"""

import ast
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kfp.pipeline_spec import pipeline_spec_pb2

_WRITES_SOURCE = '"$program_path/ephemeral_component.py"'
"""Part of KFP's command; the part after it is the source."""

_FUNCTION = "--function_to_execute"


def remove_docstrings(pipeline: "pipeline_spec_pb2.PipelineSpec") -> None:
    """Take the docstrings of lightweight components' functions out of a spec.

    The function runs as before, since nothing but itself could read its docstring there; one that
    does, by `__doc__`, keeps it. Docstrings of what is defined inside the function stay: some
    libraries read those.

    Args:
        pipeline: The pipeline spec; changed in place.
    """
    # Reading a field that is not there would add it.
    if "executors" not in pipeline.deployment_spec:
        return
    for executor in pipeline.deployment_spec["executors"].fields.values():
        container = executor.struct_value.fields.get("container")
        if container is None or not {"command", "args"} <= set(container.struct_value.fields):
            continue
        command = container.struct_value.fields["command"].list_value.values
        given = container.struct_value.fields["args"].list_value.values
        arguments = [entry.string_value for entry in given]
        for shell, source in itertools.pairwise(command):
            if _WRITES_SOURCE in shell.string_value and _FUNCTION in arguments[:-1]:
                function = arguments[arguments.index(_FUNCTION) + 1]
                source.string_value = without_docstring(source.string_value, function)


def without_docstring(source: str, function: str) -> str:
    r"""Return source without the docstring of one of its functions.

    Args:
        source: The source of a module.
        function: The function's name.

    Example:
        >>> print(without_docstring('def add(a: int) -> int:\n    "Add."\n    return a', "add"))
        def add(a: int) -> int:
            pass
            return a
    """
    try:
        body = ast.parse(source).body
    except SyntaxError:
        # Written for a newer Python than this one; its image can read it.
        return source
    found = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == function]
    if len(found) != 1 or "__doc__" in source:
        return source
    first = found[0].body[0]
    if ast.get_docstring(found[0], clean=False) is None or first.end_lineno is None:
        return source
    # Columns count bytes of UTF-8.
    lines = [line.encode() for line in source.split("\n")]
    begin, end = first.lineno - 1, first.end_lineno - 1
    replaced = lines[begin][: first.col_offset] + b"pass" + lines[end][first.end_col_offset :]
    return b"\n".join([*lines[:begin], replaced, *lines[end + 1 :]]).decode()
