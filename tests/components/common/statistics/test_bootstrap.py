import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.processing import row_keys
from kfp_tabular.components.common.statistics import bootstrap


def groups(start, rows, seed):
    return bootstrap.groups_of(row_keys.keys(start, rows, seed))


@given(st.integers(), st.lists(st.integers(0, 50), max_size=6))
def test_a_rows_group_does_not_depend_on_how_rows_are_batched(seed, sizes):
    whole = groups(0, sum(sizes), seed)
    starts = np.cumsum([0, *sizes])
    parts = [groups(int(a), size, seed) for a, size in zip(starts, sizes, strict=False)]
    assert np.array_equal(whole, np.concatenate([*parts, []]))


def test_groups_are_even_and_depend_on_the_seed():
    rows = 256_000
    counts = np.bincount(groups(0, rows, 3), minlength=bootstrap.GROUPS)
    # Chi-squared with 255 degrees of freedom stays below 370 but for one in a million.
    assert ((counts - 1000) ** 2 / 1000).sum() < 370
    same = (groups(0, rows, 3) == groups(0, rows, 4)).mean()
    assert same == pytest.approx(1 / bootstrap.GROUPS, abs=0.002)


def test_weights_depend_on_the_seed_alone():
    assert np.array_equal(bootstrap.weights(100, 5), bootstrap.weights(100, 5))
    assert not np.array_equal(bootstrap.weights(100, 5), bootstrap.weights(100, 6))


@pytest.mark.parametrize("rows", [200, 20_000])
def test_the_interval_of_a_mean_is_that_of_its_standard_error(rows):
    widths = []
    for seed in range(20):
        values = np.random.default_rng(seed).exponential(size=rows)
        place = groups(0, rows, seed)
        sums = np.bincount(place, weights=values, minlength=bootstrap.GROUPS)
        counts = np.bincount(place, minlength=bootstrap.GROUPS)
        weights = bootstrap.weights(1000, seed)
        low, high = bootstrap.interval((weights @ sums) / (weights @ counts))
        widths.append((high - low) / (2 * 1.96 * values.std() / np.sqrt(rows)))
    assert np.mean(widths) == pytest.approx(1, abs=0.06)


def test_there_is_no_interval_where_too_few_resamples_are_defined():
    values = np.linspace(0, 1, 100)
    values[:9] = np.nan
    assert bootstrap.interval(values) is not None
    values[:11] = np.nan
    assert bootstrap.interval(values) is None
