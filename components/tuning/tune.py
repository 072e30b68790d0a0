"""Finds hyperparameters: by a search, or by passing on the given ones."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kfp_tabular.components.common import files
from kfp_tabular.components.common import options as common_options
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.tuning import tuning_report
from kfp_tabular.components.tuning.local import backend as local_backend
from kfp_tabular.components.tuning.options import KATIB
from kfp_tabular.components.tuning.search import search_space
from kfp_tabular.components.tuning.search.search_result import SearchResult
from kfp_tabular.components.tuning.tuning_request import TuningRequest

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TuningResult:
    """What `run` found.

    Attributes:
        hyperparameters: The base hyperparameters with the best trial's values in place.
        metrics: The best objective under its metric's name, the number of the best trial, and the
            number of trials by how they ended; empty if nothing was searched.
        lineage: What the hyperparameters were made from: the artifact's metadata.
    """

    hyperparameters: Hyperparameters
    metrics: Mapping[str, float]
    lineage: Mapping[str, Any]


def run(request: TuningRequest) -> TuningResult:
    """Find hyperparameters, and write them and a report.

    Args:
        request: Options, inputs and outputs.

    Raises:
        UserError: If an option does not fit, or every trial failed for bad input or configuration.
        RuntimeError: If too many trials failed for other reasons.
        JobFailedError: If the Experiment did not end in time or was deleted.
    """
    options = request.options
    if options.max_trials == 0:
        return _pass_on(request)
    if not options.search_space:
        names = ", ".join(entry["name"] for entry in search_space.entries(options))
        _logger.info("search_space is empty: searching the default space of %s", names)
    if options.backend == KATIB:
        return _write(request, _search_with_katib(request))
    common_options.check(options)
    result = _write(request, local_backend.run(request))
    local_backend.clean_up(request)
    return result


def _pass_on(request: TuningRequest) -> TuningResult:
    options = request.options
    common_options.check(options)
    base = options.hyperparameters()
    base.check()
    space = search_space.parse(search_space.entries(options))
    if options.backend != KATIB:
        local_backend.check_algorithm(options, space)
    _logger.info("max_trials is 0: passing the given hyperparameters on")
    return _write_files(request, base, tuning_report.passed_on(base), {}, {}, ())


def _search_with_katib(request: TuningRequest) -> SearchResult:
    # The Kubernetes client is only needed here.
    from kfp_tabular.components.tuning.katib import backend
    from kfp_tabular.components.tuning.katib.experiment_request import ExperimentRequest

    if request.uris is None:
        raise ValueError("backend katib needs the URIs of the artifacts")
    wanted = ExperimentRequest(
        options=request.options,
        transformed_examples=request.uris.transformed_examples,
        transform_graph=request.uris.transform_graph,
        task=Task.load(request.transform_graph).kind,
    )
    return backend.run(wanted, request.run_id())


def _write(request: TuningRequest, found: SearchResult) -> TuningResult:
    best, objective = found.best, found.objective
    _logger.info(
        "best: trial %s, %s=%.6g with %s",
        best.title,
        objective.metric,
        best.objective,
        best.described_values(),
    )
    states = [trial.state for trial in found.trials]
    metrics = {
        objective.metric: best.objective or 0.0,
        "best_trial": float(best.number),
        "trials": float(len(found.trials)),
        **{
            f"trials_{state}": float(states.count(state))
            for state in ("succeeded", "early_stopped", "diverged", "failed")
        },
    }
    base = request.options.hyperparameters()
    facts = {
        "objective": {**asdict(objective), "value": best.objective},
        "best_trial": best.number,
        "searched": dict(best.values),
        "algorithm": found.algorithm,
        "search_space": search_space.to_katib(found.space),
        **found.facts,
    }
    page = tuning_report.searched(found, base)
    return _write_files(request, base.updated(best.values), page, metrics, facts, found.libraries)


def _write_files(
    request: TuningRequest,
    hyperparameters: Hyperparameters,
    page: str,
    metrics: Mapping[str, float],
    facts: Mapping[str, Any],
    libraries: tuple[str, ...],
) -> TuningResult:
    files.write_text(request.report, page)
    hyperparameters.save(request.hyperparameters)
    made_from = {
        "digest": lineage.digest(request.hyperparameters),
        "versions": lineage.versions(libraries),
        "inputs": request.input_digests(),
        "seed": request.options.seed,
        **facts,
    }
    return TuningResult(hyperparameters=hyperparameters, metrics=metrics, lineage=made_from)
