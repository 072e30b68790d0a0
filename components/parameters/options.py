"""The options of `check_parameters`: arguments of other components under the pipeline's names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common import options
from kfp_tabular.components.common.options import option
from kfp_tabular.components.data_validation.options import ValidationOptions
from kfp_tabular.components.evaluation.options import EvaluationOptions
from kfp_tabular.components.feature_engineering.options import TransformOptions
from kfp_tabular.components.training.options import TrainingOptions
from kfp_tabular.components.tuning.options import TuningOptions

TUNING, TRAINING = "tune_hyperparameters", "train_model"

OPTIONS: Mapping[str, type] = {
    "validate_data": ValidationOptions,
    "transform_features": TransformOptions,
    TUNING: TuningOptions,
    TRAINING: TrainingOptions,
    "evaluate_model": EvaluationOptions,
}
"""The components whose arguments are checked, with their options."""

RENAMED = {
    (TUNING, "base_hyperparameters"): "hyperparameters",
    (TUNING, "backend"): "tuning_backend",
    (TUNING, "job"): "trial_job",
    (TRAINING, "base_hyperparameters"): "hyperparameters",
    (TRAINING, "backend"): "training_backend",
    (TRAINING, "job"): "training_job",
    ("evaluate_model", "split"): "evaluation_split",
}
"""By component and argument, the name here, where it is another one."""


def _of(component: str, argument: str, default: Any = None) -> Any:
    """Return a component's option as one of this component."""
    declared = options.describe(OPTIONS[component])[argument]
    return option(declared.default if default is None else default, declared.meaning)


@dataclass(frozen=True)
class ParameterOptions:
    """The arguments: name, type, default and meaning of each."""

    label: str = _of("transform_features", "label", "")
    task: str = _of("transform_features", "task")
    model_type: str = _of(TUNING, "model_type")
    model_fn: str = _of(TUNING, "model_fn")
    hyperparameters: Mapping[str, Any] = _of(TUNING, "base_hyperparameters")
    class_weights: str = _of(TRAINING, "class_weights")
    decision_threshold: str = _of(TRAINING, "decision_threshold")
    workers: int = _of(TRAINING, "workers")
    training_backend: str = _of(TRAINING, "backend")
    training_job: Mapping[str, Any] = _of(TRAINING, "job")
    search_space: Sequence[Any] = _of(TUNING, "search_space")
    algorithm: str = _of(TUNING, "algorithm")
    algorithm_settings: Mapping[str, Any] = _of(TUNING, "algorithm_settings")
    tuning_backend: str = _of(TUNING, "backend")
    trial_job: Mapping[str, Any] = _of(TUNING, "job")
    max_trials: int = _of(TUNING, "max_trials")
    objective_metric: str = _of(TUNING, "objective_metric")
    evaluation_split: str = _of("evaluate_model", "split")
    slice_columns: Sequence[str] = _of("evaluate_model", "slice_columns")
    thresholds: Mapping[str, Any] = _of("evaluate_model", "thresholds")
    change_thresholds: Mapping[str, Any] = _of("evaluate_model", "change_thresholds")
