"""Chooses pairs of columns for which a feature says whether both have the same value.

A tree or a network sees one category at a time, so it would have to learn "the country of the card
is that of the shop" country by country. Such a pair shows in the data: both columns take their
values from one domain, and agree more often than by chance.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.feature_engineering.features.column_facts import ColumnFacts
from kfp_tabular.components.feature_engineering.features.equality_facts import EqualityFacts, Pair
from kfp_tabular.components.feature_engineering.features.feature_builders import OutputNames
from kfp_tabular.components.feature_engineering.features.feature_config import FeatureOptions
from kfp_tabular.components.feature_engineering.features.planned_features import (
    Categorical,
    Equality,
    FeaturePlan,
    Hashed,
    TransformedColumn,
)

SHARED_ROWS = 0.9
"""Each column has at least this share of its rows at values of the other column."""

SHARED_VALUES = 4
"""The least number of values in both columns. Flags and ratings of three grades have fewer."""

MOST_COLUMNS = 3
"""More columns with one domain are a scale, such as the answers of a questionnaire."""

MOST_PAIRS = 10
"""The largest number of pairs that are chosen without being configured."""

AGREEMENT = 0.2
"""The least agreement (Cohen's kappa): 0 is that of columns that have nothing to do with each
other, 1 that of equal columns."""

RAREST = 0.001
"""Both answers, equal and different, occur in at least this share of the rows."""

CONFIGURED = "configured"
"""The reason for a feature that the user asked for."""

OPTION = "equal_to"
"""The key of `feature_config` that names the columns to compare with."""


def candidates(
    plan: FeaturePlan,
    facts: Mapping[str, ColumnFacts],
    options: Mapping[str, FeatureOptions],
) -> list[Pair]:
    """Return the pairs that `choose` has to know more about: configured ones, and likely ones.

    Args:
        plan: The features of single columns.
        facts: What the train split shows, by column.
        options: What the configuration says, by column.

    Raises:
        UserError: A configured pair cannot be compared.
    """
    chosen = configured(plan, options)
    free = [
        feature
        for feature in plan.features
        if isinstance(feature, Categorical)
        and OPTION not in options.get(feature.feature.name, FeatureOptions()).options
    ]
    domains = {
        feature.feature.name: counts
        for feature in free
        if (counts := facts[feature.feature.name].counts) and len(counts) >= SHARED_VALUES
    }
    likely = [
        Pair(first.feature, second.feature)
        for first, second in itertools.combinations(free, 2)
        if first.feature.dtype == second.feature.dtype
        and first.feature.name in domains
        and second.feature.name in domains
        and have_one_domain(domains[first.feature.name], domains[second.feature.name])
    ]
    return [*chosen, *_without_scales(likely)]


def configured(plan: FeaturePlan, options: Mapping[str, FeatureOptions]) -> list[Pair]:
    """Return the pairs that the configuration asks for.

    Raises:
        UserError: A pair cannot be compared.
    """
    comparable = {
        feature.feature.name: feature.feature
        for feature in plan.features
        if isinstance(feature, Categorical | Hashed)
    }
    found: dict[frozenset[str], Pair] = {}
    for name, given in options.items():
        for other in given.options.get(OPTION, ()):
            where = f"feature_config: {name!r}: {OPTION}: {other!r}"
            if other == name:
                raise UserError(f"{where} is the column itself. Name another one.")
            for column in (name, other):
                if column not in comparable:
                    raise UserError(
                        f"{where}: {column!r} is not a categorical or hash feature."
                        + closest(column, comparable)
                    )
            types = comparable[name].dtype, comparable[other].dtype
            if types[0] != types[1]:
                raise UserError(
                    f"{where} is {types[1]}, and {name!r} is {types[0]}. Read both as text with "
                    "ingest_data's column_types."
                )
            found.setdefault(frozenset((name, other)), Pair(comparable[name], comparable[other]))
    return list(found.values())


def have_one_domain(first: Mapping[object, int], second: Mapping[object, int]) -> bool:
    """Return whether two columns take their values from one domain.

    Args:
        first: The rows of each value, most frequent first.
        second: The same for the other column.

    Example:
        >>> home = {"US": 50, "PL": 30, "FR": 15, "DE": 5}
        >>> here = {"US": 60, "PL": 20, "DE": 9, "FR": 9, "JP": 2}
        >>> have_one_domain(home, here), have_one_domain(home, {"US": 50, "CA": 50})
        (True, False)
    """
    return (
        _is_mostly_in(first, second)
        and _is_mostly_in(second, first)
        and len(first.keys() & second.keys()) >= SHARED_VALUES
    )


def _is_mostly_in(values: Mapping[object, int], others: Mapping[object, int]) -> bool:
    rest = (1 - SHARED_ROWS) * sum(values.values())
    for value, rows in values.items():
        if value not in others:
            rest -= rows
            if rest < 0:
                return False
    return True


def _without_scales(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs of columns of which at most `MOST_COLUMNS` have one domain."""
    partners: dict[str, set[str]] = {}
    for pair in pairs:
        names = {pair.first.name, pair.second.name}
        for name in names:
            partners.setdefault(name, set()).update(names)
    return [
        pair
        for pair in pairs
        if max(len(partners[pair.first.name]), len(partners[pair.second.name])) <= MOST_COLUMNS
    ]


def agreement(
    found: EqualityFacts, first: Mapping[object, int], second: Mapping[object, int]
) -> float:
    """Return how much more than by chance two columns agree: Cohen's kappa.

    Args:
        found: How often they have the same value.
        first: The rows of each value.
        second: The same for the other column.

    Example:
        >>> half = {"a": 50, "b": 50}
        >>> agreement(EqualityFacts(equal=75, present=100, missing=0), half, half)
        0.5
    """
    rows = sum(first.values()) * sum(second.values())
    chance = sum(first[value] * second[value] for value in first.keys() & second.keys()) / rows
    if not found.present or chance == 1:
        return 0.0
    return (found.equal / found.present - chance) / (1 - chance)


def choose(
    plan: FeaturePlan,
    found: Mapping[Pair, EqualityFacts],
    facts: Mapping[str, ColumnFacts],
    options: Mapping[str, FeatureOptions],
    names: Iterable[str],
) -> FeaturePlan:
    """Return the plan with the features of pairs.

    Args:
        plan: The features of single columns.
        found: How often the columns of each of `candidates` have the same value.
        facts: What the train split shows, by column.
        options: What the configuration says, by column.
        names: Names that transformed columns must not have: the label's and the columns'.
    """
    wanted = set(configured(plan, options))
    taken = OutputNames([*names, *(output.name for output in plan.outputs)])
    likely = {}
    for pair, of in found.items():
        counts = facts[pair.first.name].counts, facts[pair.second.name].counts
        if pair not in wanted and counts[0] and counts[1] and _varies(of):
            kappa = agreement(of, counts[0], counts[1])
            if kappa >= AGREEMENT:
                likely[pair] = kappa
    best = sorted(likely, key=lambda pair: -likely[pair])[:MOST_PAIRS]
    equalities = [
        _equality(pair, of, CONFIGURED if pair in wanted else _reason(of, likely[pair]), taken)
        for pair, of in found.items()
        if pair in wanted or pair in best
    ]
    left_out = tuple((pair.first.name, pair.second.name) for pair in likely if pair not in best)
    return FeaturePlan(plan.features, plan.dropped, tuple(equalities), left_out)


def _reason(found: EqualityFacts, kappa: float) -> str:
    share = found.equal / found.present
    return f"one domain of values, equal in {share:.1%} of the rows, agreement {kappa:.2f}"


def _varies(found: EqualityFacts) -> bool:
    least = RAREST * found.present
    return found.equal > least and found.present - found.equal > least


def _equality(pair: Pair, found: EqualityFacts, why: str, names: OutputNames) -> Equality:
    name = names.derived(pair.first.name, f"equals_{pair.second.name}")
    has_missing = found.missing > 0
    return Equality(
        pair.first, pair.second, why, has_missing, TransformedColumn(name, 2 + has_missing)
    )
