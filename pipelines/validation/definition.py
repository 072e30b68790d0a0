"""The definition of the validation pipeline."""

from typing import TYPE_CHECKING

from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.definition import PipelineDefinition, ResultTasks
from kfp_tabular.pipelines.task_definitions import tasks

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent


def _pipeline(_config: PipelineConfig) -> "GraphComponent":
    from kfp_tabular.pipelines.validation.pipeline import validation_pipeline

    return validation_pipeline


VALIDATION = PipelineDefinition(
    name="validation",
    description="Check new data against a schema and the statistics of earlier data: ingest, "
    "validate.",
    builder=_pipeline,
    tasks=tasks(["ingest-data", "validate-data"]),
    results=ResultTasks(validity="validate-data"),
    required_parameters=("data_uri", "schema_uri"),
)
