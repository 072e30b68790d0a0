"""Adds the task that checks the parameters of all tasks against the data, right after ingestion.

It reads an outline of the examples, which is small. No task takes anything from it, so a changed
threshold does not keep other tasks from being cached.
"""

from collections.abc import Mapping

from kfp import dsl
from kfp.dsl.pipeline_channel import PipelineChannel, PipelineParameterChannel

from kfp_tabular import components
from kfp_tabular.components.common import options
from kfp_tabular.components.parameters.options import OPTIONS, RENAMED, ParameterOptions
from kfp_tabular.pipelines.configuration import ALWAYS, PipelineConfig
from kfp_tabular.pipelines.parameter_checks import INGESTION
from kfp_tabular.pipelines.task_definitions import component_of

CHECK_TASK = "check-parameters"
"""The task that is added."""

_WAITING = ("transform-features", "tune-hyperparameters", "train-model")


def add(tasks: Mapping[str, dsl.PipelineTask], config: PipelineConfig) -> dsl.PipelineTask | None:
    """Add the check task where a pipeline ingests data and trains or evaluates on them.

    Call it while KFP records the pipeline.

    Args:
        tasks: The pipeline's tasks by name.
        config: The configuration.

    Returns:
        The new task, without an image and time-out of the configuration; None for none, as where
        ingestion waits for other tasks.
    """
    before = dict(tasks)
    ingestion = before.get(INGESTION)
    late = {name: task for name, task in before.items() if component_of(name) in _WAITING}
    # With `auto`, compiling asks for it where there is room.
    if config.check_parameters != ALWAYS or ingestion is None or not late or CHECK_TASK in before:
        return None
    if ingestion.dependent_tasks or any(each.task_name for each in ingestion.channel_inputs):
        return None
    check = components.check_parameters(outline=ingestion.outputs["outline"], **_arguments(before))
    for task in late.values():
        task.after(check)
    return check


def _arguments(tasks: Mapping[str, dsl.PipelineTask]) -> dict[str, object]:
    """Return the arguments to check, as far as they are known and tasks agree on them."""
    found: dict[str, list[object]] = {}
    for component in OPTIONS:
        task = tasks.get(component.replace("_", "-"))
        for name, given in ({} if task is None else task.inputs).items():
            found.setdefault(RENAMED.get((component, name), name), []).append(given)
    return {
        name: given[0]
        for name, given in found.items()
        if name in options.describe(ParameterOptions)
        and all(map(_is_known_in_advance, given))
        and len(set(map(str, given))) == 1
    }


def _is_known_in_advance(given: object) -> bool:
    """Whether a value is a constant or a parameter of the pipeline."""
    if isinstance(given, PipelineChannel):
        return type(given) is PipelineParameterChannel and not given.task_name
    return "{{channel:" not in str(given)
