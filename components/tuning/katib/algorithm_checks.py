"""What Katib's algorithms accept: their settings, and the search spaces they search as written.

Katib checks some of this once an Experiment exists, ignores some of it, and fails on the rest in
the middle of a search. Comments follow Katib 0.19 with its default `katib-config`, which decides
which service runs an algorithm: `pkg/suggestion/v1beta1/{hyperopt,optuna,skopt,goptuna,hyperband}`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from kfp_tabular.components.common.errors import closest
from kfp_tabular.components.tuning.search.algorithm_settings import (
    NOT_OFFERED,
    Setting,
    read_settings,
)
from kfp_tabular.components.tuning.search.search_space import Choice, Number, SearchSpace


@dataclass(frozen=True)
class AlgorithmUse:
    """The part of a search that decides whether an algorithm can run it.

    Attributes:
        space: The search space.
        max_trials: Number of trials.
        parallel_trials: Number of trials that run at a time.
        early_stopping: Whether trials may be stopped early.
        settings: The algorithm's valid settings, as text; `check` fills them in.
    """

    space: SearchSpace
    max_trials: int
    parallel_trials: int
    early_stopping: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KatibAlgorithm:
    """An algorithm of Katib.

    Attributes:
        check: Returns a message for everything in a search that the algorithm cannot do.
        settings: Its settings by name, without the seed.
        required: The settings that must be given.
        is_seeded: Whether it has a seed, the setting `random_state`.
    """

    check: Callable[[AlgorithmUse], list[str]]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    is_seeded: bool = True


def check(
    name: str, given: Mapping[str, object], search: AlgorithmUse, seed: int
) -> tuple[dict[str, str], list[str]]:
    """Check an algorithm, its settings and the search that it should run.

    Args:
        name: The algorithm, by Katib's name.
        given: Its settings by name.
        search: The search.
        seed: The seed of the search.

    Returns:
        The settings to pass to Katib, including the seed if the algorithm has one; and a message
        for every problem.

    Example:
        >>> check("grdi", {}, AlgorithmUse((), 4, 1), seed=0)[1][0].partition(" Algorithms:")[0]
        "algorithm: 'grdi' is unknown. Did you mean 'grid'?"
    """
    if name in NOT_OFFERED:
        return {}, [f"algorithm: {name} is not offered: {NOT_OFFERED[name]}. {_available()}"]
    algorithm = ALGORITHMS.get(name)
    if algorithm is None:
        meant = closest(name, (*ALGORITHMS, *NOT_OFFERED))
        return {}, [f"algorithm: {name!r} is unknown.{meant} {_available()}"]
    settings, problems = read_settings(f"Katib's {name}", algorithm.settings, given)
    missing = [setting for setting in algorithm.required if setting not in given]
    if missing:
        problems.append(f"algorithm_settings: {name} needs {' and '.join(missing)}.")
    problems += algorithm.check(replace(search, settings=settings))
    if algorithm.is_seeded:
        settings["random_state"] = str(seed)
    return settings, problems


def _available() -> str:
    return f"Algorithms: {', '.join(ALGORITHMS)}."


def _numbers(search: AlgorithmUse) -> list[Number]:
    return [parameter for parameter in search.space if isinstance(parameter, Number)]


def _where(parameter: Number | Choice) -> str:
    return f"search_space ({parameter.name})"


def _own_step(parameter: Number) -> bool:
    """Return whether there is a step that Katib would not use by default."""
    return parameter.step is not None and (parameter.kind == "double" or parameter.step != 1)


def _range(parameter: Number, algorithms: str) -> list[str]:
    if parameter.low < parameter.high:
        return []
    return [
        f"{_where(parameter)}: Katib's {algorithms} needs a min below max; both are "
        f"{parameter.low}. Leave it out and set it as a base hyperparameter."
    ]


def _hyperopt(search: AlgorithmUse) -> list[str]:
    """Return problems with Hyperopt, which rounds to multiples of the step, whatever `min` is."""
    problems = []
    for parameter in _numbers(search):
        problems += _range(parameter, "random and tpe")
        step = parameter.step
        if step is None or (parameter.low % step == 0 and parameter.high % step == 0):
            continue
        problems.append(
            f"{_where(parameter)}: Katib's random and tpe count steps from 0, not from min, so "
            f"min {parameter.low} and max {parameter.high} must be multiples of step {step}. "
            "Choose other bounds, parameterType discrete, or the algorithm multivariate-tpe."
        )
    return problems


def _optuna(search: AlgorithmUse) -> list[str]:
    problems = []
    for parameter in _numbers(search):
        if parameter.distribution in ("normal", "logNormal"):
            problems.append(
                f"{_where(parameter)}: Katib's grid and multivariate-tpe have no distribution "
                f"{parameter.distribution}; use uniform or logUniform, or the algorithm tpe."
            )
        elif parameter.distribution == "logUniform" and _own_step(parameter):
            problems.append(
                f"{_where(parameter)}: Katib's grid and multivariate-tpe ignore a step of a "
                "logUniform; leave out one of the two."
            )
    return problems


def _grid(search: AlgorithmUse) -> list[str]:
    problems = []
    for parameter in _numbers(search):
        if parameter.step is None:
            problems.append(
                f"{_where(parameter)}: the grid algorithm needs a step in feasibleSpace of a "
                "double."
            )
        elif parameter.distribution != "uniform":
            problems.append(
                f"{_where(parameter)}: a grid has no distribution, found "
                f"{parameter.distribution}. List the values with parameterType discrete."
            )
    if problems:
        return problems
    points = math.prod(grid_size(parameter) for parameter in search.space)
    if search.max_trials > points:
        problems.append(
            f"max_trials: {search.max_trials} trials are more than the grid's {points} points, "
            f"which Katib rejects; use {points}."
        )
    return problems


def grid_size(parameter: Number | Choice) -> int:
    """Return the number of values of a parameter's grid as Katib counts them.

    Katib makes the values of a double with `numpy.arange(min, max + step, step)` and drops the last
    one if it exceeds `max`; rounding decides about values at the edge. The result is never larger
    than the exact number.

    Args:
        parameter: A parameter with a step or a list.

    Example:
        >>> dropout = Number("dropout", "double", Decimal(0), Decimal("0.3"), step=Decimal("0.1"))
        >>> grid_size(dropout), dropout.size
        (3, 4)
    """
    size = parameter.size or 0
    if isinstance(parameter, Choice) or parameter.kind == "int":
        return size
    low, high, step = (float(v) for v in (parameter.low, parameter.high, parameter.step or 1))
    count = math.ceil((high + step - low) / step)
    # arange adds the rounded difference of its first two values, not the step itself.
    last = low + (count - 1) * ((low + step) - low)
    return min(size, count - 1 if last > high else count)


def _skopt(search: AlgorithmUse) -> list[str]:
    """Return problems with scikit-optimize.

    Katib passes it log-uniform doubles, uniform integers and no steps, whatever the space has.
    """
    problems = []
    for parameter in _numbers(search):
        wanted = "logUniform" if parameter.kind == "double" else "uniform"
        if parameter.kind == "double" and parameter.low <= 0:
            problems.append(
                f"{_where(parameter)}: Katib's bayesianoptimization searches doubles on a "
                f"logarithmic scale, so min must be above 0, found {parameter.low}. Use "
                "parameterType discrete, or another algorithm."
            )
        elif parameter.distribution != wanted:
            problems.append(
                f"{_where(parameter)}: Katib's bayesianoptimization searches "
                f"{'doubles' if parameter.kind == 'double' else 'integers'} as {wanted} and "
                f"ignores distribution, found {parameter.distribution}. Set it to {wanted}, or use "
                "another algorithm."
            )
        if _own_step(parameter):
            problems.append(
                f"{_where(parameter)}: Katib's bayesianoptimization ignores step; leave it out, "
                "or use parameterType discrete."
            )
        problems += _range(parameter, "bayesianoptimization")
    smooth = search.settings.get("base_estimator", "GP") == "GP" and _numbers(search)
    if search.settings.get("acq_optimizer") == "lbfgs" and not smooth:
        problems.append(
            "algorithm_settings: acq_optimizer lbfgs needs base_estimator GP, and a hyperparameter "
            "of type double or int; use auto."
        )
    return problems


def _goptuna(search: AlgorithmUse) -> list[str]:
    return [
        f"{_where(parameter)}: Katib's cmaes and sobol search every number uniformly and ignore "
        f"distribution, found {parameter.distribution}. Use uniform, or the algorithm tpe."
        for parameter in _numbers(search)
        if parameter.distribution != "uniform"
    ]


def _cmaes(search: AlgorithmUse) -> list[str]:
    problems = _goptuna(search)
    numbers = _numbers(search)
    if len(numbers) < 2:
        problems.append(
            "search_space: cmaes needs at least two hyperparameters of type double or int, found "
            f"{len(numbers)}; use tpe."
        )
    for parameter in numbers:
        problems += _range(parameter, "cmaes")
    return problems


def _hyperband(search: AlgorithmUse) -> list[str]:
    problems = []
    for parameter in search.space:
        if isinstance(parameter, Choice):
            if parameter.kind == "discrete" and any(
                float(value) != int(value) for value in parameter.values
            ):
                problems.append(
                    f"{_where(parameter)}: Katib's hyperband accepts only whole numbers of type "
                    "discrete; use categorical."
                )
        elif parameter.distribution != "uniform" or _own_step(parameter):
            problems.append(
                f"{_where(parameter)}: Katib's hyperband ignores distribution and step; leave "
                "them out, or use parameterType categorical."
            )
    if search.early_stopping:
        problems.append(
            "early_stopping: Katib's hyperband cannot continue from a trial that was stopped "
            "early; use none."
        )
    if "r_l" in search.settings and "resource_name" in search.settings:
        problems += _hyperband_resource(search)
    return problems


def _hyperband_resource(search: AlgorithmUse) -> list[str]:
    problems = []
    name, most = search.settings["resource_name"], float(search.settings["r_l"])
    eta = float(search.settings.get("eta", 3))
    rounds = int(math.log(most) / math.log(eta))
    least = int(most * eta**-rounds)
    width = math.ceil(eta**rounds)
    resource = next((p for p in search.space if p.name == name), None)
    if not isinstance(resource, Number) or resource.kind != "int":
        names = [p.name for p in _numbers(search) if p.kind == "int"]
        problems.append(
            f"algorithm_settings: resource_name {name!r} must be a hyperparameter of type int in "
            f"search_space, such as epochs or train_steps.{closest(name, names)}"
        )
    elif not resource.low <= Decimal(least) or not Decimal(most) <= resource.high:
        problems.append(
            f"{_where(resource)}: hyperband uses values from {least} to {most:g} (r_l and eta), "
            f"which is outside of min {resource.low} and max {resource.high}."
        )
    if search.parallel_trials < width:
        problems.append(
            f"parallel_trials: hyperband with r_l={most:g} and eta={eta:g} needs at least {width} "
            f"trials at a time, found {search.parallel_trials}."
        )
    if search.max_trials != search.parallel_trials:
        problems.append(
            "max_trials: Katib 0.19 runs the first round of hyperband and then waits forever, so "
            f"max_trials must equal parallel_trials, found {search.max_trials} and "
            f"{search.parallel_trials}. All trials then get the smallest budget; consider "
            "early_stopping with tpe instead."
        )
    return problems


_AT_LEAST_ONE = Setting("int", low=1)

ALGORITHMS: Mapping[str, KatibAlgorithm] = {
    "random": KatibAlgorithm(_hyperopt),
    "tpe": KatibAlgorithm(
        _hyperopt,
        {
            "gamma": Setting("float", above=True, below=1.0),
            "prior_weight": Setting("float", above=True),
            "n_EI_candidates": _AT_LEAST_ONE,
        },
    ),
    "multivariate-tpe": KatibAlgorithm(
        _optuna, {"n_startup_trials": Setting("int"), "n_ei_candidates": _AT_LEAST_ONE}
    ),
    "grid": KatibAlgorithm(_grid),
    "bayesianoptimization": KatibAlgorithm(
        _skopt,
        {
            "base_estimator": Setting("choice", choices=("GP", "RF", "ET", "GBRT")),
            # Katib accepts 0, but its service then fails for every request.
            "n_initial_points": _AT_LEAST_ONE,
            # EIps and PIps pass Katib's check, but need trial durations, which Katib leaves out.
            "acq_func": Setting("choice", choices=("gp_hedge", "LCB", "EI", "PI")),
            "acq_optimizer": Setting("choice", choices=("auto", "sampling", "lbfgs")),
        },
    ),
    "cmaes": KatibAlgorithm(
        _cmaes,
        {
            "sigma": Setting("float", above=True),
            "restart_strategy": Setting("choice", choices=("none", "ipop", "bipop")),
        },
    ),
    "sobol": KatibAlgorithm(_goptuna, is_seeded=False),
    "hyperband": KatibAlgorithm(
        _hyperband,
        {
            "r_l": Setting("float", low=1),
            "eta": Setting("int", low=2),
            "resource_name": Setting("name"),
        },
        required=("r_l", "resource_name"),
        is_seeded=False,
    ),
}
"""The algorithms of the Katib backend, under Katib's names."""
