"""Arguments that name a model by an alias: which model that is changes from run to run.

A task with such an argument must not be taken from the cache, since the same text may mean another
model by then. `models:/NAME/VERSION` always means the same one.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import model_uri

if TYPE_CHECKING:
    from kfp.pipeline_spec import pipeline_spec_pb2

_REGISTRY = "tracking_uri"
_ALIAS = "baseline"
_URIS = ("baseline_model_uri", "model")
_ANY = "models:/any@alias"


def argument_with_alias(arguments: Mapping[str, Any]) -> str:
    """Return the argument of a task that names a model by an alias; empty if none does.

    Args:
        arguments: The task's input parameters. Only a task with `tracking_uri` asks the registry.

    Example:
        >>> argument_with_alias({"baseline": "champion", "tracking_uri": ""})
        'baseline'
        >>> argument_with_alias({"model": "models:/taxi/3", "tracking_uri": ""})
        ''
        >>> argument_with_alias({"baseline": "champion"})
        ''
    """
    if _REGISTRY not in arguments:
        return ""
    for name in (_ALIAS, *_URIS):
        value = arguments.get(name)
        if not isinstance(value, str) or not value:
            continue
        if (name == _ALIAS or model_uri.is_registered(value)) and not _is_version(value):
            return name
    return ""


def leave_uncached(pipeline: "pipeline_spec_pb2.PipelineSpec", given: Mapping[str, Any]) -> None:
    """Turn caching off for the tasks of a pipeline that name a model by an alias.

    Args:
        pipeline: The pipeline's spec, which is changed.
        given: The pipeline's parameters as far as they are known; its defaults count for others.
    """
    declared = pipeline.root.input_definitions.parameters.items()
    defaults = {name: entry.default_value.string_value for name, entry in declared}
    for task, arguments in _tasks(pipeline, pipeline.root, {**defaults, **given}):
        if argument_with_alias(arguments):
            task.caching_options.Clear()


def any_given(pipeline: "pipeline_spec_pb2.PipelineSpec") -> dict[str, str]:
    """Return parameters of which each names a model by an alias, as those of a run may."""
    return dict.fromkeys(pipeline.root.input_definitions.parameters, _ANY)


def _is_version(uri: str) -> bool:
    try:
        return bool(model_uri.parse(uri).version)
    except UserError:
        return False


def _tasks(
    pipeline: "pipeline_spec_pb2.PipelineSpec",
    component: "pipeline_spec_pb2.ComponentSpec",
    known: Mapping[str, Any],
) -> Iterator[tuple["pipeline_spec_pb2.PipelineTaskSpec", dict[str, Any]]]:
    """Yield each task, also inside conditions, with the values of its parameters that are known."""
    for task in component.dag.tasks.values():
        arguments = {
            name: known.get(source.component_input_parameter)
            if source.component_input_parameter
            else source.runtime_value.constant.string_value
            for name, source in task.inputs.parameters.items()
        }
        yield task, arguments
        inner = pipeline.components.get(task.component_ref.name)
        if inner is not None and inner.HasField("dag"):
            yield from _tasks(pipeline, inner, arguments)
