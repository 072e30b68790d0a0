"""The arguments of all components, checked together.

Each component checks its own arguments when it runs, which may be minutes into a run. Here the same
checks are made for all tasks of a pipeline: those that need no data before anything runs, the
others as soon as the columns are known. Only errors that a task would raise are raised.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kfp_tabular.components.common import options
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.findings import Finding, Findings
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import TASK_KINDS, TaskKind
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.outcome_value.outcome_values import OutcomeValues
from kfp_tabular.components.common.processing import processing_settings
from kfp_tabular.components.common.statistics.distance_thresholds import DistanceThresholds
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_options import BaseHyperparameters
from kfp_tabular.components.data_ingestion.columns import column_formats
from kfp_tabular.components.data_ingestion.options import IngestionOptions
from kfp_tabular.components.data_ingestion.splits import split_choice
from kfp_tabular.components.data_validation.options import ValidationOptions
from kfp_tabular.components.deployment.kserve.resources.service_settings import ServiceSettings
from kfp_tabular.components.deployment.options import KSERVE, DeploymentOptions
from kfp_tabular.components.evaluation import blessing, fairness, slices
from kfp_tabular.components.evaluation.comparison import entities
from kfp_tabular.components.evaluation.options import EvaluationOptions
from kfp_tabular.components.feature_engineering import task_resolution
from kfp_tabular.components.feature_engineering.features import feature_config
from kfp_tabular.components.feature_engineering.options import AUTO, TransformOptions
from kfp_tabular.components.training import value_threshold
from kfp_tabular.components.training.options import NO_CALIBRATION, TrainingOptions
from kfp_tabular.components.training.train import check_placement
from kfp_tabular.components.tuning.local import samplers
from kfp_tabular.components.tuning.options import KATIB, TuningOptions
from kfp_tabular.components.tuning.search import objective, search_space, trial_models

Options = TypeVar("Options")
Values = Mapping[str, Any]

_ARGUMENT = re.compile(r"\A\w+")


@dataclass(frozen=True)
class TaskValues:
    """The arguments of a task, as far as they are known.

    Attributes:
        component: The name of its component, such as `train_model`.
        values: Argument values by name. Whole numbers may be floats, as in KFP.
        hyperparameters_of: The task whose hyperparameters document it trains with; None for its own
            arguments, empty where only the run can tell.
    """

    component: str
    values: Values
    hyperparameters_of: str | None = None


@dataclass(frozen=True)
class Problem:
    """What is wrong with an argument of a task.

    Attributes:
        task: The task.
        message: One line that begins with the argument's name.
    """

    task: str
    message: str

    def renamed(self, names: Mapping[str, str]) -> str:
        """Return the message with another name of the argument that it begins with.

        Args:
            names: Other names by argument; arguments that it lacks keep theirs.

        Example:
            >>> Problem("evaluate-model", "split: no such split.").renamed({"split": "test_split"})
            'test_split: no such split.'
        """
        return _ARGUMENT.sub(
            lambda first: names.get(first.group(), first.group()), self.message, count=1
        )


@dataclass(frozen=True)
class _Known:
    """What is known about the data.

    Attributes:
        examples: The examples; None before there are any.
        kinds: The kinds of task that the model may have.
        trained: What the task may train; None for what its own arguments say.
    """

    examples: Examples | None = None
    kinds: Sequence[TaskKind] = field(default=TASK_KINDS)
    trained: Sequence[Hyperparameters] | None = None

    @property
    def columns(self) -> Sequence[str] | None:
        """The columns of the examples; None before there are any."""
        return None if self.examples is None else list(self.examples.schema.names)


class _Quiet(Findings):
    """Findings that the task itself will report."""

    def add(self, finding: Finding) -> None:
        """Do nothing."""


def problems(tasks: Mapping[str, TaskValues], examples: Examples | None = None) -> list[Problem]:
    """Return what is wrong with the arguments of a pipeline's tasks, at most one problem each.

    Args:
        tasks: The tasks by name, in order.
        examples: The examples that they will work on, or an outline of them; None to check what
            needs no data.

    Example:
        >>> tasks = {"train-model": TaskValues("train_model", {"workers": 0})}
        >>> problems(tasks)
        [Problem(task='train-model', message='workers: expected at least 1, found 0.')]
    """
    kinds: Sequence[TaskKind] = TASK_KINDS
    found: dict[str, Problem] = {}
    for task, given in tasks.items():
        check = _CHECKS.get(given.component)
        if check is None:
            continue
        source = given.hyperparameters_of
        # What a task with a problem hands on is not known.
        producer = None if source is None or source in found else tasks.get(source)
        trained = None if source is None else _found_by(producer)
        try:
            kinds = check(given.values, _Known(examples, kinds, trained)) or kinds
        except UserError as error:
            found[task] = Problem(task, str(error))
    return list(found.values())


def _found_by(tuning: TaskValues | None) -> Sequence[Hyperparameters]:
    """Return what the document of a tuning task may hold; nothing if that is not known."""
    if tuning is None or tuning.component != "tune_hyperparameters":
        return ()
    given = _build(TuningOptions, tuning.values)
    base = given.hyperparameters()
    space = search_space.parse(search_space.entries(given)) if given.max_trials else ()
    names = trial_models.model_types(base, space)
    return [dataclasses.replace(base, model_type=name) for name in names]


def _ingestion(values: Values, known: _Known) -> None:
    if known.examples is not None:
        return
    settings = _build(IngestionOptions, values)
    options.check(settings)
    column_formats.parse(settings.column_types, settings.column_formats)
    split_choice.check(settings.split)
    processing_settings.parse(settings.processing)


def _validation(values: Values, known: _Known) -> None:
    settings = _build(ValidationOptions, values)
    options.check(settings)
    processing_settings.parse(settings.processing)
    for name in ("skew_thresholds", "drift_thresholds"):
        document = getattr(settings, name)
        DistanceThresholds.parse(document, name, known.columns or list(document))


def _transform(values: Values, known: _Known) -> Sequence[TaskKind]:
    settings = _build(TransformOptions, values)
    settings.check()
    processing_settings.parse(settings.processing)
    features = [name for name in known.columns or settings.feature_config if name != settings.label]
    feature_config.parse(settings.feature_config, features)
    given = [kind for kind in TASK_KINDS if settings.task == kind]
    if known.examples is None or not settings.label:
        return given or TASK_KINDS
    task_resolution.require_train(known.examples)
    task = task_resolution.resolve(
        known.examples, settings.label, settings.task or AUTO, settings.positive_class, _Quiet()
    )
    return [task.kind]


def _tuning(values: Values, known: _Known) -> None:
    settings = _build(TuningOptions, values)
    options.check(settings)
    _hyperparameters(settings)
    space = search_space.parse(search_space.entries(settings))
    job = JobSettings()
    if settings.backend == KATIB:
        job = JobSettings.parse(settings.job)
    else:
        samplers.parse(settings.algorithm, settings.algorithm_settings, space)
    if not settings.max_trials:
        return
    for problem in trial_models.problems(
        settings.hyperparameters(),
        space,
        model_fn=settings.model_fn,
        workers=job.workers,
        servers=job.parameter_servers > 0,
    ):
        raise UserError(problem)
    reported = sorted({f"eval_{name}" for kind in known.kinds for name in _REPORTED[kind]})
    for option in ("objective_metric", "additional_metrics"):
        names = getattr(settings, option)
        for name in [names] if isinstance(names, str) else names:
            if name and name not in (*reported, *_ALSO_REPORTED):
                raise UserError(
                    f"{option}: training does not report {name!r}{_of(known.kinds)}; it reports "
                    f"{', '.join(reported)} and train_loss.{closest(name, reported)}"
                )
    _for_any(
        known.kinds,
        lambda kind: objective.additional(
            objective.resolve(kind, settings), settings.additional_metrics
        ),
    )


def _training(values: Values, known: _Known) -> None:
    settings = _build(TrainingOptions, values)
    options.check(settings)
    _hyperparameters(settings)
    own = [settings.hyperparameters()]
    for hyperparameters in own if known.trained is None else known.trained:
        check_placement(hyperparameters, settings)
    if settings.class_weights != "none" and list(known.kinds) == ["regression"]:
        raise UserError("class_weights: 'balanced' needs classes; use 'none' for regression.")
    if settings.calibration != NO_CALIBRATION and list(known.kinds) == ["regression"]:
        raise UserError("calibration: a regression model has no probabilities; leave it out.")
    threshold = TrainingOptions.decision_threshold
    _for_any(known.kinds, lambda kind: value_threshold.parse(settings, kind))
    if "binary" not in known.kinds and str(settings.decision_threshold) != threshold:
        raise UserError(
            f"decision_threshold: this is a {known.kinds[0]} task; only a binary model has a "
            "threshold. Leave it out."
        )


def _evaluation(values: Values, known: _Known) -> None:
    settings = _build(EvaluationOptions, values)
    options.check(settings)
    processing_settings.parse(settings.processing)
    if settings.split and known.examples is not None:
        known.examples.require(settings.split)
    slicings = slices.names(settings.all_slice_columns(), known.columns)
    for argument in ("thresholds", "change_thresholds"):
        document = getattr(settings, argument)
        every = list(dict.fromkeys(name for kind in known.kinds for name in blessing.METRICS[kind]))
        for metric in document:
            if metric not in every and len(known.kinds) > 1:
                raise UserError(
                    f"{argument}: {metric!r} is not a metric; the metrics are: "
                    f"{', '.join(every)}.{closest(metric, every)}"
                )
        _for_any(
            known.kinds,
            lambda kind, document=document, argument=argument: blessing.parse_bounds(  # type: ignore[misc]
                document, kind, slicings, argument=argument
            ),
        )
    _for_any(
        known.kinds,
        lambda kind: blessing.parse_claims(settings.change_thresholds, kind, slicings),
    )
    groups = slices.names(settings.fairness_columns)
    _for_any(
        known.kinds,
        lambda kind: fairness.parse_bounds(settings.fairness_thresholds, groups, kind),
    )
    _for_any(known.kinds, lambda kind: OutcomeValues.parse(settings.outcome_values, kind))
    if known.examples is not None and "binary" in known.kinds:
        outcomes = OutcomeValues.parse(settings.outcome_values, "binary")
        if outcomes is not None:
            outcomes.check(known.examples.schema)
    if known.columns is not None:
        entities.check(settings.entity_columns, known.columns)


def _deployment(values: Values, known: _Known) -> None:
    if known.examples is not None:
        return
    settings = _build(DeploymentOptions, values)
    options.check(settings)
    if settings.backend == KSERVE:
        ServiceSettings.parse(settings.service)


_CHECKS: Mapping[str, Callable[[Values, _Known], Sequence[TaskKind] | None]] = {
    "ingest_data": _ingestion,
    "validate_data": _validation,
    "transform_features": _transform,
    "tune_hyperparameters": _tuning,
    "train_model": _training,
    "evaluate_model": _evaluation,
    "deploy_model": _deployment,
}

_REPORTED: Mapping[TaskKind, Sequence[str]] = {
    "binary": ("auc", "log_loss", "accuracy"),
    "multiclass": ("log_loss", "accuracy"),
    "regression": ("rmse", "mae", "r2"),
}
"""What training measures; a test compares with `prediction_metrics.score`."""

_ALSO_REPORTED = ("train_loss",)


def _build(kind: type[Options], values: Values) -> Options:
    """Return a component's options. A KFP number is a float, and a required one may be unknown."""
    given = dict(values)
    for name, option in options.describe(kind).items():
        value = given.get(name)
        if option.type is int and isinstance(value, float) and value.is_integer():
            given[name] = int(value)
        if name not in given and option.default is dataclasses.MISSING:
            given[name] = ""
    return options.build(kind, given)


def _hyperparameters(settings: BaseHyperparameters) -> None:
    settings.hyperparameters().check()


def _for_any(kinds: Sequence[TaskKind], check: Callable[[TaskKind], object]) -> None:
    """Raise the first error of a check where no kind of task passes it."""
    errors = list(_errors(kinds, check))
    if len(errors) == len(kinds):
        raise errors[0]


def _errors(kinds: Sequence[TaskKind], check: Callable[[TaskKind], object]) -> Iterator[UserError]:
    for kind in kinds:
        try:
            check(kind)
        except UserError as error:
            yield error


def _of(kinds: Sequence[TaskKind]) -> str:
    return f" of a {kinds[0]} model" if len(kinds) == 1 else ""
