"""Checks a search before Katib sees it, and finds everything that is wrong with it at once.

Katib's resources have no schema: its webhook looks at little, its services refuse the rest later
or fail in the middle of a search.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeVar

from kfp_tabular.components.common.artifacts.hyperparameters import MODEL_TYPES, Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.storage.location import parse as parse_uri
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.tuning.katib import algorithm_checks, trial_command
from kfp_tabular.components.tuning.katib.experiment import (
    METRICS_FILE,
    ExperimentSpec,
    choices,
    flag,
)
from kfp_tabular.components.tuning.katib.trial_kinds import TRIAL_KINDS, TrialKind
from kfp_tabular.components.tuning.limits import Limits
from kfp_tabular.components.tuning.search import early_stopping, objective, search_space
from kfp_tabular.components.tuning.search.search_space import Choice, SearchSpace

RESUME_POLICIES = ("Never", "LongRunning", "FromVolume")

_INT32 = 2**31 - 1
_SOME_OBJECTIVE = objective.Objective("eval_auc", "maximize", "max")

T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """What Katib is to search, as it was asked for.

    Attributes:
        transformed_examples: Where trials find the transformed examples: a URI, or a path inside a
            volume of `job`.
        transform_graph: Where they find the transform graph.
        task: The kind of task, which the default objective follows from.
        base: The hyperparameters that hold where the search does not say otherwise.
        search_space: Katib's `parameters` list; empty for a default that fits the model type.
        algorithm: Katib's name of the algorithm.
        algorithm_settings: Katib's settings of the algorithm.
        limits: How much is tried.
        objective_metric: The metric to judge trials by; empty for the task's default.
        objective_goal: `maximize` or `minimize`; empty where it follows from the metric.
        objective_strategy: `max`, `min` or `latest`; empty for the best report.
        objective_target: A number as text, at which the search ends; empty for none.
        additional_metrics: Further metrics to collect, by name with the strategy; an empty
            strategy is that of the objective.
        early_stopping: `medianstop` or `none`.
        min_trials_required: A setting of `medianstop`.
        start_step: A setting of `medianstop`.
        trial_kind: One of `TRIAL_KINDS`.
        job: What a trial asks of the cluster; see `JobSettings`.
        resume_policy: One of `RESUME_POLICIES`.
        retain_trials: Whether the jobs of finished trials stay.
        training_flags: More flags of the training program, by name without dashes; empty values
            are left out.
        seed: The seed of the search and of every trial's training.
    """

    transformed_examples: str
    transform_graph: str
    task: TaskKind
    base: Hyperparameters = field(default_factory=Hyperparameters)
    search_space: Sequence[object] = ()
    algorithm: str = "tpe"
    algorithm_settings: Mapping[str, object] = field(default_factory=dict)
    limits: Limits = field(default_factory=lambda: Limits(max_trials=12))
    objective_metric: str = ""
    objective_goal: str = ""
    objective_strategy: str = ""
    objective_target: str = ""
    additional_metrics: Mapping[str, str] = field(default_factory=dict)
    early_stopping: str = "medianstop"
    min_trials_required: int = 3
    start_step: int = 4
    trial_kind: str = "tfjob"
    job: Mapping[str, object] = field(default_factory=dict)
    resume_policy: str = "Never"
    retain_trials: bool = False
    training_flags: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0


class _Problems:
    """Collects what is wrong."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, *problems: str) -> None:
        self.found += problems

    def of(self, default: T, work: Callable[[], T]) -> T:
        """Does something that may find bad input, and goes on with a default where it did."""
        try:
            return work()
        except UserError as error:
            self.found.append(str(error))
            return default

    def one_of(self, name: str, value: str, allowed: Sequence[str]) -> None:
        if value not in allowed:
            self.found.append(
                f"{name}: {value!r} is unknown.{closest(value, allowed)} "
                f"There are {', '.join(allowed)}."
            )

    def raise_if_any(self) -> None:
        """Raises what was found as one error.

        Raises:
            UserError: Where anything was found.
        """
        if len(self.found) == 1:
            raise UserError(self.found[0])
        if self.found:
            numbered = " ".join(f"({n}) {problem}" for n, problem in enumerate(self.found, 1))
            raise UserError(f"{len(self.found)} things keep Katib from searching: {numbered}")


def check(wanted: Wanted) -> ExperimentSpec:
    """Turns what was asked for into what Katib can do.

    Args:
        wanted: What was asked for.

    Returns:
        The search, as yet without name, namespace and labels.

    Raises:
        UserError: Where Katib could not do it, or would not do what was meant; one message with
            everything that was found.
    """
    problems = _Problems()
    problems.one_of("model_type", wanted.base.model_type, MODEL_TYPES)
    problems.add(*wanted.limits.problems(), *_limits(wanted.limits))
    entries = wanted.search_space or search_space.default(wanted.base.model_type)
    space, unreadable = search_space.read(entries)
    problems.add(*unreadable, *_values(space))
    rule = problems.of(
        None,
        lambda: early_stopping.rule(
            wanted.early_stopping, wanted.min_trials_required, wanted.start_step
        ),
    )
    goal = problems.of(
        _SOME_OBJECTIVE,
        lambda: objective.resolve(
            wanted.task, wanted.objective_metric, wanted.objective_goal, wanted.objective_strategy
        ),
    )
    target = problems.of(None, lambda: objective.target(wanted.objective_target))
    none: dict[str, objective.Strategy] = {}
    additional = problems.of(none, lambda: objective.additional(goal, wanted.additional_metrics))
    limits = wanted.limits
    search = algorithm_checks.Search(
        space, limits.max_trials, limits.parallel_trials, wanted.early_stopping != "none"
    )
    settings, unfit = algorithm_checks.check(
        wanted.algorithm, wanted.algorithm_settings, search, wanted.seed
    )
    # What a space cannot be searched for means nothing where a part of it could not be read.
    problems.add(*(found for found in unfit if not unreadable or found.startswith("algorithm")))
    problems.one_of("resume_policy", wanted.resume_policy, RESUME_POLICIES)
    if not 0 <= wanted.seed <= _INT32:
        problems.add(f"seed: Katib takes 0 to {_INT32}, found {wanted.seed}.")
    job = problems.of(JobSettings(), lambda: JobSettings.parse(wanted.job))
    arguments = _arguments(wanted, space)
    trial = TrainingJobSpec(
        arguments=[*(flag(name, value) for name, value in arguments.items()), "--no-export"],
        settings=job,
    )
    problems.add(*_words(arguments), *_job(job), *_reach(wanted, job))
    problems.one_of("trial_kind", wanted.trial_kind, tuple(TRIAL_KINDS))
    kind = TRIAL_KINDS.get(wanted.trial_kind, TRIAL_KINDS["tfjob"])
    if wanted.trial_kind in TRIAL_KINDS:
        problems.of(None, lambda: bool(kind.template(trial, ())))
    problems.raise_if_any()
    return ExperimentSpec(
        space=space,
        algorithm=wanted.algorithm,
        algorithm_settings=settings,
        objective=goal,
        target=target,
        additional_metrics=additional,
        max_trials=limits.max_trials,
        parallel_trials=limits.parallel_trials,
        max_failed_trials=limits.max_failed_trials,
        early_stopping=rule,
        resume_policy=wanted.resume_policy,
        retain_trials=wanted.retain_trials,
        kind=kind,
        trial=trial,
    )


def check_name(name: str, kind: TrialKind) -> None:
    """Checks the name of an Experiment.

    Args:
        name: The name.
        kind: What its trials are; their names, and those of their pods, are made of it.

    Raises:
        UserError: For a name that is too long, or none.
    """
    if len(name) > kind.name_limit:
        raise UserError(
            f"name: {name!r} has {len(name)} characters; an Experiment of trials of kind "
            f"{kind.job.resource.kind} may have {kind.name_limit}, so that its pods' names fit."
        )
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        raise UserError(
            f"name: {name!r} is no name of an Experiment: lower-case letters, digits and hyphens, "
            "a letter first and no hyphen at the end."
        )


def check_placeholders(experiment: Mapping[str, Any]) -> None:
    """Checks that every parameter is used in the trial, and every one that is used declared.

    Katib refuses an Experiment otherwise. What is searched is always used; what a user's own
    labels or variables hold is only known here.

    Raises:
        UserError: Where one is used or declared alone.
    """
    template = experiment["spec"]["trialTemplate"]
    declared = {entry["name"] for entry in template["trialParameters"]}
    used = trial_command.used_placeholders(json.dumps(template["trialSpec"], ensure_ascii=False))
    for name in sorted(used - declared):
        raise UserError(
            f"job: it uses Katib's parameter {name!r}, which search_space does not hold."
            f"{closest(name, declared)}"
        )
    for name in sorted(declared - used):
        raise UserError(f"search_space ({name}): no flag of the trial uses it.")


def _limits(limits: Limits) -> list[str]:
    problems = []
    if limits.max_trials == 0:
        problems.append("max_trials: an Experiment needs at least 1, found 0.")
    if limits.parallel_trials > limits.max_trials > 0:
        problems.append(
            f"parallel_trials: {limits.parallel_trials} at a time are more than the "
            f"{limits.max_trials} of max_trials, which Katib refuses."
        )
    for name, value in asdict(limits).items():
        if value >= _INT32:
            problems.append(f"{name}: must be below {_INT32}, found {value}.")
    return problems


def _values(space: SearchSpace) -> list[str]:
    return [
        f"search_space ({entry.name}): feasibleSpace.list holds {value!r}, which would not reach "
        "the trial as it is; use letters, digits and _.,:/=@%+-."
        for entry in space
        if isinstance(entry, Choice)
        for value in choices(entry)
        if not trial_command.SEARCHED_VALUE.fullmatch(value)
    ]


def _arguments(wanted: Wanted, space: SearchSpace) -> dict[str, object]:
    searched = {entry.name for entry in space}
    fixed = {name: value for name, value in asdict(wanted.base).items() if name not in searched}
    return {
        "transformed-examples": wanted.transformed_examples,
        "transform-graph": wanted.transform_graph,
        "metrics-file": METRICS_FILE,
        "seed": wanted.seed,
        **{name: value for name, value in wanted.training_flags.items() if value},
        **fixed,
    }


def _words(arguments: Mapping[str, object]) -> list[str]:
    found = ((name, trial_command.problem(str(value))) for name, value in arguments.items())
    return [
        f"{name.replace('-', '_')}: {arguments[name]!r} {problem}."
        for name, problem in found
        if problem
    ]


def _reach(wanted: Wanted, job: JobSettings) -> list[str]:
    problems = []
    for name in ("transformed_examples", "transform_graph"):
        given = getattr(wanted, name)
        try:
            location = parse_uri(given)
        except UserError as error:
            problems.append(f"{name}: {error}")
            continue
        path = PurePosixPath(location.key)
        mounts = [volume.mount_path for volume in job.volumes]
        if location.is_local and not any(path.is_relative_to(mount) for mount in mounts):
            problems.append(
                f"{name}: {given} is a path of this task's pod, which the trials' pods do not "
                "have. Keep artifacts in gs://, s3:// or minio://, or on a volume that job.volumes "
                "mounts at the same path."
            )
    return problems


def _job(job: JobSettings) -> list[str]:
    problems = []
    if job.ttl_seconds is not None:
        problems.append(
            "job.ttl_seconds: Katib removes the jobs of finished trials itself, and starts one "
            "again that vanished before it had looked; leave it out, or see retain_trials."
        )
    directory = PurePosixPath(METRICS_FILE).parent
    paths = [volume.mount_path for volume in job.volumes]
    paths += [secret.mount_path for secret in job.secrets if secret.mount_path]
    if any(PurePosixPath(path) == directory for path in paths):
        problems.append(f"job: mount_path {directory} is Katib's own; choose another.")
    return problems
