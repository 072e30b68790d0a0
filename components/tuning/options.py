"""The options of `tune_hyperparameters`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common.documents import at_least, one_of
from kfp_tabular.components.common.options import option
from kfp_tabular.components.common.training_job.job_kinds import JOB_KINDS
from kfp_tabular.components.common.training_options import BaseHyperparameters, LearningOptions

LOCAL, KATIB = "local", "katib"
BACKENDS = (LOCAL, KATIB)

GOALS = ("maximize", "minimize")
STRATEGIES = ("max", "min", "latest")
MEDIAN_STOP = "medianstop"
RESUME_POLICIES = ("Never", "LongRunning", "FromVolume")


def target_value(text: str) -> float | None:
    """Return the objective value that ends a search, or None for empty text.

    Raises:
        ValueError: If the text is not a finite number.

    Example:
        >>> target_value("0.9"), target_value("")
        (0.9, None)
    """
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("expected a number")
    return number


def _check_target(text: str) -> None:
    target_value(text)


@dataclass(frozen=True)
class SearchOptions:
    """What to search, how, by which objective, and when to stop."""

    search_space: list[Any] = option(
        [],
        """Hyperparameters to search, in the format of Katib's `parameters`: a list of `{"name":
        "learning_rate", "parameterType": "double", "feasibleSpace": {"min": "0.0001", "max":
        "0.1", "distribution": "logUniform"}}`. Types are `double`, `int`, `categorical` and
        `discrete`. A feasible space has `min`, `max`, `step` and `distribution` (`uniform`,
        `logUniform`, `normal`, `logNormal`), or `list`. Numbers may be text. Empty: a default
        space that fits the model type.""",
    )
    algorithm: str = option(
        "tpe",
        """`tpe`, `multivariate-tpe`, `random`, `grid` or `cmaes`; with `katib` also
        `bayesianoptimization`, `sobol` and `hyperband`. A local grid search ends when all points
        are used; with `katib`, `max_trials` must not exceed the number of points.""",
    )
    algorithm_settings: Mapping[str, Any] = option(
        {},
        """Settings of the algorithm under Katib's names: `n_startup_trials` and `n_ei_candidates`
        of `multivariate-tpe`; `gamma`, `prior_weight` and `n_EI_candidates` of `tpe`; `sigma` and
        `restart_strategy` of `cmaes`; `base_estimator`, `n_initial_points`, `acq_func` and
        `acq_optimizer` of `bayesianoptimization`; `r_l`, `eta` and `resource_name` of `hyperband`.
        The local `tpe` also has `n_startup_trials`.""",
    )
    max_trials: int = option(
        0,
        "Number of trials, including failed ones. 0 passes the given hyperparameters on.",
        check=at_least(0),
    )
    parallel_trials: int = option(
        1,
        "Number of trials that run at a time. Local trials share the task's cores.",
        check=at_least(1),
    )
    max_failed_trials: int = option(
        3,
        "Number of trials that may fail; one more fails the task.",
        check=at_least(0),
    )
    objective_metric: str = option(
        "",
        """Metric to compare trials by, under the name that training reports, such as
        `eval_accuracy`. Empty: `eval_auc` for a binary task, `eval_log_loss` for a multiclass
        task, `eval_rmse` for regression.""",
    )
    objective_goal: str = option(
        "",
        "`maximize` or `minimize`. Empty: follows from the metric's name.",
        check=one_of(*GOALS),
    )
    objective_strategy: str = option(
        "",
        """Which report of a trial counts: `max`, `min` or `latest`. Empty: the best one, whose
        weights training keeps.""",
        check=one_of(*STRATEGIES),
    )
    objective_target: str = option(
        "",
        "A number as text: no trial starts once one has reached it. Empty: no target.",
        check=_check_target,
    )
    additional_metrics: Mapping[str, Any] = option(
        {},
        """More metrics to show for each trial. For each name, the report that counts: `max`,
        `min`, `latest`, or empty to choose by the name; such as `{"eval_log_loss": "min"}`.""",
    )
    early_stopping: str = option(
        MEDIAN_STOP,
        """`medianstop` stops a trial whose best report after `start_step` reports is worse than
        the mean of what successful trials had reported by then; `none` lets every trial
        finish.""",
        check=one_of(MEDIAN_STOP, "none"),
    )
    min_trials_required: int = option(
        3,
        "For `medianstop`: number of trials that must succeed before one is stopped.",
        check=at_least(1),
    )
    start_step: int = option(
        4,
        "For `medianstop`: number of reports after which a trial is judged.",
        check=at_least(1),
    )


@dataclass(frozen=True)
class BackendOptions:
    """Where trials run."""

    backend: str = option(
        LOCAL,
        """Where trials run: `local`, as processes of this task; or `katib`, as jobs of a Katib
        Experiment in the task's namespace. A retried task continues to wait for its Experiment; a
        cancelled task deletes it.""",
        check=one_of(*BACKENDS),
    )
    study_directory: str = option(
        "",
        """For `local`: a directory that outlives the task, such as one on a mounted volume, to
        record trials in. It lets a new container resume a search, and a larger `max_trials`
        continue a finished one. Empty: beside the output, removed after the search.""",
    )
    trial_kind: str = option(
        "tfjob",
        """For `katib`: the job of a trial: `tfjob` (Training Operator), `trainjob` (Kubeflow
        Trainer; the Katib controller must be set up for it) or `job`, a plain Job of one pod.""",
        check=one_of(*JOB_KINDS),
    )
    job: Mapping[str, Any] = option(
        {},
        """For `katib`: what each trial requests from the cluster: `image`, `workers`, `cpu`,
        `memory`, `gpus`, `volumes`, `secrets`, `object_store` and more, as in train_model's `job`.
        Its `deadline_seconds` limits the whole search.""",
    )
    resume_policy: str = option(
        "Never",
        """For `katib`: what happens to the algorithm's service after the search: `Never` removes
        it, `LongRunning` keeps it, `FromVolume` keeps its state on a volume.""",
        check=one_of(*RESUME_POLICIES),
    )
    retain_trials: bool = option(
        False,
        "For `katib`: keep the jobs of finished trials, to inspect their pods.",
    )
    run_id: str = option(
        "",
        """For `katib`: ID of the pipeline run, for the Experiment's name and labels; a retried
        task finds its Experiment by it. Empty: read from where KFP stores the outputs. An argument
        that differs from run to run would disable caching.""",
    )


@dataclass(frozen=True)
class TuningOptions(BackendOptions, LearningOptions, BaseHyperparameters, SearchOptions):
    """The arguments of `tune_hyperparameters` that are not artifacts.

    Example:
        >>> options = TuningOptions(max_trials=20, epochs=5, base_hyperparameters={"dropout": 0.1})
        >>> options.algorithm, options.hyperparameters().dropout
        ('tpe', 0.1)
    """


def learning_record(options: LearningOptions) -> dict[str, str]:
    """Return how trials learn, in the form that digests have had since the first version.

    The names of studies and Experiments follow from it: another form would keep a retried task from
    finding its own.

    Example:
        >>> learning_record(LearningOptions(class_weights="balanced"))
        {'class-weights': 'balanced', 'early-stopping-patience': '5', 'model-fn': ''}
    """
    return {
        "class-weights": options.class_weights,
        "early-stopping-patience": str(options.early_stopping_patience),
        "model-fn": options.model_fn,
    }
