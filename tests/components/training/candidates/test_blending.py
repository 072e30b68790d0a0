"""Blends: the optimum, and what must hold for every blend."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.training.candidates import blending

KINDS = ("binary", "multiclass", "regression")
CLASSES = 3
PRECISION = 1 / 0.3**2


def drawn(kind, rows, seed, members=2, scale=1.0):
    """Return members' normalized logits that know the label more or less well, and the label."""
    random = np.random.default_rng(seed)
    if kind == "regression":
        truth = random.normal(size=(rows, 1))
        label = truth[:, 0] + random.normal(0, 0.3, rows)
    elif kind == "binary":
        truth = random.normal(0, 1.5, (rows, 1))
        label = (random.random(rows) < 1 / (1 + np.exp(-truth[:, 0]))).astype(int)
    else:
        truth = random.normal(0, 1.5, (rows, CLASSES))
        noise = random.gumbel(size=(rows, CLASSES))
        label = (truth + noise).argmax(axis=1)
    errors = 0.4 + 0.4 * np.arange(members)
    logits = [scale * (truth + random.normal(0, error, truth.shape)) for error in errors]
    return [blending.normalized(kind, member) for member in logits], label


def penalized(kind, members, label, coefficients, bias):
    """Return the sum of the losses with the penalty, written down a second time."""
    logits = sum(value * member for value, member in zip(coefficients, members, strict=True)) + bias
    if kind == "regression":
        squares = [((member[:, 0] - label) ** 2).mean() for member in members]
        total = ((logits[:, 0] - label) ** 2).sum() / (2 * min(squares))
    else:
        both = logits if kind == "multiclass" else np.concatenate([0 * logits, logits], axis=1)
        shares = np.exp(both) / np.exp(both).sum(axis=1, keepdims=True)
        total = -np.log(shares[np.arange(len(label)), label]).sum()
    away = np.array(coefficients) - 1 / len(members)
    return total + PRECISION / 2 * ((away**2).sum() + (np.array(bias) ** 2).sum())


def value_of(kind, members, label, blend):
    return penalized(kind, members, label, blend.coefficients, np.array(blend.bias))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_the_best_of_a_grid(kind, seed):
    members, label = drawn(kind, 300, seed, members=3)
    blend = blending.fit(kind, members, label, "weights")
    found = value_of(kind, members, label, blend)
    steps = np.linspace(0, 1, 26)
    grid = [
        (one, other, 1 - one - other)
        for one, other in itertools.product(steps, steps)
        if one + other <= 1
    ]
    no_bias = np.zeros(members[0].shape[1])
    least = min(penalized(kind, members, label, point, no_bias) for point in grid)
    # Not above the grid's best, and no further below it than a step of the grid explains.
    assert found <= least + 1e-9
    nearest = min(grid, key=lambda point: penalized(kind, members, label, point, no_bias))
    assert np.abs(np.array(nearest) - blend.coefficients).max() <= 0.04 + 1e-9


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_a_calibrated_blend_is_the_best_of_a_grid(kind):
    members, label = drawn(kind, 400, seed=5, scale=2.0)
    blend = blending.fit(kind, members, label, "calibrated")
    found = value_of(kind, members, label, blend)
    points = itertools.product(np.linspace(0, 1, 21), np.linspace(0, 1, 21), (-0.1, 0.0, 0.1))
    least = min(penalized(kind, members, label, (a, b), np.array([c])) for a, b, c in points)
    assert found <= least + 1e-9
    # The members are twice as sure as they should be.
    assert 0.35 < sum(blend.coefficients) < 0.75


def test_no_step_from_a_calibrated_blend_of_classes_is_better():
    members, label = drawn("multiclass", 400, seed=2, scale=2.0)
    blend = blending.fit("multiclass", members, label, "calibrated")
    found = value_of("multiclass", members, label, blend)
    random = np.random.default_rng(0)
    for size in (1e-3, 1e-2, 0.1, 0.5):
        for _ in range(50):
            moved = np.maximum(blend.coefficients + size * random.normal(size=2), 0)
            bias = blend.bias + size * random.normal(size=CLASSES)
            assert penalized("multiclass", members, label, moved, bias) >= found - 1e-9


@settings(deadline=None, max_examples=25)
@given(
    kind=st.sampled_from(KINDS),
    form=st.sampled_from(["weights", "calibrated"]),
    rows=st.integers(2, 120),
    members=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
def test_what_holds_for_every_blend(kind, form, rows, members, seed):
    logits, label = drawn(kind, rows, seed, members)
    blend = blending.fit(kind, logits, label, form)
    assert min(blend.coefficients) >= 0
    assert sum(blend.weights) == pytest.approx(1)
    if form == "weights":
        assert sum(blend.coefficients) == pytest.approx(1)
        assert not any(blend.bias)
    order = np.random.default_rng(seed).permutation(members)
    again = blending.fit(kind, [logits[place] for place in order], label, form)
    assert again.coefficients == pytest.approx(np.array(blend.coefficients)[order], abs=1e-5)
    assert again.bias == pytest.approx(blend.bias, abs=1e-5)
    equal = blending.equal(members, logits[0].shape[1])
    assert value_of(kind, logits, label, blend) <= value_of(kind, logits, label, equal) + 1e-9
    measured = blending.cross_validated(kind, logits, label, form)
    assert np.isfinite(measured.losses).all()
    assert measured.loss == pytest.approx(measured.losses.mean())
    for member, found in zip(logits, measured.members, strict=True):
        assert found == pytest.approx(blending.losses(kind, member, label))
    above, error = measured.above(measured.members[0])
    differences = measured.losses - measured.members[0]
    assert above == pytest.approx(differences.mean(), abs=1e-12)
    assert error == pytest.approx(differences.std() / np.sqrt(rows), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_few_rows_stay_near_equal_weights_and_many_find_the_best(kind):
    """The members differ in quality: the better one deserves more than half."""
    shares = [
        np.mean(
            [
                blending.fit(kind, *drawn(kind, rows, seed), "weights").coefficients[0]
                for seed in range(20)
            ]
        )
        for rows in (5, 300, 5000)
    ]
    best = blending.fit(kind, *drawn(kind, 40_000, 99), "weights").coefficients[0]
    distances = [abs(share - best) for share in shares]
    assert distances == sorted(distances, reverse=True)
    assert abs(shares[0] - 0.5) < abs(best - 0.5)
    assert distances[-1] < 0.03


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_weights_of_rows_count_as_rows_do(kind):
    """Rows of weight 0 change as little as rows that are not there."""
    members, label = drawn(kind, 100, seed=4)
    plain = blending.fit(kind, members, label, "weights")
    order = np.random.default_rng(0).permutation(100)
    added = [np.concatenate([member, member[order]]) for member in members]
    weights = np.repeat([1.0, 0.0], 100)
    found = blending.fit(kind, added, np.concatenate([label, label]), "weights", weights)
    # Weights have a mean of 1, so that 200 rows outweigh the penalty twice as much.
    twice = [np.concatenate([member, member]) for member in members]
    expected = blending.fit(kind, twice, np.concatenate([label, label]), "weights")
    assert found.coefficients == pytest.approx(expected.coefficients, abs=1e-6)
    assert found.coefficients != pytest.approx(plain.coefficients, abs=1e-6)


def test_cross_validation_does_not_reward_what_only_fits_its_own_rows():
    """Members that know nothing: the calibrated form gains on its rows, and loses on others."""
    random = np.random.default_rng(1)
    members = [random.normal(size=(60, 1)) for _ in range(3)]
    label = random.integers(0, 2, 60)
    blend = blending.fit("binary", members, label, "calibrated")
    own = blending.losses("binary", blend.logits(members), label).mean()
    assert blending.cross_validated("binary", members, label, "calibrated").loss > own
