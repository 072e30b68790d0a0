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

OPTIONS: Mapping[str, type] = {
    "validate_data": ValidationOptions,
    "transform_features": TransformOptions,
    "tune_hyperparameters": TuningOptions,
    "train_model": TrainingOptions,
    "evaluate_model": EvaluationOptions,
}
"""The components whose arguments are checked, with their options."""

RENAMED = {
    ("tune_hyperparameters", "base_hyperparameters"): "hyperparameters",
    ("train_model", "base_hyperparameters"): "hyperparameters",
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
    decision_threshold: float = _of("train_model", "decision_threshold")
    max_trials: int = _of("tune_hyperparameters", "max_trials")
    objective_metric: str = _of("tune_hyperparameters", "objective_metric")
    evaluation_split: str = _of("evaluate_model", "split")
    slice_columns: Sequence[str] = _of("evaluate_model", "slice_columns")
    thresholds: Mapping[str, Any] = _of("evaluate_model", "thresholds")
    change_thresholds: Mapping[str, Any] = _of("evaluate_model", "change_thresholds")
