"""The search algorithms, under Katib's names."""

import hashlib
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.tuning.search.algorithm_settings import (
    NOT_OFFERED,
    Setting,
    read_settings,
)
from kfp_tabular.components.tuning.search.search_space import Choice, SearchSpace, Value

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

ALGORITHMS = ("random", "tpe", "multivariate-tpe", "grid", "cmaes")

KATIB_ONLY = ("bayesianoptimization", "hyperband", "sobol")
"""Algorithms that Optuna, as this package has it, does not run the way Katib does."""

_MOST_GRID_POINTS = 100_000

_AT_LEAST_ONE = Setting("int", low=1)
_SETTINGS: Mapping[str, Mapping[str, Setting]] = {
    "random": {},
    "grid": {},
    # Katib's tpe is Hyperopt's, which has no n_startup_trials.
    "tpe": {
        "n_startup_trials": Setting("int"),
        "n_EI_candidates": _AT_LEAST_ONE,
        "gamma": Setting("float", above=True, below=1.0),
        "prior_weight": Setting("float", above=True),
    },
    "multivariate-tpe": {"n_startup_trials": Setting("int"), "n_ei_candidates": _AT_LEAST_ONE},
    "cmaes": {
        "sigma": Setting("float", above=True),
        "restart_strategy": Setting("choice", choices=("none",)),
    },
}
"""By algorithm, its settings under Katib's names."""

_MOST_GOOD_TRIALS = 25
"""The most trials that Hyperopt and Optuna take as good ones."""


@dataclass(frozen=True)
class Algorithm:
    """A search algorithm and its settings.

    Attributes:
        name: One of `ALGORITHMS`.
        settings: Katib's settings by name.
    """

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)

    def sampler(self, seed: int) -> "BaseSampler":
        """Makes the Optuna sampler. Of a grid, only what it does not fix is sampled by it."""
        from optuna.samplers import CmaEsSampler, RandomSampler, TPESampler

        given = self.settings
        options: dict[str, Any] = {}
        if self.name in ("tpe", "multivariate-tpe"):
            options["multivariate"] = self.name == "multivariate-tpe"
            for name in ("n_startup_trials", "n_ei_candidates", "n_EI_candidates"):
                if name in given:
                    options[name.lower()] = int(given[name])
            if "prior_weight" in given:
                options["prior_weight"] = float(given["prior_weight"])
            if "gamma" in given:
                options["gamma"] = partial(_good_trials, float(given["gamma"]))
            return TPESampler(seed=seed, **options)
        if self.name == "cmaes":
            if "sigma" in given:
                options["sigma0"] = float(given["sigma"])
            return CmaEsSampler(seed=seed, **options)
        return RandomSampler(seed=seed)


def _good_trials(gamma: float, trials: int) -> int:
    """Gives how many of some trials count as good, as Hyperopt's `gamma` has it."""
    return min(math.ceil(gamma * math.sqrt(trials)), _MOST_GOOD_TRIALS)


def parse(name: str, settings: Mapping[str, object], space: SearchSpace) -> Algorithm:
    """Checks an algorithm against its settings and the search space.

    Args:
        name: Katib's name of the algorithm.
        settings: Katib's settings of it. Numbers may be text.
        space: What is to be searched.

    Raises:
        UserError: For an unknown name, one that the local backend does not have, a setting that
            is unknown or does not fit, or a search space that the algorithm cannot search.
    """
    if name in KATIB_ONLY:
        raise UserError(
            f"algorithm: {name} needs backend katib; backend local has {', '.join(ALGORITHMS)}."
        )
    if name in NOT_OFFERED:
        raise UserError(
            f"algorithm: {name} is not offered: {NOT_OFFERED[name]}. "
            f"There are {', '.join(ALGORITHMS)}."
        )
    if name not in ALGORITHMS:
        raise UserError(
            f"algorithm: {name!r} is unknown.{closest(name, ALGORITHMS)} "
            f"There are {', '.join(ALGORITHMS)}."
        )
    texts, problems = read_settings(name, _SETTINGS[name], settings)
    if problems:
        raise UserError(problems[0])
    algorithm = Algorithm(name=name, settings=texts)
    if name == "grid":
        _check_grid(space)
    if name == "cmaes":
        for parameter in space:
            if isinstance(parameter, Choice) and parameter.kind == "categorical":
                raise UserError(
                    f"search_space ({parameter.name}): cmaes searches numbers only; use tpe, or "
                    "leave this one out."
                )
        if len(space) < 2:
            raise UserError("search_space: cmaes needs at least two hyperparameters; use tpe.")
    return algorithm


def _check_grid(space: SearchSpace) -> None:
    for parameter in space:
        if parameter.size is None:
            raise UserError(
                f"search_space ({parameter.name}): the grid algorithm needs a step in "
                "feasibleSpace of a double."
            )
    points = grid_size(space)
    if points > _MOST_GRID_POINTS:
        raise UserError(
            f"search_space: a grid of {points:,} points is beyond the limit of "
            f"{_MOST_GRID_POINTS:,}; use larger steps, or the algorithm random."
        )


def grid_size(space: SearchSpace) -> int:
    """Gives the number of combinations in a space whose parameters are all on a grid."""
    return math.prod(parameter.size or 1 for parameter in space)


def grid(space: SearchSpace, seed: int) -> Iterator[dict[str, Value]]:
    """Walks the combinations of a grid.

    The order is shuffled by the seed, so that a search of fewer trials than there are points
    covers all of the grid thinly instead of one corner.

    Args:
        space: Parameters that are all on a grid.
        seed: The seed of the order.

    Yields:
        The values of each combination by hyperparameter.
    """
    order = list(range(grid_size(space)))
    random.Random(seed).shuffle(order)  # noqa: S311 - not for secrecy
    for rest in order:
        point: dict[str, Value] = {}
        for parameter in space:
            rest, index = divmod(rest, parameter.size or 1)  # noqa: PLW2901 - digit by digit
            point[parameter.name] = parameter.at(index)
        yield point


def trial_seed(seed: int, number: int) -> int:
    """Gives the sampler's seed for one trial, 32 bits.

    Seeding each trial by its number makes a search that was interrupted continue exactly as it
    would have gone on.
    """
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
