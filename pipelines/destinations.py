"""The places that tasks write to late in a run, besides their artifacts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kfp_tabular.components.common.storage import writability
from kfp_tabular.components.common.storage.location import parse
from kfp_tabular.components.destinations import places
from kfp_tabular.pipelines import spec as specs
from kfp_tabular.pipelines import task_arguments
from kfp_tabular.pipelines.configuration import NEVER, PipelineConfig, TaskConfig
from kfp_tabular.pipelines.task_definitions import component_of

ARGUMENTS: Mapping[str, str] = {
    "tune-hyperparameters": "study_directory",
    "train-model": "checkpoint_uri",
    "deploy-model": places.MODEL_REPOSITORY,
}
"""By component, the argument that names the place."""

CHECK_TASK = "check-destinations"
"""The task that checks these places early; `destination_checks` adds it."""


@dataclass(frozen=True)
class Destination:
    """A place that a task writes to.

    Attributes:
        task: The task.
        argument: The argument that names the place.
        uri: The place.
    """

    task: str
    argument: str
    uri: str

    @property
    def is_remote(self) -> bool:
        """Whether it is in an object store."""
        return not parse(self.uri).is_local


def of_run(spec: Mapping[str, Any], values: Mapping[str, Any]) -> list[Destination]:
    """Return the places that the tasks of a run write to, as far as they are known before it.

    Args:
        spec: A pipeline spec.
        values: Values of the pipeline's parameters; those left out have their defaults.

    Example:
        >>> from kfp_tabular.pipelines.training.pipeline import training_pipeline
        >>> values = {"model_repository": "/models", "model_name": "taxi"}
        >>> of_run(specs.of(training_pipeline), values)
        [Destination(task='deploy-model', argument='model_repository', uri='/models/taxi')]
    """
    found = []
    for task in specs.tasks(spec):
        argument = ARGUMENTS.get(component_of(task), "")
        if not argument:
            continue
        given = task_arguments.of_task(spec, task, values).values
        uri = places.of_argument(argument, given)
        # A placeholder, such as that of the run's workspace, gets its value in the pod.
        if uri and "{{$." not in uri:
            found.append(Destination(task, argument, uri))
    return found


def wants_check(config: PipelineConfig, spec: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether a run writes to an object store and needs the check task, which its spec lacks.

    When a pipeline is compiled, a value that only the run sets is not known.

    Args:
        config: The configuration.
        spec: A pipeline spec.
        values: Values of the pipeline's parameters.

    Example:
        >>> from kfp_tabular.pipelines.training.pipeline import training_pipeline
        >>> spec = specs.of(training_pipeline)
        >>> wants_check(PipelineConfig(), spec, {"model_repository": "s3://models"})
        True
        >>> wants_check(PipelineConfig(), spec, {})
        False
    """
    is_open = config.check_destinations != NEVER and CHECK_TASK not in specs.tasks(spec)
    return is_open and any(destination.is_remote for destination in of_run(spec, values))


def local_configuration(config: PipelineConfig) -> PipelineConfig:
    """Return a configuration for a run on this machine.

    It has no volumes to check or prepare, and the runner itself checks the parameters.

    Example:
        >>> local_configuration(PipelineConfig()).check_destinations
        'never'
    """

    def without_preparation(task: TaskConfig) -> TaskConfig:
        return replace(task, volumes=tuple(replace(each, prepare=False) for each in task.volumes))

    return replace(
        config,
        check_destinations=NEVER,
        check_parameters=NEVER,
        defaults=without_preparation(config.defaults),
        tasks={name: without_preparation(task) for name, task in config.tasks.items()},
    )


def check_local(spec: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Check that the tasks of a run on this machine can write where they have to.

    Object stores are left to the tasks: this environment has no client for them.

    Args:
        spec: A pipeline spec.
        values: Values of the pipeline's parameters.

    Raises:
        UserError: For the first place that cannot be written.
    """
    for destination in of_run(spec, values):
        if not destination.is_remote:
            writability.check(destination.uri, destination.argument)
