"""Tests of the columns that trees see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.training.input.packed_rows import (
    Categorical,
    ColumnLayout,
    PackedRows,
    Vector,
)
from kfp_tabular.components.training.trees import column_choice, pool
from kfp_tabular.components.training.trees.export import TreeColumns


def rows_of(numeric, categorical, label):
    return PackedRows(
        np.asarray(numeric, np.float32), np.asarray(categorical, np.int32), np.asarray(label)
    )


def test_a_bucket_is_a_copy_only_of_a_number_that_is_there():
    ids = ("fare__bucket", "fare__bucket_2", "age__bucket", "fare__buckets", "city")
    layout = ColumnLayout("tip", ("fare",), tuple(Categorical(name, 0, 3) for name in ids))
    random = np.random.default_rng(0)
    rows = rows_of(random.normal(size=(50, 1)), random.integers(0, 3, (50, 5)), np.arange(50) % 2)
    found = column_choice.choose(layout, "binary", rows)
    assert found == TreeColumns((0,), (2, 3, 4), (3, 3, 3))


def test_columns_of_one_value_are_left_out():
    layout = ColumnLayout("tip", ("a", "b"), (Categorical("c", 0, 9), Categorical("d", 0, 4)))
    rows = rows_of([[1, 2], [1, 3]], [[8, 0], [8, 1]], [0, 1])
    assert column_choice.choose(layout, "binary", rows) == TreeColumns((1,), (1,), (4,))
    assert column_choice.choose(layout, "binary", rows.take(slice(0, 1))) == TreeColumns(())
    assert column_choice.choose(layout, "binary", rows.take(slice(0, 0))) == TreeColumns(())


def test_ids_with_an_order_are_numbers_too():
    ids = (Categorical("hour", 0, 24, is_ordered=True), Categorical("zone", 0, 24))
    layout = ColumnLayout("tip", ("fare",), (*ids, Categorical("day", 0, 31, is_ordered=True)))
    rows = rows_of([[1], [2]], [[0, 1, 4], [5, 2, 4]], [0, 1])
    found = column_choice.choose(layout, "binary", rows)
    assert found == TreeColumns((0,), (0, 1), (24, 24), ordered=(0,))
    assert found.numbers == 2


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_wide_vector_gives_the_numbers_that_go_with_the_label(kind):
    width, informative = 300, (3, 77, 299)
    layout = ColumnLayout("tip", ("fare",), (), (Vector("tags", 4), Vector("note", width)))
    random = np.random.default_rng(0)
    numeric = random.normal(size=(400, layout.width))
    score = sum(numeric[:, 5 + index] for index in informative)
    label = {
        "binary": (score > 0).astype(np.int32),
        "multiclass": np.digitize(score, [-1, 1]).astype(np.int32),
        "regression": score.astype(np.float32),
    }[kind]
    found = column_choice.choose(layout, kind, rows_of(numeric, np.zeros((400, 0)), label))
    assert found.numeric[:5] == (0, 1, 2, 3, 4)
    assert len(found.numeric) == 5 + column_choice.WIDEST_WHOLE
    assert {5 + index for index in informative} <= set(found.numeric)
    assert list(found.numeric) == sorted(found.numeric)


@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(0, 30),
    widths=st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 90)),
)
def test_every_column_chosen_exists_and_varies(seed, rows, widths):
    numbers, categories, vector = widths
    layout = ColumnLayout(
        "label",
        tuple(f"n{index}" for index in range(numbers)),
        tuple(Categorical(f"c{index}", 0, index + 1) for index in range(categories)),
        (Vector("v", vector),) if vector else (),
    )
    random = np.random.default_rng(seed)
    sizes = np.arange(1, categories + 1)
    packed = rows_of(
        random.integers(0, 2, (rows, layout.width)),
        random.integers(0, sizes, (rows, categories)),
        random.integers(0, 2, rows),
    )
    found = column_choice.choose(layout, "binary", packed)
    assert all(np.ptp(packed.numeric[:, index]) for index in found.numeric)
    assert all(np.ptp(packed.categorical[:, index]) for index in found.categorical)
    assert found.sizes == tuple(layout.categorical[index].size for index in found.categorical)
    if found.numeric or found.categorical:
        made = pool.build(packed, found)
        assert made.shape == (rows, len(found.numeric) + len(found.categorical))
        assert len(made.get_cat_feature_indices()) == len(found.categorical)
