"""The search algorithms, under Katib's names."""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.tuning.search_space import Choice, SearchSpace, Value

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

ALGORITHMS = ("random", "tpe", "multivariate-tpe", "grid", "cmaes")

KATIB_ONLY = ("bayesianoptimization", "hyperband", "sobol", "pbt", "enas", "darts")
"""Algorithms of Katib that Optuna, as this package has it, does not run the way Katib does."""

_MOST_GRID_POINTS = 100_000

_TPE_SETTINGS: dict[str, tuple[str, Callable[[float], float]]] = {
    "startup_trials": ("n_startup_trials", int),
    "ei_candidates": ("n_ei_candidates", int),
}
_SETTINGS: dict[str, dict[str, tuple[str, Callable[[float], float]]]] = {
    "random": {},
    "grid": {},
    "tpe": _TPE_SETTINGS,
    "multivariate-tpe": _TPE_SETTINGS,
    "cmaes": {"sigma": ("sigma0", float)},
}
"""By algorithm, Katib's name of a setting, and Optuna's with its type."""


@dataclass(frozen=True)
class Algorithm:
    """A search algorithm and its settings.

    Attributes:
        name: One of `ALGORITHMS`.
        settings: Katib's settings by name.
    """

    name: str
    settings: Mapping[str, float] = field(default_factory=dict)

    def sampler(self, seed: int) -> "BaseSampler":
        """Makes the Optuna sampler. Of a grid, only what it does not fix is sampled by it."""
        from optuna.samplers import CmaEsSampler, RandomSampler, TPESampler

        known = _SETTINGS[self.name]
        options: dict[str, Any] = {
            known[name][0]: known[name][1](value) for name, value in self.settings.items()
        }
        if self.name in ("tpe", "multivariate-tpe"):
            multivariate = self.name == "multivariate-tpe"
            return TPESampler(seed=seed, multivariate=multivariate, **options)
        if self.name == "cmaes":
            return CmaEsSampler(seed=seed, **options)
        return RandomSampler(seed=seed)


def parse(name: str, settings: Mapping[str, object], space: SearchSpace) -> Algorithm:
    """Checks an algorithm against its settings and the search space.

    Args:
        name: Katib's name of the algorithm.
        settings: Katib's settings of it. Numbers may be text.
        space: What is to be searched.

    Raises:
        UserError: For an unknown name, one that the local backend does not have, a setting that
            is unknown or no positive number, or a search space that the algorithm cannot search.
    """
    if name in KATIB_ONLY:
        raise UserError(
            f"algorithm: {name} needs Katib; the local backend has {', '.join(ALGORITHMS)}."
        )
    if name not in ALGORITHMS:
        raise UserError(
            f"algorithm: {name!r} is unknown.{closest(name, ALGORITHMS)} "
            f"There are {', '.join(ALGORITHMS)}."
        )
    algorithm = Algorithm(name=name, settings=_parse_settings(name, settings))
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


def _parse_settings(name: str, settings: Mapping[str, object]) -> dict[str, float]:
    known = _SETTINGS[name]
    parsed = {}
    for setting, value in settings.items():
        if setting == "random_state":
            raise UserError("algorithm_settings: random_state is the component's argument 'seed'.")
        if setting not in known:
            there_are = f"There are {', '.join(known)}." if known else "It has none."
            raise UserError(
                f"algorithm_settings: {name} has no setting {setting!r}."
                f"{closest(setting, known)} {there_are}"
            )
        number = 0.0
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                number = float(value)
            except ValueError:
                number = 0.0
        if not 0 < number < float("inf") or known[setting][1](number) != number:
            kind = "whole number" if known[setting][1] is int else "number"
            raise UserError(
                f"algorithm_settings: {setting} must be a {kind} above 0, found {value!r}."
            )
        parsed[setting] = number
    return parsed


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
    return prod(parameter.size or 1 for parameter in space)


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
