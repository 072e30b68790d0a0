"""Gives the Experiment that the task would create, for review and GitOps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.hyperparameters import Hyperparameters
from kfp_tabular.components.common.task import TASK_KINDS, TaskKind
from kfp_tabular.components.tuning.katib.check import Wanted, check, check_name, check_placeholders
from kfp_tabular.components.tuning.katib.experiment import ExperimentSpec, experiment
from kfp_tabular.components.tuning.limits import Limits


@dataclass(frozen=True)
class Config:
    """The arguments of `tune_hyperparameters` that an Experiment depends on, under their names.

    Attributes:
        name: The Experiment's name.
        transformed_examples: URI of the transformed examples, or a path in a volume of `job`.
        transform_graph: URI of the transform graph, or such a path.
        namespace: Where it is to be; empty leaves that to whoever applies it.
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

    name: str
    transformed_examples: str
    transform_graph: str
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
        given = vars(self)
        base = {
            name: given[name]
            for name in ("model_type", "epochs", "train_steps", "batch_size", "learning_rate")
        }
        same = {name: given[name] for name in _SAME}
        return Wanted(
            **same,
            task=cast(TaskKind, self.task),
            base=Hyperparameters().updated({**base, **self.base_hyperparameters}),
            limits=Limits(self.max_trials, self.parallel_trials, self.max_failed_trials),
            training_flags={
                "class-weights": self.class_weights,
                "early-stopping-patience": str(self.early_stopping_patience),
                "model-fn": self.model_fn,
            },
        )


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


def render_experiment(config: Mapping[str, Any], source: str = "config") -> dict[str, Any]:
    """Gives the Experiment for a configuration.

    Args:
        config: The attributes of `Config` by name.
        source: How to name it in an error.

    Raises:
        UserError: For a key that is unknown, or a search that Katib could not do.
    """
    parsed = documents.parse(Config, config, source)
    return named(check(parsed.wanted()), parsed.name, parsed.namespace)


def named(
    spec: ExperimentSpec,
    name: str,
    namespace: str = "",
    labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Gives the Experiment of a search under a name.

    Args:
        spec: The search.
        name: The Experiment's name.
        namespace: Its namespace; empty to leave it out.
        labels: Labels of the Experiment and of its trials' jobs and pods.

    Raises:
        UserError: For a name that does not fit, or a parameter of Katib that is used but not there.
    """
    check_name(name, spec.kind)
    trial = replace(spec.trial, name=name, namespace=namespace, labels=labels or {})
    resource = experiment(replace(spec, trial=trial))
    check_placeholders(resource)
    return resource
