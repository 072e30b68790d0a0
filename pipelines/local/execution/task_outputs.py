"""The outputs of a run's tasks, read from the files that KFP's executor writes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_EXECUTOR_OUTPUT = "executor_output.json"


@dataclass(frozen=True)
class Artifact:
    """An output artifact of a task.

    Attributes:
        name: The output's name.
        type: KFP's type, such as `Dataset` or `HTML`.
        path: Its location.
        metadata: The metadata that the task set.
    """

    name: str
    type: str
    path: Path
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class TaskOutputs:
    """All outputs of a task.

    Attributes:
        parameters: Values by name; a single return value is called `Output`.
        artifacts: Artifacts by name, including those that the task wrote before it failed.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)


def read_outputs(folder: Path, component: Mapping[str, Any]) -> TaskOutputs:
    """Read a task's outputs.

    Args:
        folder: The task's folder.
        component: The task's component in the compiled spec, which declares the outputs.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     written = Path(folder) / "executor_output.json"
        ...     _ = written.write_text('{"parameterValues": {"Output": true}}', encoding="utf-8")
        ...     read_outputs(Path(folder), {}).parameters
        {'Output': True}
    """
    file = folder / _EXECUTOR_OUTPUT
    document = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    written = document.get("artifacts", {})
    artifacts = {}
    for name, declared in component.get("outputDefinitions", {}).get("artifacts", {}).items():
        entry = (written.get(name, {}).get("artifacts") or [{}])[0]
        path = Path(entry.get("uri", folder / name))
        metadata = entry.get("metadata", {})
        if path.exists() or metadata:
            kind = declared["artifactType"]["schemaTitle"].removeprefix("system.")
            artifacts[name] = Artifact(name=name, type=kind, path=path, metadata=metadata)
    return TaskOutputs(parameters=document.get("parameterValues", {}), artifacts=artifacts)
