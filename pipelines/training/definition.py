"""The definition of the training pipeline."""

from typing import TYPE_CHECKING

from kfp_tabular.pipelines.configuration import PipelineConfig
from kfp_tabular.pipelines.definition import PipelineDefinition, ResultTasks
from kfp_tabular.pipelines.task_definitions import tasks

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent


def _pipeline(_config: PipelineConfig) -> "GraphComponent":
    from kfp_tabular.pipelines.training.pipeline import training_pipeline

    return training_pipeline


TRAINING = PipelineDefinition(
    name="training",
    description="Train, evaluate and deploy a model: ingest, validate, transform, tune, train, "
    "evaluate, and deploy if blessed.",
    builder=_pipeline,
    tasks=tasks(
        [
            "ingest-data",
            "validate-data",
            "transform-features",
            "tune-hyperparameters",
            "train-model",
            "evaluate-model",
            "register-model",
            "deploy-model",
        ]
    ),
    results=ResultTasks(
        metrics="evaluate-model",
        model="train-model",
        published_model="deploy-model",
        validity="validate-data",
    ),
    required_parameters=("data_uri", "label"),
)
