"""The definition of the batch prediction pipeline."""

from typing import TYPE_CHECKING

from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.definition import PipelineDefinition
from kfp_tabular.pipelines.task_definitions import tasks

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent


def _pipeline(_config: PipelineConfig) -> "GraphComponent":
    from kfp_tabular.pipelines.batch_prediction.pipeline import batch_prediction_pipeline

    return batch_prediction_pipeline


BATCH_PREDICTION = PipelineDefinition(
    name="batch-prediction",
    description="Predict for a data set with a trained model, with the checks of the endpoint.",
    builder=_pipeline,
    tasks=tasks(["predict-batch"]),
    required_parameters=("data_uri", "model"),
)
