"""Simulated error rates: tests of two equally good models reject as often as their level at most.

Each rate comes from 2,000 draws with fixed seeds. A test that keeps its level rejects in 5% of
them; the bound allows three standard errors of that rate (1.5 points).
"""

import numpy as np
import pytest

from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.evaluation.comparison import delong, mcnemar, multiplicity
from kfp_tabular.components.evaluation.comparison.delong import PairedScores
from kfp_tabular.components.evaluation.comparison.differences import (
    DELONG,
    LEVEL,
    Studentized,
    resampled,
)
from kfp_tabular.components.evaluation.comparison.mcnemar import Discordance
from kfp_tabular.components.evaluation.metrics.ranking import Histograms, roc_auc

DRAWS = 2000
MOST = LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / DRAWS)


def rate(p_values, level=LEVEL):
    return float((np.asarray(p_values) <= level).mean())


def scored(random, rows, skill, shared=0.9, share=0.3):
    """Labels, and scores of two equally good models that largely agree."""
    positive = random.random(rows) < share
    both = skill * positive + random.normal(size=rows)
    own = random.normal(size=(2, rows))
    scores = (np.sqrt(shared) * both + np.sqrt(1 - shared) * own).astype(np.float32)
    return positive, scores


def areas_differ(positive, scores, owners=None):
    histograms = [
        Histograms(
            bins := np.unique(given).astype(np.float64),
            np.bincount(np.searchsorted(bins, given[~positive]), minlength=len(bins)).astype(float),
            np.bincount(np.searchsorted(bins, given[positive]), minlength=len(bins)).astype(float),
        )
        for given in scores
    ]
    areas = [roc_auc(found.negatives, found.positives) for found in histograms]
    pairs = PairedScores(scores[:, ~positive].T, scores[:, positive].T)
    error, freedom = delong.standard_error(*histograms, pairs), np.inf
    if owners is not None:
        pairs = PairedScores(pairs.negatives, pairs.positives, owners[~positive], owners[positive])
        error, entities = delong.clustered_error(*histograms, pairs)
        freedom = entities - 1
    return Studentized(DELONG, float(areas[0] - areas[1]), error, freedom)


@pytest.mark.parametrize(("rows", "skill"), [(120, 1.0), (400, 2.0)])
def test_delong(rows, skill):
    random = np.random.default_rng(rows)
    found = [areas_differ(*scored(random, rows, skill)) for _ in range(DRAWS)]
    assert rate([each.p_value() for each in found]) <= MOST
    # Of non-inferiority, one-sided: at the edge of the margin, both models differ by it.
    edge = [Studentized(DELONG, each.value - 0.02, each.error, np.inf) for each in found]
    assert rate([each.above(-0.02) for each in edge], LEVEL / 2) <= MOST - LEVEL / 2
    # It does not merely keep its level by never rejecting.
    assert rate([each.p_value() for each in found]) >= 0.03


def test_delong_with_clusters_keeps_the_level_where_rows_alone_do_not():
    random = np.random.default_rng(5)
    by_entity, by_row = [], []
    for _ in range(DRAWS):
        owners = np.repeat(np.arange(60, dtype=np.uint64), 8)
        # Some entities have rows of both classes.
        share = random.beta(0.5, 1, 60)[owners.astype(int)]
        positive = random.random(len(owners)) < share
        scores = positive + random.normal(size=(2, 60))[:, owners.astype(int)]
        scores = (scores + 0.5 * random.normal(size=scores.shape)).astype(np.float32)
        by_entity.append(areas_differ(positive, scores, owners).p_value())
        by_row.append(areas_differ(positive, scores).p_value())
    assert 0.03 <= rate(by_entity) <= MOST
    assert rate(by_row) > 0.2


def test_mcnemar():
    random = np.random.default_rng(0)
    shares = [0.06, 0.06, 0.88]
    drawn = [Discordance(*random.multinomial(300, shares)[:2].tolist(), 300) for _ in range(DRAWS)]
    exact, mid = (rate([test(each) for each in drawn]) for test in (mcnemar.exact, mcnemar.mid_p))
    assert exact <= mid <= MOST
    assert mid >= 0.03


def test_tangos_non_inferiority():
    random = np.random.default_rng(1)
    margin = 0.03
    shares = [0.05, 0.05 + margin, 0.92 - margin]
    drawn = [Discordance(*random.multinomial(400, shares)[:2].tolist(), 400) for _ in range(DRAWS)]
    found = rate([mcnemar.better(each, -margin) for each in drawn], LEVEL / 2)
    assert 0.01 <= found <= LEVEL / 2 + 3 * np.sqrt(LEVEL / 2 / DRAWS)


def brier_differs(random, positive, logits, groups, units, weights, clustered=False):
    """The paired bootstrap of the difference of two Brier scores."""
    losses = (1 / (1 + np.exp(-logits)) - positive) ** 2
    gap = losses[0] - losses[1]
    sums = np.bincount(groups, gap, bootstrap.GROUPS)
    rows = np.bincount(groups, minlength=bootstrap.GROUPS)
    replicates = (weights @ sums) / np.maximum(weights @ rows, 1)
    return resampled(float(gap.mean()), replicates, units, clustered=clustered)


def test_the_paired_bootstrap():
    random = np.random.default_rng(2)
    weights = bootstrap.weights(400, 0)
    p_values = []
    for _ in range(DRAWS):
        positive, scores = scored(random, 300, 1.0)
        groups = random.integers(0, bootstrap.GROUPS, 300)
        p_values.append(brier_differs(random, positive, scores, groups, 300, weights).p_value())
    assert 0.03 <= rate(p_values) <= MOST


def test_the_cluster_bootstrap_keeps_the_level_where_rows_alone_do_not():
    random = np.random.default_rng(3)
    weights = bootstrap.weights(400, 0)
    entities, size = 60, 10
    by_entity, by_row = [], []
    for _ in range(DRAWS):
        owner = np.repeat(np.arange(entities), size)
        positive = (random.random(entities) < 0.4)[owner]
        # What a model gets wrong of an entity, it gets wrong in all its rows.
        scores = positive + random.normal(size=(2, entities))[:, owner]
        scores += 0.3 * random.normal(size=scores.shape)
        group = random.integers(0, bootstrap.GROUPS, entities)[owner]
        single = random.integers(0, bootstrap.GROUPS, len(owner))
        for found, groups, units in ((by_entity, group, entities), (by_row, single, len(owner))):
            test = brier_differs(random, positive, scores, groups, units, weights)
            found.append(test.p_value())
    assert 0.03 <= rate(by_entity) <= MOST
    assert rate(by_row) > 0.3


@pytest.mark.parametrize("name", ["holm", "benjamini-hochberg"])
def test_many_slices_without_a_change_raise_few_alarms(name):
    random = np.random.default_rng(4)
    adjust = multiplicity.CORRECTIONS[name]
    # Slices of two columns share rows, so their p-values are dependent.
    common = random.normal(size=(DRAWS, 1))
    scores = np.sqrt(0.3) * common + np.sqrt(0.7) * random.normal(size=(DRAWS, 30))
    tests = [[Studentized("", value, 1.0, np.inf).p_value() for value in row] for row in scores]
    assert rate([adjust(row).min() for row in tests]) <= MOST
    assert rate([min(row) for row in tests]) > 0.5
