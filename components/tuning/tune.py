"""Finds hyperparameters: by a search, or by passing on those that were given."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.hyperparameters import MODEL_TYPES, Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.tuning import tuning_report as report
from kfp_tabular.components.tuning.limits import Limits
from kfp_tabular.components.tuning.local import samplers, study, trial_scheduler
from kfp_tabular.components.tuning.search import early_stopping, objective, search_space
from kfp_tabular.components.tuning.search.search_result import Found
from kfp_tabular.components.tuning.search.trials import best, describe, failure

LOCAL, KATIB = "local", "katib"
BACKENDS = (LOCAL, KATIB)

_AS_ASKED = (
    "base",
    "search_space",
    "algorithm",
    "algorithm_settings",
    "limits",
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
    "training_flags",
    "seed",
)
"""What Katib is asked for just as the task was."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Artifacts:
    """Where the task's inputs are, as URIs that other pods can use.

    Attributes:
        transformed_examples: Input.
        transform_graph: Input.
    """

    transformed_examples: str
    transform_graph: str


@dataclass(frozen=True)
class Request:
    """What `run` is to do. The component's docstring says more about each.

    Attributes:
        transformed_examples: The transformed examples artifact.
        transform_graph: The transform graph artifact.
        hyperparameters: The file to write.
        report: The HTML file to write.
        base: The hyperparameters that hold where the search does not say otherwise.
        search_space: Katib's `parameters` list; empty for a default that fits the model type.
        algorithm: Katib's name of the search algorithm.
        algorithm_settings: Katib's settings of the algorithm.
        limits: How much is tried.
        objective_metric: The metric to judge trials by; empty for the task's default.
        objective_goal: `maximize` or `minimize`; empty where it follows from the metric.
        objective_strategy: `max`, `min` or `latest`; empty for the best report.
        objective_target: A number as text, at which the search ends; empty for none.
        additional_metrics: Further metrics to collect, by name with the report that counts.
        early_stopping: `medianstop` or `none`.
        min_trials_required: A setting of `medianstop`.
        start_step: A setting of `medianstop`.
        training_flags: More flags of the training worker, by name without dashes.
        study_directory: Where trials are recorded; None for beside `hyperparameters`, where they
            are removed once the search is done.
        seed: The seed of the search and of every trial.
        backend: Where trials run: `local` or `katib`.
        program: The training program of local trials.
        artifacts: Where the task's inputs are for other pods; Katib needs it.
        trial_kind: What a trial of Katib is; see `katib.trial_kinds`.
        job: What such a trial asks of the cluster, as `training_job.job_settings` has it.
        resume_policy: Katib's `resumePolicy`.
        retain_trials: Whether the jobs of Katib's finished trials stay.
        run_id: The pipeline run, which the Experiment is named after.
    """

    transformed_examples: Path
    transform_graph: Path
    hyperparameters: Path
    report: Path
    base: Hyperparameters = field(default_factory=Hyperparameters)
    search_space: Sequence[object] = ()
    algorithm: str = "tpe"
    algorithm_settings: Mapping[str, object] = field(default_factory=dict)
    limits: Limits = field(default_factory=lambda: Limits(max_trials=0))
    objective_metric: str = ""
    objective_goal: str = ""
    objective_strategy: str = ""
    objective_target: str = ""
    additional_metrics: Mapping[str, str] = field(default_factory=dict)
    early_stopping: str = "medianstop"
    min_trials_required: int = 3
    start_step: int = 4
    training_flags: Mapping[str, str] = field(default_factory=dict)
    study_directory: Path | None = None
    seed: int = 0
    backend: str = LOCAL
    program: tuple[str, ...] = field(default_factory=trial_scheduler.worker)
    artifacts: Artifacts | None = None
    trial_kind: str = "tfjob"
    job: Mapping[str, Any] = field(default_factory=dict)
    resume_policy: str = "Never"
    retain_trials: bool = False
    run_id: str = ""


@dataclass(frozen=True)
class Result:
    """What `run` did.

    Attributes:
        hyperparameters: The base with the best trial's values.
        metrics: The best objective under its name, and the number of trials by how they ended.
        lineage: What the hyperparameters were made from; the artifact's metadata.
    """

    hyperparameters: Hyperparameters
    metrics: Mapping[str, float]
    lineage: Mapping[str, Any]


def run(request: Request) -> Result:
    """Finds hyperparameters and writes them, and a page about how they were found.

    Raises:
        UserError: Where the request cannot be met as it stands, or every trial failed for bad
            input or configuration.
        RuntimeError: Where too many trials failed otherwise.
        JobFailedError: Where the Experiment did not end in time, or was deleted.
    """
    if request.backend not in BACKENDS:
        raise UserError(
            f"backend: {request.backend!r} is unknown.{closest(request.backend, BACKENDS)} "
            f"There are {', '.join(BACKENDS)}."
        )
    request.limits.check()
    if request.base.model_type not in MODEL_TYPES:
        raise UserError(
            f"model_type: {request.base.model_type!r} is unknown."
            f"{closest(request.base.model_type, MODEL_TYPES)} "
            f"There are {', '.join(MODEL_TYPES)}."
        )
    if not request.search_space and request.limits.max_trials:
        names = ", ".join(entry["name"] for entry in search_space.default(request.base.model_type))
        _logger.info("no search_space is given; the default one searches %s", names)
    if request.backend == KATIB and request.limits.max_trials:
        return _report(request, _with_katib(request))
    space = search_space.parse(
        request.search_space or search_space.default(request.base.model_type)
    )
    algorithm = samplers.Algorithm(request.algorithm)
    if request.backend == LOCAL:
        algorithm = samplers.parse(request.algorithm, request.algorithm_settings, space)
    rule = early_stopping.rule(
        request.early_stopping, request.min_trials_required, request.start_step
    )
    if request.limits.max_trials == 0:
        _logger.info("max_trials is 0: the given hyperparameters are passed on")
        return _write(request, request.base, report.passed_through(request.base), {}, {})
    found = _in_this_task(request, space, algorithm, rule)
    result = _report(request, found)
    if request.study_directory is None:
        files.remove(_beside(request))
    return result


def _in_this_task(
    request: Request,
    space: search_space.SearchSpace,
    algorithm: samplers.Algorithm,
    rule: early_stopping.MedianStop | None,
) -> Found:
    goal = objective.resolve(
        Task.load(request.transform_graph).kind,
        request.objective_metric,
        request.objective_goal,
        request.objective_strategy,
    )
    target = objective.target(request.objective_target)
    training = trial_scheduler.Training(
        transformed_examples=request.transformed_examples,
        transform_graph=request.transform_graph,
        base=request.base,
        seed=request.seed,
        flags=request.training_flags,
        additional=objective.additional(goal, request.additional_metrics),
        program=request.program,
    )
    plan = study.Plan(
        space=space,
        algorithm=algorithm,
        goal=goal.goal,
        seed=request.seed,
        base=asdict(request.base),
    )
    dependencies = {
        "objective": asdict(goal),
        "early_stopping": rule and asdict(rule),
        "training_flags": dict(request.training_flags),
        "inputs": _inputs(request),
        "versions": lineage.versions(()),
    }
    with study.open_study(_study_root(request), plan, dependencies) as opened:
        try:
            trial_scheduler.run(opened, training, goal, request.limits, rule, target)
            trials = opened.trials
            leader = best(trials, goal)
            if leader is None:
                raise failure(trials, "no trial succeeded")
        except (UserError, RuntimeError):
            _logger.error("the trials' logs are in %s", opened.directory / "trials")
            opened.forgive()
            raise
    return Found(trials, leader, space, goal, algorithm.name, libraries=("optuna",))


def _with_katib(request: Request) -> Found:
    from kfp_tabular.components.tuning.katib import backend
    from kfp_tabular.components.tuning.katib.experiment_checks import Wanted

    if request.artifacts is None:
        raise ValueError("trials on the cluster need to know where the artifacts are")
    wanted = Wanted(
        transformed_examples=request.artifacts.transformed_examples,
        transform_graph=request.artifacts.transform_graph,
        task=Task.load(request.transform_graph).kind,
        **{name: getattr(request, name) for name in _AS_ASKED},
    )
    return backend.run(wanted, request.run_id)


def _study_root(request: Request) -> Path:
    return request.study_directory or _beside(request)


def _beside(request: Request) -> Path:
    return request.hyperparameters.with_name(f".{request.hyperparameters.name}.study")


def _report(request: Request, found: Found) -> Result:
    leader, goal = found.leader, found.objective
    _logger.info(
        "best: trial %s, %s=%.6g with %s",
        leader.title,
        goal.metric,
        leader.objective,
        describe(leader),
    )
    states = [trial.state for trial in found.trials]
    metrics = {
        goal.metric: leader.objective or 0.0,
        "best_trial": float(leader.number),
        "trials": float(len(found.trials)),
        **{
            f"trials_{state}": float(states.count(state))
            for state in ("succeeded", "early_stopped", "diverged", "failed")
        },
    }
    page = report.searched(
        found.trials, leader, found.space, goal, request.base, found.algorithm, found.notes
    )
    facts = {
        "objective": {**asdict(goal), "value": leader.objective},
        "best_trial": leader.number,
        "searched": dict(leader.values),
        "algorithm": found.algorithm,
        "search_space": search_space.to_katib(found.space),
        **found.facts,
    }
    hyperparameters = request.base.updated(leader.values)
    return _write(request, hyperparameters, page, metrics, facts, found.libraries)


def _write(
    request: Request,
    hyperparameters: Hyperparameters,
    page: str,
    metrics: Mapping[str, float],
    facts: Mapping[str, Any],
    libraries: tuple[str, ...] = (),
) -> Result:
    files.write_text(request.report, page)
    hyperparameters.save(request.hyperparameters)
    made_from = {
        "digest": lineage.digest(request.hyperparameters),
        "versions": lineage.versions(libraries),
        "inputs": _inputs(request),
        "seed": request.seed,
        **facts,
    }
    return Result(hyperparameters=hyperparameters, metrics=metrics, lineage=made_from)


def _inputs(request: Request) -> dict[str, str]:
    """Gives the inputs' digests. Their whole lineage is in the model's, which has both."""
    return {
        "transformed_examples": lineage.read(request.transformed_examples)["digest"],
        "transform_graph": lineage.read(request.transform_graph)["digest"],
    }
