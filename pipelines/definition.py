"""A pipeline as this project knows it: how to build it, its tasks, its results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kfp_tabular.pipelines import configuration
from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.task_definitions import TaskDefinition

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent


@dataclass(frozen=True)
class ResultTasks:
    """The tasks whose outputs make up the summary of a run; empty where a pipeline has none.

    Attributes:
        metrics: Its artifact `metrics` has the model's metrics, its output whether the model is
            blessed.
        model: Its artifact `model` is the trained model.
        published_model: Its output `model_uri` is the address of the published model.
        validity: Its output tells whether the data are valid.
    """

    metrics: str = ""
    model: str = ""
    published_model: str = ""
    validity: str = ""


@dataclass(frozen=True)
class PipelineDefinition:
    """A pipeline.

    Attributes:
        name: Its name on the command line: a registered name, or the function's for a user's own.
        description: One sentence about what it does.
        builder: Returns the pipeline, a function decorated with `@dsl.pipeline`, for a
            configuration. It need not apply the configuration to its tasks; `build` does.
        tasks: Its tasks that are components of this project, by name, in order.
        results: The tasks that the summary of a run is read from.
        required_parameters: The parameters without a default.
    """

    name: str
    description: str
    builder: Callable[[PipelineConfig], "GraphComponent"]
    tasks: Mapping[str, TaskDefinition]
    results: ResultTasks = field(default_factory=ResultTasks)
    required_parameters: tuple[str, ...] = ()

    def build(self, config: PipelineConfig) -> "GraphComponent":
        """Return the pipeline with images, time-outs and pod settings on its tasks.

        Locked parameters are constants.

        Args:
            config: The compile-time configuration.

        Raises:
            UserError: For an image that is not pinned, an amount that KFP cannot express, or a
                locked parameter that the pipeline does not have.

        Example:
            >>> from kfp_tabular.pipelines import registry, spec
            >>> config = PipelineConfig(registry="registry.example.com/ml", tag="1.0")
            >>> built = registry.find("validation").build(config)
            >>> spec.tasks(spec.of(built))["validate-data"]
            'registry.example.com/ml/tfdv:1.0'
        """
        from kfp_tabular.pipelines import locked_parameters, placement

        placed = placement.apply(self.builder(config), config, self.tasks)
        locked_parameters.lock(placed, config.locked)
        return placed

    def configuration(self, path: Path | None) -> PipelineConfig:
        """Read a configuration for this pipeline.

        Args:
            path: A YAML file; None for the defaults.

        Raises:
            UserError: For an unknown key, such as a task or a parameter that this pipeline does not
                have, or a value that does not fit.
        """
        if path is None:
            return PipelineConfig()
        from kfp_tabular.pipelines import locked_parameters, parameters

        config = configuration.load(path, self.tasks)
        pipeline = self.builder(config)
        declared = parameters.types(pipeline.pipeline_spec)
        parameters.convert(config.parameters, declared, f"{path}: ")
        locked_parameters.values(pipeline, config.locked, f"{path}: ")
        return config
