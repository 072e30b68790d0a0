"""Kubeflow Pipelines components for tabular machine learning on TensorFlow.

``from kfp_tabular.components import validate_data`` gives a component that fits into any
``@dsl.pipeline``. Components are loaded on first use, so that the code that runs inside a task
never imports a component definition.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kfp_tabular.components.batch_prediction.component import predict_batch as predict_batch
    from kfp_tabular.components.data_ingestion.component import ingest_data as ingest_data
    from kfp_tabular.components.data_validation.component import validate_data as validate_data
    from kfp_tabular.components.deployment.component import deploy_model as deploy_model
    from kfp_tabular.components.destinations.component import (
        check_destinations as check_destinations,
    )
    from kfp_tabular.components.evaluation.component import evaluate_model as evaluate_model
    from kfp_tabular.components.feature_engineering.component import (
        transform_features as transform_features,
    )
    from kfp_tabular.components.parameters.component import check_parameters as check_parameters
    from kfp_tabular.components.registration.component import register_model as register_model
    from kfp_tabular.components.training.component import train_model as train_model
    from kfp_tabular.components.tuning.component import (
        tune_hyperparameters as tune_hyperparameters,
    )

COMPONENTS = {
    "ingest_data": "data_ingestion",
    "validate_data": "data_validation",
    "transform_features": "feature_engineering",
    "tune_hyperparameters": "tuning",
    "train_model": "training",
    "evaluate_model": "evaluation",
    "register_model": "registration",
    "deploy_model": "deployment",
    "predict_batch": "batch_prediction",
    "check_destinations": "destinations",
    "check_parameters": "parameters",
}
"""Each component's name and the folder it lives in, in pipeline order."""

__all__ = [
    "COMPONENTS",
    "check_destinations",
    "check_parameters",
    "deploy_model",
    "evaluate_model",
    "ingest_data",
    "predict_batch",
    "register_model",
    "train_model",
    "transform_features",
    "tune_hyperparameters",
    "validate_data",
]


def __getattr__(name: str) -> Any:
    if name not in COMPONENTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{COMPONENTS[name]}.component"), name)
