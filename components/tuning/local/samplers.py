"""The search algorithms of the local backend: Optuna's samplers, under Katib's names."""

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
"""Algorithms that only Katib runs; Optuna has no sampler that works in the same way."""

_MAX_GRID_POINTS = 100_000

_AT_LEAST_ONE = Setting("int", low=1)
_SETTINGS: Mapping[str, Mapping[str, Setting]] = {
    "random": {},
    "grid": {},
    # Katib runs tpe with Hyperopt, which has no n_startup_trials.
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
"""The settings by algorithm, under Katib's names."""

_MAX_GOOD_TRIALS = 25
"""Hyperopt and Optuna count at most this many trials as good."""


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
        """Return the Optuna sampler; a random one for a grid, whose points the study chooses.

        Args:
            seed: The sampler's seed.
        """
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
    """Return how many of the trials count as good, by Hyperopt's `gamma`."""
    return min(math.ceil(gamma * math.sqrt(trials)), _MAX_GOOD_TRIALS)


def parse(name: str, settings: Mapping[str, object], space: SearchSpace) -> Algorithm:
    """Check an algorithm, its settings and the search space, and return the algorithm.

    Args:
        name: The algorithm, by Katib's name.
        settings: Its settings, by Katib's names. Numbers may be text.
        space: The search space.

    Raises:
        UserError: If the algorithm is unknown or only Katib has it, a setting is unknown or does
            not fit, or the algorithm cannot search the space.

    Example:
        >>> parse("tpe", {"n_startup_trials": 5.0}, ()).settings
        {'n_startup_trials': '5'}
    """
    if name in KATIB_ONLY:
        raise UserError(
            f"algorithm: {name} needs backend katib; backend local has {', '.join(ALGORITHMS)}."
        )
    if name in NOT_OFFERED:
        raise UserError(
            f"algorithm: {name} is not offered: {NOT_OFFERED[name]}. "
            f"Algorithms: {', '.join(ALGORITHMS)}."
        )
    if name not in ALGORITHMS:
        raise UserError(
            f"algorithm: {name!r} is unknown.{closest(name, ALGORITHMS)} "
            f"Algorithms: {', '.join(ALGORITHMS)}."
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
                    f"search_space ({parameter.name}): cmaes searches only numbers; use tpe, or "
                    "leave this hyperparameter out."
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
    if points > _MAX_GRID_POINTS:
        raise UserError(
            f"search_space: the grid has {points:,} points, more than the limit of "
            f"{_MAX_GRID_POINTS:,}; use larger steps, or the algorithm random."
        )


def grid_size(space: SearchSpace) -> int:
    """Return the number of points of a grid: a space whose parameters all have a step or a list.

    Example:
        >>> units = Choice("hidden_units", "categorical", ("64", "128,64"))
        >>> grid_size((units, Choice("batch_size", "discrete", (64, 128, 256))))
        6
    """
    return math.prod(parameter.size or 1 for parameter in space)


def grid(space: SearchSpace, seed: int) -> Iterator[dict[str, Value]]:
    """Yield the points of a grid.

    The seed shuffles their order, so that a search with fewer trials than points covers the whole
    grid thinly rather than one corner of it.

    Args:
        space: Parameters that all have a step or a list.
        seed: The seed of the order.

    Yields:
        The values of each point by hyperparameter.

    Example:
        >>> units = Choice("hidden_units", "categorical", ("64", "128,64"))
        >>> points = list(grid((units, Choice("batch_size", "discrete", (64, 128, 256))), seed=0))
        >>> len(points), points[0]
        (6, {'hidden_units': '64', 'batch_size': 256})
    """
    order = list(range(grid_size(space)))
    random.Random(seed).shuffle(order)  # noqa: S311 - not for cryptography
    for rest in order:
        point: dict[str, Value] = {}
        for parameter in space:
            rest, index = divmod(rest, parameter.size or 1)  # noqa: PLW2901 - digit by digit
            point[parameter.name] = parameter.at(index)
        yield point


def trial_seed(seed: int, number: int) -> int:
    """Return the sampler's seed for one trial, 32 bits.

    Seeding each trial by its number lets an interrupted search continue exactly as it would have
    without the interruption.

    Args:
        seed: The seed of the search.
        number: The trial's number.

    Example:
        >>> trial_seed(0, 0), trial_seed(0, 1)
        (1427366890, 2839049726)
    """
    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")
