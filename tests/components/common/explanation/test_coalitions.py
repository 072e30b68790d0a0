"""Shapley values against their definition, for games that hypothesis makes up."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.explanation.coalitions import coalitions

FEW = 4  # the fewest orders


def defined(worth, features):
    """Return Shapley values by their definition: the mean over all orders."""
    total = np.zeros(features)
    orders = list(permutations(range(features)))
    for order in orders:
        joined = 0
        for feature in order:
            total[feature] += worth[joined | 1 << feature] - worth[joined]
            joined |= 1 << feature
    return total / len(orders)


def answers(design, worth):
    """Return what a game answers for the coalitions of a design, as one row."""
    numbers = design.masks @ (1 << np.arange(design.masks.shape[1]))
    return np.asarray(worth, float)[numbers][None]


def games(features):
    """Return games: what each coalition is worth."""
    worth = st.floats(-100, 100)
    return st.lists(worth, min_size=2**features, max_size=2**features)


@settings(deadline=None, max_examples=40)
@given(features=st.integers(1, 5), data=st.data())
def test_all_coalitions_give_what_the_definition_says(features, data):
    worth = data.draw(games(features))
    design = coalitions(features, orders=64, seed=0)
    values, errors = design.shapley_values(answers(design, worth))
    assert design.is_exact
    assert not errors.any()
    np.testing.assert_allclose(values[0], defined(worth, features), atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(features=st.integers(5, 9), seed=st.integers(0, 2**32), data=st.data())
def test_sampled_values_add_up(features, seed, data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    worth = random.normal(size=2**features)
    design = coalitions(features, FEW, seed)
    values, _ = design.shapley_values(answers(design, worth))
    assert not design.is_exact
    assert values.sum() == pytest.approx(worth[-1] - worth[0], abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(features=st.integers(3, 8), seed=st.integers(0, 2**32), orders=st.sampled_from([4, 64]))
def test_a_feature_that_changes_nothing_gets_nothing(features, seed, orders):
    random = np.random.default_rng(seed)
    half = random.normal(size=2 ** (features - 1))
    worth = np.repeat(half, 2)  # the first feature is the lowest bit
    design = coalitions(features, orders, seed)
    values, errors = design.shapley_values(answers(design, worth))
    # Of all coalitions, weighted answers are added up, to within their last digits.
    assert abs(values[0, 0]) <= (1e-15 if design.is_exact else 0)
    assert errors[0, 0] == 0


@settings(deadline=None, max_examples=30)
@given(features=st.integers(2, 6), seed=st.integers(0, 2**32))
def test_equal_features_get_equal_shares(features, seed):
    random = np.random.default_rng(seed)
    worth = random.normal(size=2**features)
    numbers = np.arange(2**features)
    swapped = (numbers & ~3) | ((numbers & 1) << 1) | ((numbers & 2) >> 1)
    worth = (worth + worth[swapped]) / 2
    design = coalitions(features, orders=64, seed=seed)
    values, _ = design.shapley_values(answers(design, worth))
    assert values[0, 0] == pytest.approx(values[0, 1], abs=1e-12)


def test_the_error_of_sampled_values_is_as_stated():
    features = 9
    worth = np.random.default_rng(1).normal(size=2**features)
    truth = defined_by_weights(worth, features)
    missed = []
    for seed in range(200):
        design = coalitions(features, orders=20, seed=seed)
        values, errors = design.shapley_values(answers(design, worth))
        missed.append((values[0] - truth) / errors[0])
    # A t distribution with 9 degrees of freedom: its standard deviation is 1.13.
    assert np.std(missed) == pytest.approx(1.13, abs=0.12)
    assert np.mean(np.abs(missed) > 2.26) == pytest.approx(0.05, abs=0.02)


def defined_by_weights(worth, features):
    """Return exact Shapley values of more features than the definition can be run for."""
    design = coalitions(features, orders=2**features, seed=0)
    assert design.is_exact
    values, _ = design.shapley_values(answers(design, worth))
    return values[0]


def test_the_seed_decides():
    first, again, other = (coalitions(12, FEW, seed).masks for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()


@settings(deadline=None, max_examples=30)
@given(features=st.integers(1, 12), orders=st.sampled_from([4, 8, 32]), seed=st.integers(0, 99))
def test_the_ends_are_the_baseline_and_the_row(features, orders, seed):
    masks = coalitions(features, orders, seed).masks
    assert not masks[0].any()
    assert masks[-1].all()
    assert len(np.unique(masks, axis=0)) == len(masks)


@pytest.mark.parametrize("orders", [0, 2, 7])
def test_an_odd_number_of_orders_is_refused(orders):
    with pytest.raises(ValueError, match="orders: expected an even number of at least 4"):
        coalitions(3, orders, 0)
