"""Reading a compiled pipeline spec."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent

_COMPONENT_PREFIX = "comp-"


def load(path: Path) -> dict[str, Any]:
    """Return the pipeline spec of a compiled YAML file, without the platform document after it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "churn.yaml"
        ...     _ = path.write_text("pipelineInfo: {name: churn}", encoding="utf-8")
        ...     load(path)
        {'pipelineInfo': {'name': 'churn'}}
    """
    return parse(path.read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, Any]:
    """Return the pipeline spec from the text of a compiled YAML file, as `load` does.

    Example:
        >>> parse('''pipelineInfo: {name: churn}
        ... ---
        ... platforms: {kubernetes: {}}
        ... ''')
        {'pipelineInfo': {'name': 'churn'}}
    """
    document: dict[str, Any] = next(yaml.load_all(text, Loader=_Loader))
    return document


def platform(text: str) -> dict[str, Any]:
    """Return the platform document after the pipeline spec; empty where there is none.

    Example:
        >>> platform('''pipelineInfo: {name: churn}
        ... ---
        ... platforms: {kubernetes: {}}
        ... ''')
        {'platforms': {'kubernetes': {}}}
    """
    documents = yaml.load_all(text, Loader=_Loader)
    next(documents)
    found: dict[str, Any] = next(documents, {})
    return found


def of(pipeline: "GraphComponent") -> dict[str, Any]:
    """Return the spec of a pipeline that is a function decorated with `@dsl.pipeline`.

    Example:
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> of(validation_pipeline)["pipelineInfo"]["name"]
        'kfp-tabular-validation'
    """
    from google.protobuf import json_format

    document: dict[str, Any] = json_format.MessageToDict(pipeline.pipeline_spec)
    return document


# The C loader reads a spec ten times faster; PyYAML has it where libyaml is installed.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def tasks(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return a spec's tasks and their images, in an order in which they may run.

    Args:
        spec: A pipeline spec.

    Returns:
        The image reference by the task's name, tasks inside conditions included.

    Example:
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> list(tasks(of(validation_pipeline)))
        ['ingest-data', 'validate-data']
    """
    executors = spec["deploymentSpec"]["executors"]
    return {
        name: executors[spec["components"][f"{_COMPONENT_PREFIX}{name}"]["executorLabel"]][
            "container"
        ]["image"]
        for name, _ in _leaves(spec, spec["root"]["dag"]["tasks"])
    }


def groups(spec: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return a spec's tasks and the conditions and loops around each, the outermost first.

    Example:
        >>> from kfp_tabular.pipelines.training.pipeline import training_pipeline
        >>> groups(of(training_pipeline))["deploy-model"]
        ('condition-1',)
    """
    return dict(_leaves(spec, spec["root"]["dag"]["tasks"]))


def component(spec: Mapping[str, Any], task: str) -> Mapping[str, Any]:
    """Return the component of a task.

    Example:
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> found = component(of(validation_pipeline), "validate-data")
        >>> list(found["inputDefinitions"]["artifacts"])
        ['examples']
    """
    found: Mapping[str, Any] = spec["components"][f"{_COMPONENT_PREFIX}{task}"]
    return found


def parameter_types(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return KFP's type name of each parameter of the pipeline, such as `NUMBER_INTEGER`.

    Example:
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> parameter_types(of(validation_pipeline))["max_rejected_fraction"]
        'NUMBER_DOUBLE'
    """
    return {name: entry["parameterType"] for name, entry in parameters(spec).items()}


def required_parameters(spec: Mapping[str, Any]) -> list[str]:
    """Return the names of the pipeline's parameters that have no default.

    Example:
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> sorted(required_parameters(of(validation_pipeline)))
        ['data_uri', 'schema_uri']
    """
    return [
        name
        for name, entry in parameters(spec).items()
        if "defaultValue" not in entry and not entry.get("isOptional")
    ]


def parameters(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the declaration of each parameter of the pipeline, as the spec has it.

    Example:
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> parameters(of(validation_pipeline))["fail_on"]["defaultValue"]
        'error'
    """
    found: Mapping[str, Any] = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    return found


def _leaves(
    spec: Mapping[str, Any], within: Mapping[str, Any], groups: tuple[str, ...] = ()
) -> Iterator[tuple[str, tuple[str, ...]]]:
    done: set[str] = set()
    while len(done) < len(within):
        ready = [
            name
            for name, task in within.items()
            if name not in done and done.issuperset(task.get("dependentTasks", ()))
        ]
        for name in ready:
            reference = within[name]["componentRef"]["name"]
            inner = spec["components"][reference].get("dag")
            if inner:
                yield from _leaves(spec, inner["tasks"], (*groups, name))
            else:
                yield reference.removeprefix(_COMPONENT_PREFIX), groups
        done.update(ready)
