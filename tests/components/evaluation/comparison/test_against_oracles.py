"""The tests of differences give what scipy, a definition or a brute force gives."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.evaluation.comparison import (
    delong,
    distributions,
    mcnemar,
    multiplicity,
)
from kfp_tabular.components.evaluation.comparison.delong import PairedScores
from kfp_tabular.components.evaluation.comparison.mcnemar import Discordance
from kfp_tabular.components.evaluation.metrics.ranking import RankStatistics

stats = pytest.importorskip("scipy.stats")
optimize = pytest.importorskip("scipy.optimize")

counts = st.integers(0, 60)


@given(value=st.floats(-40, 40), freedom=st.floats(1, 1e6))
@example(value=4.647401986506082e-07, freedom=2048.0)
@example(value=0.0, freedom=7.0)
def test_student_tail(value, freedom):
    found = distributions.student_tail(value, freedom)
    assert found == pytest.approx(stats.t.sf(value, freedom), rel=1e-7, abs=1e-12)


@given(value=st.floats(-10, 10))
def test_normal_tail(value):
    assert distributions.normal_tail(value) == pytest.approx(stats.norm.sf(value), rel=1e-12)


@given(share=st.floats(0.001, 0.999), freedom=st.sampled_from([1.0, 2.0, 9.0, 255.0, math.inf]))
def test_student_quantile(share, freedom):
    found = distributions.student_quantile(share, freedom)
    assert found == pytest.approx(stats.t.ppf(share, freedom), rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(throws=st.integers(0, 10**6), data=st.data())
def test_fair_coin(throws, data):
    heads = data.draw(st.integers(0, throws))
    exact = stats.binom.sf(heads - 1, throws, 0.5)
    assert distributions.fair_coin_tail(heads, throws) == pytest.approx(exact, rel=1e-8, abs=1e-13)
    if throws < 1000:
        once = math.comb(throws, heads) / 2**throws
        assert distributions.fair_coin(heads, throws) == pytest.approx(once, rel=1e-12)


@given(ours=counts, theirs=counts)
def test_mcnemar_is_a_binomial_test(ours, theirs):
    found = Discordance(ours, theirs, 200)
    throws = ours + theirs
    p_value = stats.binomtest(ours, throws, 0.5).pvalue if throws else 1.0
    assert mcnemar.exact(found) == pytest.approx(p_value, rel=1e-9)
    half = stats.binom.pmf(max(ours, theirs), throws, 0.5)
    tail = stats.binom.sf(max(ours, theirs) - 1, throws, 0.5)
    assert mcnemar.mid_p(found) == pytest.approx(min(1, 2 * tail - half), rel=1e-9)
    both = mcnemar.better(found) + mcnemar.better(found.turned())
    assert both == pytest.approx(1, abs=1e-12)


@settings(deadline=None)
@given(ours=counts, theirs=counts, same=st.integers(1, 300), margin=st.floats(-0.3, 0.3))
def test_tangos_score_uses_the_most_likely_shares(ours, theirs, same, margin):
    rows = ours + theirs + same
    found = Discordance(ours, theirs, rows)

    def unlikely(share):
        shares = np.array([share + margin, share, 1 - 2 * share - margin])
        seen = np.array([ours, theirs, same])
        return -float((seen * np.log(np.maximum(shares, 1e-300))).sum())

    low, high = max(0.0, -margin), (1 - margin) / 2
    share = optimize.minimize_scalar(
        unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    ).x
    variance = rows * (2 * share + margin - margin**2)
    excess = ours - theirs - rows * margin
    if variance > 1e-3 * rows:
        expected = excess / math.sqrt(variance)
        assert mcnemar.score(found, margin) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@given(ours=counts, theirs=counts, same=st.integers(1, 300))
def test_the_interval_holds_what_the_score_does_not_refuse(ours, theirs, same):
    found = Discordance(ours, theirs, ours + theirs + same)
    low, high = mcnemar.interval(found, 0.95)
    assert -1 <= low <= found.difference <= high <= 1
    for end in (low, high):
        if -1 < end < 1:
            assert abs(mcnemar.score(found, end)) == pytest.approx(1.959964, abs=1e-5)
    turned = mcnemar.interval(found.turned(), 0.95)
    assert turned == pytest.approx((-high, -low), abs=1e-9)


p_values = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_benjamini_hochberg(values):
    expected = stats.false_discovery_control(values, method="bh")
    np.testing.assert_allclose(multiplicity.benjamini_hochberg(values), expected, atol=1e-12)


@given(values=p_values)
def test_holm_is_the_closed_test_of_bonferroni(values):
    expected = []
    for place in range(len(values)):
        sets = [
            chosen
            for size in range(1, len(values) + 1)
            for chosen in itertools.combinations(range(len(values)), size)
            if place in chosen
        ]
        worst = max(len(chosen) * min(values[at] for at in chosen) for chosen in sets)
        expected.append(min(1.0, worst))
    np.testing.assert_allclose(multiplicity.holm(values), expected, atol=1e-12)


def histograms(scores, positive):
    """The histogram of each model's scores."""
    both = []
    for given_scores in scores.T:
        ranks = RankStatistics(1)
        place = np.zeros(len(positive), np.int64)
        ranks.add(place, place, positive, given_scores)
        both.append(ranks.histograms(0))
    return both


def by_definition(scores, positive):
    """DeLong's variance of the difference of two areas, pair by pair."""
    above = scores[positive][:, None, :] - scores[~positive][None, :, :]
    won = (above > 0) + 0.5 * (above == 0)
    difference = won[:, :, 0] - won[:, :, 1]
    return math.sqrt(
        difference.mean(1).var(ddof=1) / positive.sum()
        + difference.mean(0).var(ddof=1) / (~positive).sum()
    )


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    negatives=st.integers(2, 60),
    positives=st.integers(2, 60),
    distinct=st.sampled_from([2, 5, 1000]),
)
def test_delong(seed, negatives, positives, distinct):
    random = np.random.default_rng(seed)
    positive = np.arange(negatives + positives) < positives
    scores = (random.integers(0, distinct, (len(positive), 2)) / distinct).astype(np.float32)
    ours, theirs = histograms(scores, positive)
    pairs = PairedScores(scores[~positive], scores[positive])
    found = delong.standard_error(ours, theirs, pairs)
    assert_equal_errors(found, by_definition(scores, positive))


def obuchowskis(scores, positive, owners):
    """The variance of the difference of two areas with clusters, as Obuchowski (1997) writes it."""
    above = scores[positive][:, None, :] - scores[~positive][None, :, :]
    won = (above > 0) + 0.5 * (above == 0)
    area = won.mean((0, 1))
    v10, v01 = won.mean(1), won.mean(0)
    clusters = np.unique(owners)
    total = len(clusters)
    with_positives, with_negatives = (
        len(np.unique(owners[side])) for side in (positive, ~positive)
    )
    rows, others = positive.sum(), (~positive).sum()
    s10, s01, s11 = np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2))
    for cluster in clusters:
        mine = owners[positive] == cluster
        other = owners[~positive] == cluster
        x = v10[mine].sum(0) - mine.sum() * area
        y = v01[other].sum(0) - other.sum() * area
        s10 += np.outer(x, x)
        s01 += np.outer(y, y)
        s11 += np.outer(x, y)
    s10 *= with_positives / ((with_positives - 1) * rows)
    s01 *= with_negatives / ((with_negatives - 1) * others)
    s11 *= total / (total - 1)
    covariance = s10 / rows + s01 / others + (s11 + s11.T) / (rows * others)
    contrast = np.array([1, -1])
    return math.sqrt(max(contrast @ covariance @ contrast, 0))


def assert_equal_errors(found, expected):
    """Equal to 1e-9; as variances, because the root of a rounding error of 0 is 1e-8."""
    assert found**2 == pytest.approx(expected**2, rel=2e-9, abs=1e-15)


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(8, 120),
    entities=st.integers(2, 40),
    distinct=st.sampled_from([2, 5, 1000]),
)
@example(seed=191911555, rows=9, entities=2, distinct=5)
def test_delong_with_clusters(seed, rows, entities, distinct):
    random = np.random.default_rng(seed)
    positive = np.arange(rows) % 3 == 0
    owners = random.integers(0, entities, rows).astype(np.uint64)
    scores = (random.integers(0, distinct, (rows, 2)) / distinct).astype(np.float32)
    pairs = PairedScores(scores[~positive], scores[positive], owners[~positive], owners[positive])
    found = delong.clustered_error(*histograms(scores, positive), pairs)
    if min(len(np.unique(owners[side])) for side in (positive, ~positive)) < 2:
        assert found is None
        return
    assert_equal_errors(found[0], obuchowskis(scores, positive, owners))
    assert found[1] == len(np.unique(owners))


@given(seed=st.integers(0, 2**32), rows=st.integers(4, 80))
def test_clusters_of_one_row_are_delongs(seed, rows):
    random = np.random.default_rng(seed)
    positive = np.arange(rows) % 2 == 0
    owners = random.permutation(rows).astype(np.uint64)
    scores = random.random((rows, 2)).astype(np.float32)
    pairs = PairedScores(scores[~positive], scores[positive], owners[~positive], owners[positive])
    both = histograms(scores, positive)
    error, _ = delong.clustered_error(*both, pairs)
    assert_equal_errors(error, delong.standard_error(*both, pairs))
    alone = PairedScores(pairs.negatives, pairs.positives)
    assert delong.clustered_error(*both, alone) is None


def test_a_sample_of_rows_gives_nearly_the_same_error():
    random = np.random.default_rng(0)
    positive = random.random(400_000) < 0.3
    signal = random.normal(size=len(positive)) + positive
    logits = np.stack([signal + 0.02 * random.normal(size=len(positive)), signal], axis=1)
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    ours, theirs = histograms(scores, positive)
    full = PairedScores(scores[~positive], scores[positive])
    part = PairedScores(full.negatives[:20_000], full.positives[:20_000])
    exact = delong.standard_error(ours, theirs, full)
    # Kurtosis below 5, so the relative error is about sqrt(4 / 20,000) / 2 = 0.7%.
    assert delong.standard_error(ours, theirs, part) == pytest.approx(exact, rel=0.02)


def test_too_few_rows_give_nothing():
    scores = np.array([[0.1, 0.2], [0.3, 0.2]], np.float32)
    positive = np.array([True, False])
    ours, theirs = histograms(scores, positive)
    pairs = PairedScores(scores[~positive], scores[positive])
    assert delong.standard_error(ours, theirs, pairs) is None
