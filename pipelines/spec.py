"""Reading a compiled pipeline spec."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent

_COMPONENT_PREFIX = "comp-"


@dataclass(frozen=True)
class SpecTask:
    """A task that runs something itself: not a condition, a loop or a nested pipeline.

    Attributes:
        name: Its name, which no other task of the spec has.
        node: Its name where it is called, as Kubeflow shows it. Tasks of nested pipelines may share
            one.
        component: Its component.
        groups: The names of the conditions, loops and pipelines around it, the outermost first.
        calls: The specification of each of those, and its own as the last.
    """

    name: str
    node: str
    component: Mapping[str, Any]
    groups: tuple[str, ...]
    calls: tuple[Mapping[str, Any], ...]


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


def documents(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the pipeline spec and the platform document after it; that is empty if there is none.

    Example:
        >>> documents('''pipelineInfo: {name: churn}
        ... ---
        ... platforms: {kubernetes: {}}
        ... ''')
        ({'pipelineInfo': {'name': 'churn'}}, {'platforms': {'kubernetes': {}}})
    """
    document, *others = yaml.load_all(text, Loader=_Loader)
    return document, next(iter(others), {})


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
        The image reference by the task's name, tasks inside conditions included. Importers, which
        run in no image, are left out.

    Example:
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> list(tasks(of(validation_pipeline)))
        ['ingest-data', 'validate-data']
    """
    executors = spec["deploymentSpec"]["executors"]
    found = {task.name: executors[task.component["executorLabel"]] for task in walk(spec)}
    return {
        name: executor["container"]["image"]
        for name, executor in found.items()
        if "container" in executor
    }


def groups(spec: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return what Kubeflow shows of a spec's tasks: their names, and the groups around each.

    Groups are conditions, loops and nested pipelines, the outermost first. Of tasks that share a
    name, the last one tells the groups.

    Args:
        spec: A pipeline spec.

    Example:
        >>> from kfp_tabular.pipelines.training.pipeline import training_pipeline
        >>> groups(of(training_pipeline))["deploy-model"]
        ('condition-1',)
    """
    return {task.node: task.groups for task in walk(spec)}


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


def walk(spec: Mapping[str, Any]) -> Iterator[SpecTask]:
    """Yield a spec's tasks in an order in which they may run, those inside groups included.

    Args:
        spec: A pipeline spec.

    Example:
        >>> from kfp_tabular.pipelines.training.pipeline import training_pipeline
        >>> *_, last = walk(of(training_pipeline))
        >>> last.name, last.groups, [call["taskInfo"]["name"] for call in last.calls]
        ('deploy-model', ('condition-1',), ['blessed', 'deploy-model'])
    """
    yield from _within(spec, spec["root"]["dag"]["tasks"], (), ())


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


def _within(
    spec: Mapping[str, Any],
    tasks: Mapping[str, Any],
    groups: tuple[str, ...],
    calls: tuple[Mapping[str, Any], ...],
) -> Iterator[SpecTask]:
    done: set[str] = set()
    while len(done) < len(tasks):
        ready = [
            name
            for name, task in tasks.items()
            if name not in done and done.issuperset(task.get("dependentTasks", ()))
        ]
        for name in ready:
            reference = tasks[name]["componentRef"]["name"]
            called = spec["components"][reference]
            path = (*calls, tasks[name])
            if "dag" in called:
                yield from _within(spec, called["dag"]["tasks"], (*groups, name), path)
            else:
                own = reference.removeprefix(_COMPONENT_PREFIX)
                yield SpecTask(own, name, called, groups, path)
        done.update(ready)
