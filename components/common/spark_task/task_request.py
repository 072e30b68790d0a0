"""A task as its driver gets it: the component, and KFP's ExecutorInput for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.processing import processing_settings
from kfp_tabular.components.common.processing.processing_settings import SparkSettings

_PARAMETER = processing_settings.DOCUMENT


@dataclass(frozen=True)
class TaskRequest:
    """A component and what it is called with.

    Attributes:
        component: `MODULE:FUNCTION`.
        executor_input: KFP's ExecutorInput.
    """

    component: str
    executor_input: Mapping[str, Any]

    @property
    def task(self) -> str:
        """The task's name, as the project's pipelines have it, such as `validate-data`."""
        return self.component.rpartition(":")[2].replace("_", "-")

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters by name."""
        found: Mapping[str, Any] = self.executor_input.get("inputs", {}).get("parameterValues", {})
        return found

    @property
    def inputs(self) -> dict[str, str]:
        """The URIs of the input artifacts, by name."""
        return _uris(self.executor_input.get("inputs", {}))

    @property
    def outputs(self) -> dict[str, str]:
        """The URIs of the output artifacts, by name."""
        return _uris(self.executor_input.get("outputs", {}))

    def spark(self) -> SparkSettings | None:
        """Return the settings of its Spark on Kubernetes; None where it has another engine.

        Raises:
            UserError: The document does not fit.
        """
        document = self.parameters.get(_PARAMETER)
        if not document:
            return None
        settings = processing_settings.parse(document, self.task)
        is_wanted = isinstance(settings, SparkSettings) and settings.on_kubernetes
        return settings if is_wanted else None  # type: ignore[return-value]

    def with_shards_uri(self, uri: str) -> "TaskRequest":
        """Return the request with a place for shards, unless it has one."""
        given = self.parameters[_PARAMETER]
        document = processing_settings.of_task(given, self.task)
        changed = {**document, "shards_uri": document.get("shards_uri") or uri}
        inputs = self.executor_input["inputs"]
        values = {**inputs["parameterValues"], _PARAMETER: changed}
        inputs = {**inputs, "parameterValues": values}
        return replace(self, executor_input={**self.executor_input, "inputs": inputs})

    def to_json(self) -> str:
        """Return it as JSON."""
        fields = {"component": self.component, "executor_input": self.executor_input}
        return json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "TaskRequest":
        """Return what `to_json` wrote."""
        fields = json.loads(text)
        return cls(fields["component"], fields["executor_input"])


@dataclass(frozen=True)
class StagedTask:
    """A task on the driver's machine. What is on a mounted volume stays where it is.

    Attributes:
        request: The task.
        folder: Where its remote artifacts are for now.
    """

    request: TaskRequest
    folder: Path

    @property
    def output_file(self) -> Path:
        """Where KFP's executor writes the outputs."""
        return self.folder / "executor_output.json"

    @property
    def inputs(self) -> dict[str, Path]:
        """The local paths of remote inputs, by name."""
        return self._paths("inputs", self.request.inputs)

    @property
    def outputs(self) -> dict[str, Path]:
        """The local paths of remote outputs, by name."""
        return self._paths("outputs", self.request.outputs)

    def executor_input(self) -> dict[str, Any]:
        """Return KFP's ExecutorInput with local paths in place of the URIs of object stores."""
        given = self.request.executor_input
        inputs = _moved(given.get("inputs", {}), self.inputs)
        outputs = _moved(given.get("outputs", {}), self.outputs)
        return {
            **given,
            "inputs": inputs,
            "outputs": {**outputs, "outputFile": str(self.output_file)},
        }

    def _paths(self, kind: str, uris: Mapping[str, str]) -> dict[str, Path]:
        return {
            name: self.folder / kind / name for name, uri in uris.items() if storage.is_remote(uri)
        }


def with_uris(output: Mapping[str, Any], uris: Mapping[str, str]) -> dict[str, Any]:
    """Return KFP's ExecutorOutput with the URIs of the task's own artifacts.

    Args:
        output: What the driver wrote, with paths of its machine.
        uris: The URIs by name.

    Example:
        >>> entry = {"artifacts": [{"uri": "/work/page", "metadata": {"rows": 3}}]}
        >>> with_uris({"artifacts": {"page": entry}}, {"page": "s3://bucket/page"})
        {'artifacts': {'page': {'artifacts': [{'uri': 's3://bucket/page', 'metadata': {...}}]}}}
    """
    return _moved(output, uris)


def _uris(fields: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(entry["artifacts"][0]["uri"])
        for name, entry in fields.get("artifacts", {}).items()
        if entry.get("artifacts")
    }


def _moved(fields: Mapping[str, Any], places: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with other URIs for the first artifact of some names."""

    def moved(name: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        if name not in places:
            return entry
        first, *others = entry["artifacts"]
        return {**entry, "artifacts": [{**first, "uri": str(places[name])}, *others]}

    if "artifacts" not in fields:
        return dict(fields)
    artifacts = {name: moved(name, entry) for name, entry in fields["artifacts"].items()}
    return {**fields, "artifacts": artifacts}
