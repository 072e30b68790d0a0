"""Default image, time-out and caching of a task, by its component."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_FURTHER_TASK = re.compile(r"-[0-9]+$")


@dataclass(frozen=True)
class TaskDefinition:
    """The defaults of a task.

    Attributes:
        component: The component's name, a key of `components.COMPONENTS`.
        image: The name of the project's image that the task runs in.
        timeout: How long the task's pod may run, such as `30m` or `4h`: a daily batch's limit.
        acts_on_world: Whether the task changes something outside the pipeline. Such a task is never
            taken from the cache: an earlier result does not show the present state.
    """

    component: str
    image: str = "tensorflow"
    timeout: str = "1h"
    acts_on_world: bool = False


_OF_COMPONENTS = {
    definition.component: definition
    for definition in (
        TaskDefinition("ingest_data"),
        TaskDefinition("validate_data", image="tfdv"),
        TaskDefinition("transform_features", timeout="2h"),
        TaskDefinition("tune_hyperparameters", timeout="12h"),
        TaskDefinition("train_model", timeout="4h"),
        TaskDefinition("evaluate_model", timeout="30m"),
        TaskDefinition("predict_batch", timeout="4h"),
        TaskDefinition("register_model", image="launcher", timeout="10m", acts_on_world=True),
        TaskDefinition("check_destinations", image="launcher", timeout="10m", acts_on_world=True),
        TaskDefinition("check_parameters", timeout="10m"),
        TaskDefinition("deploy_model", image="serving", timeout="15m", acts_on_world=True),
    )
}


def of_component(name: str) -> TaskDefinition:
    """Return the defaults for tasks of a component.

    Args:
        name: A key of `components.COMPONENTS`.

    Example:
        >>> of_component("train_model").timeout
        '4h'
    """
    return _OF_COMPONENTS[name]


def component_of(task: str) -> str:
    """Return the name of the component that a task is named after, with hyphens.

    KFP numbers the tasks of a component that occurs more than once in a pipeline.

    Args:
        task: A task's name.

    Example:
        >>> component_of("train-model"), component_of("train-model-2")
        ('train-model', 'train-model')
    """
    return _FURTHER_TASK.sub("", task)


def tasks(names: Iterable[str]) -> Mapping[str, TaskDefinition]:
    """Return the definitions of a pipeline's tasks with the defaults of their components.

    Args:
        names: The tasks' names as KFP derives them, such as `train-model`, `train-model-2`.

    Example:
        >>> tasks(["ingest-data", "validate-data"])["validate-data"].image
        'tfdv'
    """
    return {name: of_component(component_of(name).replace("-", "_")) for name in names}
