"""The local backend: searches with Optuna, with one process of this task per trial."""

import logging
from dataclasses import asdict
from pathlib import Path

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import writability
from kfp_tabular.components.tuning.local import samplers, study, trial_scheduler
from kfp_tabular.components.tuning.local.trial_training import TrialTraining
from kfp_tabular.components.tuning.options import TuningOptions, learning_record
from kfp_tabular.components.tuning.search import (
    early_stopping,
    objective,
    search_space,
    trial_models,
)
from kfp_tabular.components.tuning.search.search_result import SearchResult
from kfp_tabular.components.tuning.search.search_space import SearchSpace
from kfp_tabular.components.tuning.search.trials import best, failure
from kfp_tabular.components.tuning.tuning_request import TuningRequest

_logger = logging.getLogger(__name__)


def run(request: TuningRequest) -> SearchResult:
    """Search, or continue a search that an earlier attempt of the task began.

    Args:
        request: The request, its options checked one by one.

    Raises:
        UserError: If options do not fit together, or every trial failed for bad input or
            configuration.
        RuntimeError: If too many trials failed for other reasons.
    """
    options = request.options
    if options.study_directory:
        writability.check(options.study_directory, "study_directory")
    base = options.hyperparameters()
    base.check()
    goal = objective.resolve(Task.load(request.transform_graph).kind, options)
    rule = early_stopping.rule(options)
    space = search_space.parse(search_space.entries(options))
    for problem in trial_models.problems(base, space, model_fn=options.model_fn):
        raise UserError(problem)
    trial_base = trial_models.trial_base(base, space, options.model_fn)
    trial_models.log_narrowing(base, space, options.model_fn)
    plan = study.StudyPlan(
        space=space,
        algorithm=check_algorithm(options, space),
        goal=goal.goal,
        seed=options.seed,
        base=asdict(trial_base),
    )
    training = TrialTraining(
        request, trial_base, additional=objective.additional(goal, options.additional_metrics)
    )
    dependencies = {
        "objective": asdict(goal),
        "early_stopping": rule and asdict(rule),
        "training_flags": learning_record(options),
        "inputs": request.input_digests(),
        "versions": lineage.versions(()),
    }
    with study.open_study(_study_root(request), plan, dependencies) as opened:
        try:
            trial_scheduler.run(opened, training, goal, rule, options)
            trials = opened.trials
            leader = best(trials, goal)
            if leader is None:
                raise failure(trials, "no trial succeeded")
        except (UserError, RuntimeError):
            _logger.error("the trials' logs are in %s", opened.directory / "trials")
            opened.forget_failures()
            raise
    return SearchResult(trials, leader, space, goal, options.algorithm, libraries=("optuna",))


def check_algorithm(options: TuningOptions, space: SearchSpace) -> samplers.Algorithm:
    """Check the algorithm against its settings and the search space.

    Raises:
        UserError: If this backend cannot search the space with it.

    Example:
        >>> options = TuningOptions(algorithm="tpe", algorithm_settings={"n_startup_trials": 5})
        >>> check_algorithm(options, ())
        Algorithm(name='tpe', settings={'n_startup_trials': '5'})
        >>> check_algorithm(TuningOptions(algorithm="sobol"), ())
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: algorithm: sobol needs backend katib; ...
    """
    return samplers.parse(options.algorithm, options.algorithm_settings, space)


def clean_up(request: TuningRequest) -> None:
    """Remove the study of a finished search, unless the user chose its directory.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     study_directory = Path(folder, ".hyperparameters.json.study")
        ...     study_directory.mkdir()
        ...     file = Path(folder, "hyperparameters.json")
        ...     clean_up(TuningRequest(TuningOptions(), Path(), Path(), file, Path()))
        ...     study_directory.exists()
        False
    """
    if not request.options.study_directory:
        files.remove(_study_root(request))


def _study_root(request: TuningRequest) -> Path:
    if request.options.study_directory:
        return Path(request.options.study_directory)
    return request.hyperparameters.with_name(f".{request.hyperparameters.name}.study")
