"""Tests of holding out rows of the train split."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.training.input.hold_out import HoldOut, is_usable, share_of
from kfp_tabular.components.training.input.packed_rows import PackedRows


def rows_of(count, seed, numbers=3, ids=2):
    random = np.random.default_rng(seed)
    return PackedRows(
        random.normal(size=(count, numbers)).astype(np.float32),
        random.integers(0, 5, (count, ids)).astype(np.int32),
        random.integers(0, 2, count).astype(np.int32),
    )


@given(
    count=st.integers(0, 300),
    seed=st.integers(0, 1000),
    numbers=st.integers(0, 3),
    ids=st.integers(0, 2),
    share=st.floats(0, 1),
)
@settings(deadline=None, max_examples=40)
def test_equal_rows_stay_together_in_any_order(count, seed, numbers, ids, share):
    rows = rows_of(count, seed, numbers, ids)
    order = np.random.default_rng(seed + 1).integers(0, max(count, 1), 2 * count)
    hold_out = HoldOut(share)
    assert np.array_equal(
        hold_out.mask(rows.take(order), order), hold_out.mask(rows, np.arange(count))[order]
    )


@pytest.mark.parametrize("share", [0.1, 0.2])
@pytest.mark.parametrize(("numbers", "ids"), [(3, 2), (1, 0), (0, 9)])
def test_the_share_is_that_of_the_distinct_rows(share, numbers, ids):
    rows = rows_of(20_000, 0, numbers, ids)
    rows.categorical[:] *= np.arange(20_000)[:, None] if ids == 9 else 1
    assert HoldOut(share).mask(rows, np.arange(len(rows))).mean() == pytest.approx(share, abs=0.02)


def test_values_that_differ_by_little_are_told_apart():
    numbers = np.nextafter(np.full((5000, 1), 1.0, np.float32), 2) + np.arange(5000)[:, None] * 1e-6
    rows = PackedRows(numbers.astype(np.float32), np.zeros((5000, 0), np.int32), np.zeros(5000))
    assert 0.1 < HoldOut(0.2).mask(rows, np.arange(len(rows))).mean() < 0.3


def test_minus_zero_is_zero():
    rows = rows_of(100, 0)
    rows.numeric[:] = 0
    other = rows_of(100, 0)
    other.numeric[:] = -0.0
    assert np.array_equal(
        HoldOut(0.5).mask(rows, np.arange(len(rows))),
        HoldOut(0.5).mask(other, np.arange(len(other))),
    )


def test_the_label_does_not_count():
    rows, other = rows_of(500, 0), rows_of(500, 0)
    other.label[:] = 1 - other.label
    assert np.array_equal(
        HoldOut(0.2).mask(rows, np.arange(len(rows))),
        HoldOut(0.2).mask(other, np.arange(len(other))),
    )


@given(rows=st.integers(0, 10**9))
@settings(deadline=None)
def test_the_share_falls_with_the_rows(rows):
    share = share_of(rows)
    assert share == 0 if rows < 100 else 0.1 <= share <= 0.2
    assert rows < 100 or share_of(rows + 1000) <= share


def test_a_division_with_nothing_on_one_side_is_not_used():
    rows = rows_of(501, 0)
    for divides_equal in (False, True):
        assert not is_usable(rows.take(slice(9)), 1000, divides_equal=divides_equal)
        assert not is_usable(rows, 499, divides_equal=divides_equal)
        assert is_usable(rows.take(slice(100)), 900, divides_equal=divides_equal)


def test_few_distinct_rows_are_not_enough():
    copies = np.repeat(np.arange(49), 20)
    assert not is_usable(rows_of(49, 0).take(copies), 9000, divides_equal=False)
    assert is_usable(rows_of(49, 0).take(copies), 9000, divides_equal=True)
    assert is_usable(rows_of(50, 0), 9000, divides_equal=False)


@given(
    first=st.integers(0, 2**40),
    order=st.permutations(list(range(50))),
    share=st.floats(0, 1),
)
@settings(deadline=None, max_examples=20)
def test_a_row_is_held_out_by_its_number(first, order, share):
    hold_out = HoldOut(share, divides_equal=True)
    numbers = first + np.arange(50)
    mask = hold_out.mask(rows_of(50, 0), numbers)
    assert np.array_equal(hold_out.mask(rows_of(50, 1), numbers[order]), mask[order])


@pytest.mark.parametrize("first", [0, 10**6, 10**12])
def test_equal_rows_are_divided_in_the_share(first):
    rows = rows_of(1, 0).take(np.zeros(20_000, np.int64))
    mask = HoldOut(0.1, divides_equal=True).mask(rows, first + np.arange(20_000))
    assert mask.mean() == pytest.approx(0.1, abs=0.01)
    # Not by blocks or steps either.
    assert mask.reshape(20, 1000).mean(axis=1) == pytest.approx([0.1] * 20, abs=0.04)
    assert mask.reshape(-1, 10).mean(axis=0) == pytest.approx([0.1] * 10, abs=0.03)
