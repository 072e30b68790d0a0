"""Means and deviations that are rounded to what every order of merging gives."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.processing.folds.moments import Moments, stable


def moments_of(parts):
    found = Moments()
    for part in parts:
        other = Moments()
        other.add(part)
        found.merge(other)
    return found


# By chance, of a million numbers one lies where it may be rounded either way.
@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    scale=st.floats(1e-6, 1e6),
    center=st.floats(-10, 10),
    ends=st.lists(st.integers(0, 500), max_size=6),
)
def test_another_order_of_merging_gives_the_same_bits(seed, scale, center, ends):
    random = np.random.default_rng(seed)
    numbers = (random.lognormal(size=500) + center) * scale
    parts = [part for part in np.split(numbers, sorted(ends)) if len(part)]
    whole, cut, turned = moments_of([numbers]), moments_of(parts), moments_of(parts[::-1])
    found = {stable(each.mean, each.deviation) for each in (whole, cut, turned)}
    assert len(found) == 1
    ((mean, deviation),) = found
    assert abs(mean - whole.mean) <= 1e-9 * whole.deviation
    assert math.isclose(deviation, whole.deviation, rel_tol=1e-9)


def test_what_cannot_be_rounded_stays():
    assert stable(3.25, 0.0) == (3.25, 0.0)
    assert stable(1e300, 1.0) == (1e300, 1.0)
    assert stable(math.inf, 1.0) == (math.inf, 1.0)
    mean, deviation = stable(math.nan, math.nan)
    assert math.isnan(mean)
    assert math.isnan(deviation)
    tiny = 5e-324
    assert stable(tiny, tiny) == (tiny, tiny)
