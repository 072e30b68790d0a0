"""Tests of the sizes of a training of trees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.training.input.packed_rows import Categorical, ColumnLayout
from kfp_tabular.components.training.trees import sizes
from kfp_tabular.components.training.trees.export import TreeColumns
from kfp_tabular.components.training.trees.fit import LOSSES


@pytest.mark.parametrize("has_eval", [True, False])
@pytest.mark.parametrize("kind", LOSSES)
def test_the_learning_rate_is_the_one_that_catboost_chooses(kind, has_eval):
    import catboost

    rows, trees = 400, 20
    random = np.random.default_rng(0)
    features = random.normal(size=(rows, 2))
    label = {"binary": features[:, 0] > 0, "regression": features[:, 0]}.get(
        kind, np.digitize(features[:, 0], [-0.5, 0.5])
    )
    pool = catboost.Pool(features, np.asarray(label, float))
    model = catboost.CatBoost(
        {
            "loss_function": LOSSES[kind],
            "iterations": trees,
            "depth": 1,
            "verbose": 0,
            "allow_writing_files": False,
        }
    ).fit(pool, eval_set=pool if has_eval else None)
    own = sizes.learning_rate(kind, rows, trees, has_eval=has_eval)
    assert own == pytest.approx(model.get_all_params()["learning_rate"], rel=1e-3)


def plan(columns, rows=5000, has_eval=True, kind="binary", units=1, **changes):
    return sizes.plan(
        Hyperparameters(**changes), columns, kind=kind, units=units, rows=rows, has_eval=has_eval
    )


def test_hyperparameters_decide_where_they_are_given():
    found = plan(
        TreeColumns((0,)), tree_count=7, tree_depth=3, tree_learning_rate=0.25, tree_l2=9.0
    )
    assert found == sizes.TreePlan(trees=7, learning_rate=0.25, depth=3, l2=9.0)


def test_large_data_get_fewer_trees_and_larger_steps():
    columns = TreeColumns(tuple(range(30)), (0, 1), (10, 500))
    small, large = plan(columns, rows=3000), plan(columns, rows=200_000)
    assert small.trees == sizes.GROWTH * sizes.MOST_TREES
    assert sizes.GROWTH * sizes.FEWEST_TREES <= large.trees < small.trees
    assert large.learning_rate > small.learning_rate
    assert plan(columns, rows=3000, has_eval=False).trees == sizes.TREES_WITHOUT_EVAL


def test_the_learning_rate_is_made_for_fewer_trees_than_may_grow():
    columns = TreeColumns((0, 1))
    assert plan(columns).learning_rate == sizes.learning_rate(
        "binary", 5000, sizes.MOST_TREES, has_eval=True
    )
    given = plan(columns, tree_count=300)
    assert given.trees == 300
    assert given.learning_rate == sizes.learning_rate("binary", 5000, 300, has_eval=True)


def test_nothing_is_added_where_all_trees_are_grown():
    found = sizes.plan(
        Hyperparameters(),
        TreeColumns((0,)),
        kind="binary",
        units=1,
        rows=5000,
        has_eval=True,
        stops_early=False,
    )
    assert found.trees == sizes.MOST_TREES


@given(
    numbers=st.integers(0, 400),
    few=st.integers(0, 20),
    many=st.integers(0, 20),
    units=st.integers(1, 30),
    depth=st.integers(1, 10),
    is_ordered=st.booleans(),
)
def test_the_rows_read_allow_the_fewest_trees(numbers, few, many, units, depth, is_ordered):
    layout = ColumnLayout(
        "label",
        tuple(map(str, range(numbers))),
        (
            *[Categorical("a", 0, 5, is_ordered)] * few,
            *[Categorical("b", 0, 500, is_ordered)] * many,
        ),
    )
    given = Hyperparameters(tree_depth=depth)
    rows = sizes.most_rows(given, layout, units)
    ids = tuple(range(few + many))
    columns = TreeColumns(
        tuple(range(numbers)), ids, (5,) * few + (500,) * many, ordered=ids if is_ordered else ()
    )
    made = sizes.plan(given, columns, kind="multiclass", units=units, rows=rows, has_eval=True)
    assert rows >= 1000
    fewest = sizes.GROWTH * sizes.FEWEST_TREES
    assert fewest <= made.trees <= fewest + 4 or rows == 1000


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_boosting_is_ordered_with_few_rows_of_classes(kind):
    arguments = {"kind": kind, "units": 1, "has_eval": True}
    columns = TreeColumns(tuple(range(100)))
    few = sizes.plan(Hyperparameters(), columns, rows=2000, **arguments)
    more = sizes.plan(Hyperparameters(), columns, rows=2001, **arguments)
    assert (few.is_ordered, more.is_ordered) == (kind != "regression", False)
    # It takes longer, which the number of trees allows for.
    assert few.trees < more.trees if few.is_ordered else few.trees == more.trees
    wide = TreeColumns(tuple(range(2000)))
    assert not sizes.plan(Hyperparameters(), wide, rows=2000, **arguments).is_ordered


def test_tree_rows_is_taken_as_it_is():
    assert sizes.most_rows(Hyperparameters(tree_rows=12), ColumnLayout("y", ("x",), ()), 1) == 12
