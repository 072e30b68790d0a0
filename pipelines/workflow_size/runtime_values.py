"""What a run passes between its tasks, as far as a spec tells: values, URIs, the executor's input.

What is known only during the run has a typical size here; the constants name their source.
"""

from collections.abc import Mapping
from typing import Any

UNKNOWN_TEXT = "x" * 64
"""Stands for a parameter without a default, and for the output of a task."""

_UID = "00000000-0000-0000-0000-000000000000"

METADATA = {f"key-{number}": "x" * 71 for number in range(5)}
"""Stands for the metadata of an input artifact: 0.4 KB of JSON, as those of this project have
(`lineage.metadata`)."""


def executor_input(
    component: Mapping[str, Any],
    task: Mapping[str, Any],
    outside: Mapping[str, Any],
    place: str,
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what KFP's driver passes to a task's container.

    Args:
        component: The task's component.
        task: The task's specification in its DAG.
        outside: Values of the parameters of that DAG.
        place: `PIPELINE/TASK`, part of the URIs.
        metadata: The metadata of each input artifact.
    """
    root = f"minio://mlpipeline/v2/artifacts/{place.partition('/')[0]}/{_UID}"
    name = place.partition("/")[2]
    inputs = component.get("inputDefinitions", {})
    outputs = component.get("outputDefinitions", {})
    wired = task.get("inputs", {}).get("artifacts", {})
    return {
        "inputs": {
            "parameterValues": parameters(component, task, outside),
            "artifacts": {
                key: _artifact("1234", entry, f"{root}/upstream-task/{_UID}/{key}", metadata)
                for key, entry in inputs.get("artifacts", {}).items()
                if key in wired
            },
        },
        "outputs": {
            "parameters": {
                key: {"outputFile": f"/tmp/kfp/outputs/{key}"}  # noqa: S108 - in a container
                for key in outputs.get("parameters", {})
            },
            "artifacts": {
                key: _artifact(key, entry, f"{root}/{name}/{_UID}/{key}", {})
                for key, entry in {**outputs.get("artifacts", {}), "executor-logs": {}}.items()
            },
            "outputFile": f"/minio/{root.removeprefix('minio://')}/{name}/{_UID}/output_metadata.json",
        },
    }


def parameters(
    component: Mapping[str, Any], task: Mapping[str, Any], outside: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values of a component's parameters.

    Args:
        component: The component.
        task: The task's specification in its DAG.
        outside: Values of the parameters of that DAG.
    """
    wired = task.get("inputs", {}).get("parameters", {})
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    return {
        name: _value(wired[name], outside) if name in wired else default(entry)
        for name, entry in declared.items()
    }


def passed(task: Mapping[str, Any], name: str, outside: Mapping[str, Any]) -> Any:
    """Return what a task is given for one of its parameters, or what stands for it.

    Args:
        task: The task's specification in its DAG.
        name: The parameter.
        outside: Values of the parameters of that DAG.
    """
    source = task.get("inputs", {}).get("parameters", {}).get(name, {})
    # A part of a value is not the value.
    return UNKNOWN_TEXT if "parameterExpressionSelector" in source else _value(source, outside)


def default(declared: Mapping[str, Any]) -> Any:
    """Return a parameter's default, or what stands for its value where it has none."""
    return declared.get("defaultValue", None if declared.get("isOptional") else UNKNOWN_TEXT)


def _value(source: Mapping[str, Any], outside: Mapping[str, Any]) -> Any:
    if "runtimeValue" in source:
        return source["runtimeValue"].get("constant", UNKNOWN_TEXT)
    if "componentInputParameter" in source:
        return outside.get(source["componentInputParameter"], UNKNOWN_TEXT)
    return UNKNOWN_TEXT


def _artifact(
    name: str, declared: Mapping[str, Any], uri: str, metadata: Mapping[str, Any]
) -> dict[str, Any]:
    kind = declared.get("artifactType", {"schemaTitle": "system.Artifact"})
    return {"artifacts": [{"name": name, "type": kind, "uri": uri, "metadata": metadata}]}
