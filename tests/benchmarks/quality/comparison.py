"""Ranks, differences to the best, and the table of all models."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.quality.results import Result

Scores = Mapping[str, Mapping[int, Mapping[str, float]]]
"""The score by table, seed and model."""


def scores_of(
    kept: Iterable[Result], models: Sequence[str]
) -> dict[str, dict[int, dict[str, float]]]:
    """Return the scores by table, seed and model; of several results the last counts.

    Only pairs of table and seed for which each model has a score are returned.
    """
    found: dict[str, dict[int, dict[str, float]]] = {}
    for result in kept:
        if result.model in models and not result.error:
            by_seed = found.setdefault(result.table, {})
            by_seed.setdefault(result.seed, {})[result.model] = result.values["score"]
    whole = {
        table: {seed: each for seed, each in by_seed.items() if len(each) == len(models)}
        for table, by_seed in found.items()
    }
    return {table: by_seed for table, by_seed in whole.items() if by_seed}


def ranks(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the rank of each model, 1 for the lowest score; equal scores share the mean rank.

    Example:
        >>> ranks({"a": 0.2, "b": 0.1, "c": 0.2})
        {'a': 2.5, 'b': 1.0, 'c': 2.5}
    """
    values = list(scores.values())
    return {
        model: sum(other < score for other in values) + (values.count(score) + 1) / 2
        for model, score in scores.items()
    }


def mean_ranks(scores: Scores) -> dict[str, float]:
    """Return the mean rank of each model over seeds, then over tables."""
    by_table = [_means([ranks(each) for each in by_seed.values()]) for by_seed in scores.values()]
    return _means(by_table)


def mean_scores(scores: Scores) -> dict[str, dict[str, float]]:
    """Return the mean score over seeds, by table and model."""
    return {table: _means(list(by_seed.values())) for table, by_seed in scores.items()}


def relative(score: float, best: float) -> float:
    """Return how much worse a score is than the best one: 0.02 for 2%.

    Example:
        >>> round(relative(0.102, 0.1), 4)
        0.02
    """
    return score / best - 1 if best > 0 else (0.0 if score == best else math.inf)


@dataclass(frozen=True)
class Behind:
    """A table on which a model is worse than the best of others, or better.

    Attributes:
        table: The table.
        best: The best other model.
        difference: How much worse, relatively.
        standard_error: Of the difference, over the test rows; NaN if it is not known.
        seeds_behind: With how many seeds the model is worse.
        seeds: Of how many.
    """

    table: str
    best: str
    difference: float
    standard_error: float
    seeds_behind: int
    seeds: int

    @property
    def is_sure(self) -> bool:
        """Whether the difference is above two standard errors, in either direction."""
        return abs(self.difference) > 2 * self.standard_error


StandardError = Callable[[str, str, str], float]
"""The standard error of the difference of two scores, for a table, a model and another one."""


def behind(
    scores: Scores,
    model: str,
    others: Sequence[str],
    standard_error: StandardError = lambda table, model, other: math.nan,
) -> list[Behind]:
    """Return every table with the difference of a model to the best of others, worst first."""
    found = []
    for table, by_seed in scores.items():
        means = _means(list(by_seed.values()))
        best = min(others, key=lambda other: means[other])
        error = standard_error(table, model, best)
        found.append(
            Behind(
                table,
                best,
                difference=relative(means[model], means[best]),
                standard_error=error / means[best] if means[best] > 0 else math.nan,
                seeds_behind=sum(one[model] > one[best] for one in by_seed.values()),
                seeds=len(by_seed),
            )
        )
    return sorted(found, key=lambda entry: -entry.difference)


def _means(entries: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return (
        {name: sum(entry[name] for entry in entries) / len(entries) for name in entries[0]}
        if entries
        else {}
    )
