"""How often the tests of a change find one: error rates and power, by rows and by true change.

    .venvs/tensorflow/bin/python tests/benchmarks/bench_comparison.py

Two binary models agree in most of what they know of a row; the challenger knows a little more. Its
true gain in AUC is in the first column; at 0 the rates are error rates, and should be at most 5%.
Non-inferiority is tested with a margin of 0.01, one-sided at 2.5%.
"""

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from kfp_tabular.components.evaluation.comparison import delong, mcnemar
from kfp_tabular.components.evaluation.comparison.delong import PairedScores
from kfp_tabular.components.evaluation.comparison.differences import (
    DELONG,
    LEVEL,
    Studentized,
    resampled,
)
from kfp_tabular.components.evaluation.comparison.mcnemar import Discordance
from kfp_tabular.components.evaluation.metrics import bootstrap
from kfp_tabular.components.evaluation.metrics.ranking import RankStatistics

MARGIN = 0.01
SKILLS = (1.2, 1.23, 1.28, 1.36)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 1000, 3000, 10_000])
    parser.add_argument("--draws", type=int, default=400)
    arguments = parser.parse_args()
    truth = {skill: _area(skill) for skill in SKILLS}
    names = ("delong", "non-inferior", "mid-p", "exact", "bootstrap of AUC", "of Brier")
    print(f"{'gain of AUC':>12}{'rows':>8}" + "".join(f"{name:>18}" for name in names))
    for skill in SKILLS:
        for rows in arguments.rows:
            random = np.random.default_rng(rows)
            found = np.array([list(_tests(random, rows, skill)) for _ in range(arguments.draws)])
            levels = np.array([LEVEL, LEVEL / 2, LEVEL, LEVEL, LEVEL, LEVEL])
            rates = (found <= levels).mean(0)
            gain = truth[skill] - truth[SKILLS[0]]
            print(f"{gain:>12.4f}{rows:>8,}" + "".join(f"{100 * rate:>17.1f}%" for rate in rates))


def _area(skill: float) -> float:
    """Return the area under the ROC curve of a model, from many rows."""
    ranks, _, _ = _counted(*_drawn(np.random.default_rng(0), 1_000_000, skill))
    return ranks[1].areas(0)[0]


def _drawn(random: np.random.Generator, rows: int, skill: float) -> tuple[Any, Any]:
    """Return whether each row is positive, and the scores of champion and challenger."""
    positive = random.random(rows) < 0.3
    noise = random.normal(size=rows)
    own = 0.3 * random.normal(size=(2, rows))
    logits = np.array([[SKILLS[0]], [skill]]) * positive + noise + own - 1.2
    return positive, (1 / (1 + np.exp(-logits))).astype(np.float32)


def _counted(positive: Any, scores: Any) -> tuple[list[RankStatistics], Any, PairedScores]:
    groups = np.random.default_rng(len(positive)).integers(0, bootstrap.GROUPS, len(positive))
    both = [RankStatistics(1), RankStatistics(1)]
    for ranks, given in zip(both, scores, strict=True):
        ranks.add(np.zeros(len(positive), np.int64), groups, positive, given)
    return both, groups, PairedScores(scores[:, ~positive].T, scores[:, positive].T)


def _tests(random: np.random.Generator, rows: int, skill: float) -> Iterator[float]:
    positive, scores = _drawn(random, rows, skill)
    both, groups, pairs = _counted(positive, scores)
    weights = bootstrap.weights(200, int(random.integers(2**31)))
    areas = [ranks.areas(0) for ranks in both]
    change = areas[1][0] - areas[0][0]
    error = delong.standard_error(both[0].histograms(0), both[1].histograms(0), pairs)
    tested = Studentized(DELONG, change, float(error or 0), np.inf)
    yield tested.p_value()
    yield tested.above(-MARGIN)
    right = (scores >= 0.5) == positive
    found = Discordance(int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum()), rows)
    yield mcnemar.mid_p(found)
    yield mcnemar.exact(found)
    drawn = [ranks.resampled(0, weights, area)[0] for ranks, area in zip(both, areas, strict=True)]
    by_bins = resampled(change, drawn[1] - drawn[0], rows)
    yield 1.0 if by_bins is None else by_bins.p_value()
    gap = (scores[1] - positive) ** 2 - (scores[0] - positive) ** 2
    sums = np.bincount(groups, gap, bootstrap.GROUPS)
    counts = np.bincount(groups, minlength=bootstrap.GROUPS)
    brier = resampled(float(gap.mean()), (weights @ sums) / (weights @ counts), rows)
    yield 1.0 if brier is None else brier.p_value()


if __name__ == "__main__":
    main()
