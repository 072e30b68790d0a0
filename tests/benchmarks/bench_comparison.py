"""How often the tests of a change find one: error rates and power, by rows and by true change.

    .venvs/tensorflow/bin/python tests/benchmarks/bench_comparison.py
    .venvs/tensorflow/bin/python tests/benchmarks/bench_comparison.py --per-entity 10

Two binary models agree in most of what they know of a row; the challenger knows a little more. Its
true gain in AUC is in the first column; at 0 the rates are error rates, and should be at most 5%.
Non-inferiority is tested with a margin of 0.01, one-sided at 2.5%. With `--per-entity`, so many
rows are of one entity and share most of their errors; tests by rows are beside those by entity.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.evaluation.comparison import delong, mcnemar
from kfp_tabular.components.evaluation.comparison.delong import PairedScores
from kfp_tabular.components.evaluation.comparison.differences import (
    CLUSTERED_DELONG,
    DELONG,
    LEVEL,
    Studentized,
    resampled,
)
from kfp_tabular.components.evaluation.comparison.mcnemar import Discordance
from kfp_tabular.components.evaluation.metrics.ranking import RankStatistics

MARGIN = 0.01
SKILLS = (1.2, 1.23, 1.28, 1.36)
RESAMPLES = 200


BOOTSTRAPS = (
    ("bootstrap: AUC", LEVEL),
    ("bootstrap: accuracy", LEVEL),
    ("bootstrap: Brier", LEVEL),
)
SINGLE = (
    ("DeLong", LEVEL),
    ("DeLong: not inferior", LEVEL / 2),
    ("McNemar mid-p", LEVEL),
    ("McNemar exact", LEVEL),
    *BOOTSTRAPS,
)
CLUSTERED = (
    ("DeLong by rows", LEVEL),
    ("DeLong by entity", LEVEL),
    ("McNemar by rows", LEVEL),
    *BOOTSTRAPS,
)
"""The tests, in the order of `_tests`, with their levels."""


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 1000, 3000, 10_000])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--per-entity", type=int, default=1, help="rows of an entity")
    arguments = parser.parse_args()
    truth = {skill: _area(skill) for skill in SKILLS}
    tests = CLUSTERED if arguments.per_entity > 1 else SINGLE
    names = ["gain of AUC", "rows", *(name for name, _ in tests)]
    print(f"| {' | '.join(names)} |")
    print(f"| {' | '.join('---:' for _ in names)} |")
    levels = np.array([level for _, level in tests])
    for skill in SKILLS:
        for rows in arguments.rows:
            random = np.random.default_rng(rows)
            found = np.array(
                [
                    list(_tests(random, rows, skill, arguments.per_entity))
                    for _ in range(arguments.draws)
                ]
            )
            rates = (found <= levels).mean(0)
            gain = truth[skill] - truth[SKILLS[0]]
            shown = " | ".join(f"{100 * rate:.1f}%" for rate in rates)
            print(f"| {gain:.4f} | {rows:,} | {shown} |", flush=True)


def _area(skill: float) -> float:
    """Return the area under the ROC curve of a model, from many rows."""
    positive, scores, owners = _drawn(np.random.default_rng(0), 1_000_000, skill, 1)
    ranks, _ = _counted(positive, scores, owners % bootstrap.GROUPS)
    return ranks[1].areas(0)[0]


def _drawn(
    random: np.random.Generator, rows: int, skill: float, per_entity: int
) -> tuple[Any, Any, Any]:
    """Return whether each row is positive, the scores of both models, and the row's entity."""
    owners = np.arange(rows) // per_entity
    positive = random.random(rows) < 0.3
    noise = random.normal(size=rows)
    own = 0.3 * random.normal(size=(2, rows))
    if per_entity > 1:
        # Nine tenths of the variance of what a model gets wrong is its entity's.
        entities = owners[-1] + 1
        shared = 0.3 * random.normal(size=(2, entities))[:, owners]
        own = np.sqrt(0.9) * shared + np.sqrt(0.1) * own
        positive = (random.random(entities) < 0.3)[owners]
    logits = np.array([[SKILLS[0]], [skill]]) * positive + noise + own - 1.2
    return positive, (1 / (1 + np.exp(-logits))).astype(np.float32), owners


def _counted(positive: Any, scores: Any, groups: Any) -> tuple[list[RankStatistics], PairedScores]:
    both = [RankStatistics(1), RankStatistics(1)]
    for ranks, given in zip(both, scores, strict=True):
        ranks.add(np.zeros(len(positive), np.int64), groups, positive, given)
    return both, PairedScores(scores[:, ~positive].T, scores[:, positive].T)


def _tests(
    random: np.random.Generator, rows: int, skill: float, per_entity: int
) -> Iterator[float]:
    positive, scores, owners = _drawn(random, rows, skill, per_entity)
    groups = random.integers(0, bootstrap.GROUPS, owners[-1] + 1)[owners]
    both, pairs = _counted(positive, scores, groups)
    histograms = [ranks.histograms(0) for ranks in both]
    weights = bootstrap.weights(RESAMPLES, int(random.integers(2**31)))
    areas = [ranks.areas(0) for ranks in both]
    change = areas[1][0] - areas[0][0]
    error = delong.standard_error(histograms[0], histograms[1], pairs)
    tested = Studentized(DELONG, change, float(error or 0), np.inf)
    yield tested.p_value()
    units = int(owners[-1]) + 1
    if per_entity > 1:
        keys = owners.astype(np.uint64)
        pairs = PairedScores(pairs.negatives, pairs.positives, keys[~positive], keys[positive])
        found = delong.clustered_error(histograms[0], histograms[1], pairs)
        yield (
            1.0
            if found is None
            else Studentized(CLUSTERED_DELONG, change, found[0], found[1] - 1.0).p_value()
        )
    else:
        yield tested.above(-MARGIN)
    right = (scores >= 0.5) == positive
    alone = (int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum()))
    yield mcnemar.mid_p(Discordance(*alone, rows))
    if per_entity == 1:
        yield mcnemar.exact(Discordance(*alone, rows))
    drawn = [ranks.resampled(0, weights, area)[0] for ranks, area in zip(both, areas, strict=True)]
    by_bins = resampled(change, drawn[1] - drawn[0], units)
    yield 1.0 if by_bins is None else by_bins.p_value()
    for gap in (
        right[1].astype(float) - right[0],
        (scores[1] - positive) ** 2 - (scores[0] - positive) ** 2,
    ):
        sums = np.bincount(groups, gap, bootstrap.GROUPS)
        counts = np.bincount(groups, minlength=bootstrap.GROUPS)
        by_group = resampled(float(gap.mean()), (weights @ sums) / (weights @ counts), units)
        yield 1.0 if by_group is None else by_group.p_value()


if __name__ == "__main__":
    main()
