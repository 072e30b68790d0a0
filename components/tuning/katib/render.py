"""Gives the Experiment that the task would create, for review and GitOps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import TASK_KINDS, TaskKind
from kfp_tabular.components.common.kubernetes import names
from kfp_tabular.components.tuning.katib.experiment_checks import Wanted
from kfp_tabular.components.tuning.katib.experiment_plan import order
from kfp_tabular.components.tuning.limits import Limits


@dataclass(frozen=True)
class Config:
    """The arguments of `tune_hyperparameters` that an Experiment depends on.

    Attributes:
        transformed_examples: URI of the input.
        transform_graph: URI of the input.
        name: The Experiment's name; empty for that which the task would give it.
        namespace: Where it would be; empty to leave it out.
        run_id: The pipeline run.
        task: The kind of task: `binary`, `multiclass` or `regression`.
        search_space: As of the component; so are all that follow.
        algorithm: See the component.
        algorithm_settings: See the component.
        max_trials: See the component.
        parallel_trials: See the component.
        max_failed_trials: See the component.
        objective_metric: See the component.
        objective_goal: See the component.
        objective_strategy: See the component.
        objective_target: See the component.
        additional_metrics: See the component.
        early_stopping: See the component.
        min_trials_required: See the component.
        start_step: See the component.
        model_type: See the component.
        epochs: See the component.
        train_steps: See the component.
        batch_size: See the component.
        learning_rate: See the component.
        base_hyperparameters: See the component.
        class_weights: See the component.
        early_stopping_patience: See the component.
        model_fn: See the component.
        seed: See the component.
        trial_kind: See the component.
        job: See the component.
        resume_policy: See the component.
        retain_trials: See the component.
    """

    transformed_examples: str
    transform_graph: str
    name: str = ""
    run_id: str = ""
    namespace: str = field(default="", metadata={"check": documents.label_name})
    task: str = field(default="binary", metadata={"check": documents.one_of(*TASK_KINDS)})
    search_space: tuple[Any, ...] = ()
    algorithm: str = "tpe"
    algorithm_settings: Mapping[str, Any] = field(default_factory=dict)
    max_trials: int = 12
    parallel_trials: int = 1
    max_failed_trials: int = 3
    objective_metric: str = ""
    objective_goal: str = ""
    objective_strategy: str = ""
    objective_target: str = ""
    additional_metrics: Mapping[str, str] = field(default_factory=dict)
    early_stopping: str = "medianstop"
    min_trials_required: int = 3
    start_step: int = 4
    model_type: str = Hyperparameters.model_type
    epochs: int = Hyperparameters.epochs
    train_steps: int = Hyperparameters.train_steps
    batch_size: int = Hyperparameters.batch_size
    learning_rate: float = Hyperparameters.learning_rate
    base_hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    class_weights: str = "none"
    early_stopping_patience: int = 5
    model_fn: str = ""
    seed: int = 0
    trial_kind: str = "tfjob"
    job: Mapping[str, Any] = field(default_factory=dict)
    resume_policy: str = "Never"
    retain_trials: bool = False

    def wanted(self) -> Wanted:
        """Gives what is to be searched.

        Raises:
            UserError: For a base value that does not fit.
        """
        return Wanted(
            **{name: getattr(self, name) for name in _SAME},
            task=cast(TaskKind, self.task),
            base=Hyperparameters().updated(
                {name: getattr(self, name) for name in _BASE} | dict(self.base_hyperparameters)
            ),
            limits=Limits(self.max_trials, self.parallel_trials, self.max_failed_trials),
            training_flags={
                "class-weights": self.class_weights,
                "early-stopping-patience": str(self.early_stopping_patience),
                "model-fn": self.model_fn,
            },
        )


_BASE = ("model_type", "epochs", "train_steps", "batch_size", "learning_rate")
_SAME = (
    "transformed_examples",
    "transform_graph",
    "search_space",
    "algorithm",
    "algorithm_settings",
    "objective_metric",
    "objective_goal",
    "objective_strategy",
    "objective_target",
    "additional_metrics",
    "early_stopping",
    "min_trials_required",
    "start_step",
    "trial_kind",
    "job",
    "resume_policy",
    "retain_trials",
    "seed",
)


def render_experiment(config: Any, source: str = "config") -> dict[str, Any]:
    """Gives the Experiment that `tune_hyperparameters(backend="katib")` would create.

    Args:
        config: A mapping from YAML or JSON; keys are those of `Config`.
        source: How to name it in an error.

    Raises:
        UserError: For a key that is unknown, or a search that Katib could not do.
    """
    given = documents.parse(Config, config, source)
    resource = order(given.wanted(), given.run_id, name=given.name).resource
    metadata = {**resource["metadata"]}
    if given.namespace:
        metadata["namespace"] = given.namespace
    metadata["annotations"] = {
        **metadata.get("annotations", {}),
        names.DIGEST_ANNOTATION: names.spec_digest(resource),
    }
    return {**resource, "metadata": metadata}
