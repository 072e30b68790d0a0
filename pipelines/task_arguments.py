"""The arguments that a task of a pipeline is called with, read from the pipeline's spec."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import spec as specs

RUN_ID_PLACEHOLDER = "{{$.pipeline_job_uuid}}"
"""`dsl.PIPELINE_JOB_ID_PLACEHOLDER`, which KFP replaces with the run's id when a task starts."""


@dataclass(frozen=True)
class TaskArguments:
    """The arguments of one task.

    Attributes:
        values: By name, the values that are known before a run: parameters of the pipeline,
            constants and the component's defaults. Integers may be floats, as in KFP.
        later: The names of the arguments that other tasks produce.
    """

    values: Mapping[str, Any]
    later: frozenset[str]


def of_task(
    spec: Mapping[str, Any], task: str, values: Mapping[str, Any], run_id: str = ""
) -> TaskArguments:
    """Return the arguments that a task's component is called with.

    Args:
        spec: A pipeline spec.
        task: The task's name, as `spec.tasks` has it.
        values: Values of the pipeline's parameters; those left out have their defaults.
        run_id: The value to use for the run's id.

    Raises:
        UserError: If the pipeline has no such task.

    Example:
        >>> from kfp_tabular.pipelines import spec
        >>> from kfp_tabular.pipelines.training.pipeline import training_pipeline
        >>> found = of_task(spec.of(training_pipeline), "train-model", {"workers": 3})
        >>> found.values["workers"], found.values["backend"]
        (3, 'local')
    """
    found = {entry.name: entry for entry in specs.walk(spec)}
    if task not in found:
        raise UserError(f"the pipeline has no task {task!r}, only {', '.join(sorted(found))}.")
    declared = specs.parameters(spec)
    given = {name: entry["defaultValue"] for name, entry in declared.items() if _has_default(entry)}
    arguments = TaskArguments({**given, **values}, frozenset())
    for call in found[task].calls:
        inputs = call.get("inputs", {}).get("parameters", {})
        arguments = _given(inputs, arguments.values, run_id)
    return _with_defaults(found[task].component, arguments)


def sources(spec: Mapping[str, Any], task: str) -> dict[str, str]:
    """Return the pipeline's parameter that each argument of a task comes from, where it has one.

    Args:
        spec: A pipeline spec.
        task: The task's name, as `spec.tasks` has it.

    Example:
        >>> from kfp_tabular.pipelines import spec
        >>> from kfp_tabular.pipelines.training.pipeline import training_pipeline
        >>> sources(spec.of(training_pipeline), "evaluate-model")["split"]
        'evaluation_split'
    """
    names: dict[str, str] = {name: name for name in specs.parameters(spec)}
    for entry in specs.walk(spec):
        if entry.name == task:
            for call in entry.calls:
                inputs = call.get("inputs", {}).get("parameters", {})
                outside = {
                    name: source.get("componentInputParameter", "")
                    for name, source in inputs.items()
                }
                names = {name: names[source] for name, source in outside.items() if source in names}
    return names


def producer(spec: Mapping[str, Any], task: str, artifact: str) -> str | None:
    """Return the task that makes an artifact which another one takes.

    Args:
        spec: A pipeline spec.
        task: The task that takes it, as `spec.tasks` has it.
        artifact: The name of its input.

    Returns:
        The task's name; None if the input is left out, and empty where it comes from elsewhere,
        such as an importer.

    Example:
        >>> from kfp_tabular.pipelines import spec
        >>> from kfp_tabular.pipelines.training.pipeline import training_pipeline
        >>> document = spec.of(training_pipeline)
        >>> producer(document, "train-model", "hyperparameters")
        'tune-hyperparameters'
        >>> producer(document, "evaluate-model", "baseline_model") is None
        True
    """
    tasks = list(specs.walk(spec))
    found = next(entry for entry in tasks if entry.name == task)
    name = artifact
    for depth, call in reversed(list(enumerate(found.calls))):
        source = call.get("inputs", {}).get("artifacts", {}).get(name)
        if source is None:
            return None if name == artifact else ""
        if "taskOutputArtifact" in source:
            node, groups = source["taskOutputArtifact"]["producerTask"], found.groups[:depth]
            makers = [each.name for each in tasks if each.node == node and each.groups == groups]
            return makers[0] if makers else ""
        # A group of tasks names its inputs after their sources.
        name = source.get("componentInputArtifact", "")
    return ""


def _given(inputs: Mapping[str, Any], scope: Mapping[str, Any], run_id: str) -> TaskArguments:
    values: dict[str, Any] = {}
    later = set()
    for name, source in inputs.items():
        if "runtimeValue" in source:
            constant = source["runtimeValue"].get("constant")
            known = not _refers(constant)
            if known:
                values[name] = run_id if constant == RUN_ID_PLACEHOLDER else constant
        else:
            # A group of tasks names its inputs after their sources.
            outside = source.get("componentInputParameter", "")
            known = outside in scope
            if known:
                values[name] = scope[outside]
        if not known:
            later.add(name)
    return TaskArguments(values, frozenset(later))


def _refers(constant: Any) -> bool:
    """Whether a constant is filled in while the pipeline runs."""
    return isinstance(constant, str) and constant != RUN_ID_PLACEHOLDER and "{{$." in constant


def _with_defaults(component: Mapping[str, Any], found: TaskArguments) -> TaskArguments:
    declared = component.get("inputDefinitions", {}).get("parameters", {})
    defaults = {
        name: entry["defaultValue"]
        for name, entry in declared.items()
        if _has_default(entry) and name not in found.later
    }
    return TaskArguments({**defaults, **found.values}, found.later)


def _has_default(entry: Mapping[str, Any]) -> bool:
    return "defaultValue" in entry
