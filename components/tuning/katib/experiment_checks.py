"""Checks of a search before Katib gets it, which find everything that is wrong at once.

Katib's resources have no schema. Its webhook checks little; its services reject the rest later, or
fail in the middle of a search.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import PurePosixPath
from typing import Any, TypeVar

from kfp_tabular.components.common import options as common_options
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.pods.artifact_access import require_reachable
from kfp_tabular.components.common.training_job.job_settings import JobSettings
from kfp_tabular.components.common.training_job.job_spec import TrainingJobSpec
from kfp_tabular.components.common.training_options import (
    NO_EXPORT,
    LearningOptions,
    flag,
)
from kfp_tabular.components.tuning.katib import algorithm_checks, trial_command
from kfp_tabular.components.tuning.katib.experiment import (
    METRICS_FILE,
    ExperimentSpec,
    choices,
)
from kfp_tabular.components.tuning.katib.experiment_request import ExperimentRequest
from kfp_tabular.components.tuning.katib.trial_kinds import TRIAL_KINDS, TrialKind
from kfp_tabular.components.tuning.options import SearchOptions, target_value
from kfp_tabular.components.tuning.search import (
    early_stopping,
    objective,
    search_space,
    trial_models,
)
from kfp_tabular.components.tuning.search.objective import Objective, Strategy
from kfp_tabular.components.tuning.search.search_space import Choice, SearchSpace

_INT32 = 2**31 - 1
_SOME_OBJECTIVE = Objective("eval_auc", "maximize", "max")

T = TypeVar("T")


class _Problems:
    """Collects what is wrong."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, *problems: str) -> None:
        self.found += [problem for problem in problems if problem not in self.found]

    def collect(self, default: T, work: Callable[[], T]) -> T:
        """Return what `work` returns; if it raises, note the problem and return a default."""
        try:
            return work()
        except (UserError, ValueError) as error:
            if isinstance(error, UserError):
                self.add(str(error))
            return default

    def raise_if_any(self) -> None:
        """Raise all problems as one error.

        Raises:
            UserError: If there are any.
        """
        if len(self.found) == 1:
            raise UserError(self.found[0])
        if self.found:
            numbered = " ".join(f"({n}) {problem}" for n, problem in enumerate(self.found, 1))
            raise UserError(
                f"Katib would reject this search, for {len(self.found)} reasons: {numbered}"
            )


def check(request: ExperimentRequest) -> ExperimentSpec:
    """Check a request, and return it in the form from which the Experiment is built.

    Args:
        request: What to search.

    Returns:
        The search, without name, namespace and labels.

    Raises:
        UserError: If Katib could not run the search, or would not run it as the options
            describe; one message with all problems.

    Example:
        >>> from kfp_tabular.components.tuning.options import TuningOptions
        >>> options = TuningOptions(max_trials=12, parallel_trials=20, algorithm="grdi")
        >>> check(ExperimentRequest(options, "gs://b/examples", "gs://b/graph", "binary"))
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: Katib would reject this search, for 2
        reasons: (1) parallel_trials: 20 at a time are more than max_trials (12), which Katib
        rejects. (2) algorithm: 'grdi' is unknown. Did you mean 'grid'? ...
    """
    options = request.options
    problems = _Problems()
    problems.add(*common_options.problems(options), *_limits(options))
    base = problems.collect(Hyperparameters(), options.hyperparameters)
    ranges = (found for found in common_options.problems(base) if found not in problems.found)
    problems.add(*(f"hyperparameter {found}" for found in ranges))
    none_given: list[Any] = []
    entries = problems.collect(none_given, lambda: search_space.entries(options))
    space, unreadable = search_space.read(entries)
    problems.add(*unreadable, *_values(space))
    goal = problems.collect(_SOME_OBJECTIVE, lambda: objective.resolve(request.task, options))
    none: dict[str, Strategy] = {}
    additional = problems.collect(
        none, lambda: objective.additional(goal, options.additional_metrics)
    )
    rule = early_stopping.rule(options)
    search = algorithm_checks.AlgorithmUse(
        space, options.max_trials, options.parallel_trials, rule is not None
    )
    settings, unfit = algorithm_checks.check(
        options.algorithm, options.algorithm_settings, search, options.seed
    )
    # With an incomplete space it is not known what the algorithm can search.
    problems.add(*(found for found in unfit if not unreadable or found.startswith("algorithm")))
    if options.seed > _INT32:
        problems.add(f"seed: Katib accepts 0 to {_INT32}, found {options.seed}.")
    job = problems.collect(JobSettings(), lambda: JobSettings.parse(options.job))
    problems.add(
        *trial_models.problems(
            base,
            space,
            model_fn=options.model_fn,
            workers=job.workers,
            servers=job.parameter_servers > 0,
        )
    )
    arguments = _arguments(request, trial_models.trial_base(base, space, options.model_fn), space)
    trial = TrainingJobSpec(
        arguments=[*(flag(name, value) for name, value in arguments.items()), NO_EXPORT],
        settings=job,
    )
    problems.add(*_words(arguments), *_job(job))
    for name in ("transformed_examples", "transform_graph"):
        uri = getattr(request, name)
        problems.collect(None, partial(require_reachable, name, uri, job.volumes))
    kind = TRIAL_KINDS.get(options.trial_kind, TRIAL_KINDS["tfjob"])
    if options.trial_kind in TRIAL_KINDS:
        problems.collect(False, lambda: bool(kind.template(trial, ())))
    target = problems.collect(None, lambda: target_value(options.objective_target))
    problems.raise_if_any()
    return ExperimentSpec(
        options=options,
        space=space,
        algorithm_settings=settings,
        objective=goal,
        target=target,
        additional_metrics=additional,
        early_stopping=rule,
        kind=kind,
        trial=trial,
    )


def check_name(name: str, kind: TrialKind) -> None:
    """Check the name of an Experiment.

    Args:
        name: The name.
        kind: The kind of its trials; their names and those of their pods begin with it.

    Raises:
        UserError: If the name is too long or not valid.

    Example:
        >>> check_name("taxi-search", TRIAL_KINDS["tfjob"])
        >>> check_name("Taxi search", TRIAL_KINDS["tfjob"])
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: name: 'Taxi search' is not valid for an
        Experiment: use lower-case letters, digits and hyphens, ...
    """
    if len(name) > kind.name_limit:
        raise UserError(
            f"name: {name!r} has {len(name)} characters; an Experiment with trials of kind "
            f"{kind.job.resource.kind} may have {kind.name_limit}, so that its pods' names fit."
        )
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        raise UserError(
            f"name: {name!r} is not valid for an Experiment: use lower-case letters, digits and "
            "hyphens, a letter first and no hyphen at the end."
        )


def check_placeholders(experiment: Mapping[str, Any]) -> None:
    """Check that the trial uses every declared parameter, and declares every parameter it uses.

    Katib rejects other Experiments. The flags use everything that is searched; but a user's labels
    and variables may hold placeholders, too.

    Args:
        experiment: The resource.

    Raises:
        UserError: For a parameter that is only used or only declared.

    Example:
        >>> trial = {"args": ["--epochs=3"]}
        >>> template = {"trialParameters": [{"name": "epochs"}], "trialSpec": trial}
        >>> check_placeholders({"spec": {"trialTemplate": template}})
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: search_space (epochs): no flag of the trial
        uses it.
    """
    template = experiment["spec"]["trialTemplate"]
    declared = {entry["name"] for entry in template["trialParameters"]}
    used = trial_command.used_placeholders(json.dumps(template["trialSpec"], ensure_ascii=False))
    for name in sorted(used - declared):
        raise UserError(
            f"job: it uses Katib's parameter {name!r}, which search_space does not have."
            f"{closest(name, declared)}"
        )
    for name in sorted(declared - used):
        raise UserError(f"search_space ({name}): no flag of the trial uses it.")


def _limits(options: SearchOptions) -> list[str]:
    problems = []
    if options.max_trials == 0:
        problems.append("max_trials: an Experiment needs at least 1, found 0.")
    if options.parallel_trials > options.max_trials > 0:
        problems.append(
            f"parallel_trials: {options.parallel_trials} at a time are more than max_trials "
            f"({options.max_trials}), which Katib rejects."
        )
    for name in ("max_trials", "parallel_trials", "max_failed_trials"):
        if getattr(options, name) >= _INT32:
            problems.append(f"{name}: must be below {_INT32}, found {getattr(options, name)}.")
    return problems


def _values(space: SearchSpace) -> list[str]:
    return [
        f"search_space ({entry.name}): the value {value!r} in feasibleSpace.list would not reach "
        "the trial unchanged; use letters, digits and _.,:/=@%+-."
        for entry in space
        if isinstance(entry, Choice)
        for value in choices(entry)
        if not trial_command.SEARCHED_VALUE.fullmatch(value)
    ]


def _arguments(
    request: ExperimentRequest, base: Hyperparameters, space: SearchSpace
) -> dict[str, object]:
    searched = {entry.name for entry in space}
    learning = asdict(common_options.build(LearningOptions, vars(request.options)))
    seed = learning.pop("seed")
    return {
        "transformed_examples": request.transformed_examples,
        "transform_graph": request.transform_graph,
        "metrics_file": METRICS_FILE,
        # In this order since the first version: the Experiment's digest depends on it.
        "seed": seed,
        **{name: value for name, value in learning.items() if value != ""},
        **{name: value for name, value in asdict(base).items() if name not in searched},
    }


def _words(arguments: Mapping[str, object]) -> list[str]:
    found = ((name, trial_command.problem(str(value))) for name, value in arguments.items())
    return [f"{name}: {arguments[name]!r} {problem}." for name, problem in found if problem]


def _job(job: JobSettings) -> list[str]:
    problems = []
    if job.ttl_seconds is not None:
        problems.append(
            "job.ttl_seconds: Katib removes the jobs of finished trials itself, and would restart "
            "a job that disappears before Katib has seen its end; leave it out, or see "
            "retain_trials."
        )
    directory = PurePosixPath(METRICS_FILE).parent
    paths = [volume.mount_path for volume in job.volumes]
    paths += [secret.mount_path for secret in job.secrets if secret.mount_path]
    if any(PurePosixPath(path) == directory for path in paths):
        problems.append(f"job: Katib uses mount_path {directory} itself; choose another one.")
    return problems
