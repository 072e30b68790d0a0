"""Leaves of exported trees are looked up for several trees at once."""

import numpy as np
import pytest

from kfp_tabular.components.common.prediction.tabulated.leaf_sums import LeafSum
from kfp_tabular.components.common.prediction.tabulated.tabulated_model import (
    TabulatedModel,
    TabulatedPiece,
)
from kfp_tabular.components.training.trees.export.tree_ensemble import TreeEnsemble
from kfp_tabular.components.training.trees.export.tree_tables import TreeTables
from tests.components.common.prediction.tabulated.conftest import columns
from tests.components.common.prediction.tabulated.test_tabulated_model import assert_same

NUMBERS = 4
SAME = {"rtol": 1e-6, "atol": 1e-6}


def ensemble(depth: int, trees: int, units: int) -> TreeEnsemble:
    """Return trees with random conditions and leaves."""
    random = np.random.default_rng(depth)
    nothing = np.empty(0, np.int32)
    blocks = np.array([0, 1, 1, 2, 3], np.int32)
    return TreeEnsemble(
        TreeTables(
            numeric=np.arange(NUMBERS, dtype=np.int32),
            missing_is_largest=np.zeros(NUMBERS, bool),
            categorical=nothing,
            sizes=nothing,
            bit_features=nothing,
            bit_borders=nothing.astype(np.float32),
            lookup_parts=np.empty((0, 1), np.int32),
            lookup_strides=np.empty((0, 1), np.int32),
            lookup_offsets=nothing,
            table=nothing.astype(np.float32),
            block_features=blocks,
            block_borders=np.sort(random.normal(1, 2, (len(blocks), 8)).astype(np.float32)),
            splits=random.integers(0, 8 * len(blocks), (trees, depth)).astype(np.int32),
            leaf_offsets=(np.arange(trees) << depth).astype(np.int32),
            leaves=random.normal(size=(trees << depth, units)),
            bias=np.zeros(units),
        )
    )


def function(depth, trees, units):
    """Return a model of random trees, of raw features."""
    answer = ensemble(depth, trees, units)

    def logits(tf, raw):
        texts = tf.cast(tf.strings.length(raw["company"]), tf.float32)
        whole = tf.cast(raw["hour"], tf.float32)
        matrix = tf.stack([raw["Fare"], raw["miles"], whole, texts], axis=1)
        found = answer({"numeric": matrix, "categorical": tf.zeros_like(matrix, tf.int32)})
        return found[:, 0] if units == 1 else found

    return logits


@pytest.mark.parametrize(
    ("depth", "trees", "units", "packs"),
    [(1, 30, 1, 2), (5, 4, 3, 1), (6, 11, 1, 3), (9, 5, 1, 3)],
)
def test_leaves_of_several_trees_are_one_number(saved, depth, trees, units, packs):
    model = saved(function(depth, trees, units), "regression" if units == 1 else "multiclass")
    tables = TabulatedModel(model)
    (cut,) = tables._cut.tensors
    assert isinstance(cut, LeafSum)
    assert cut.width == packs

    given_columns = columns(400, seed=depth)
    assert_same(TabulatedPiece(tables).answers(given_columns), model.answers(given_columns), **SAME)


def test_tables_of_trees_have_a_bounded_size(saved, monkeypatch):
    monkeypatch.setattr(
        "kfp_tabular.components.common.prediction.tabulated.leaf_sums._MOST_BYTES", 25_000
    )
    (cut,) = TabulatedModel(saved(function(4, 20, 1)))._cut.tensors
    sums, _ = cut.trees.tables()
    assert cut.trees.together == 2
    assert sums.nbytes <= 25_000


@pytest.mark.parametrize("units", [1, 3])
def test_conditions_that_mix_columns_are_not_tabulated(saved, units):
    answer = ensemble(3, 5, units)

    def logits(tf, raw):
        mixed = raw["Fare"] * raw["miles"]
        matrix = tf.stack([mixed, raw["Fare"], raw["miles"], mixed], axis=1)
        found = answer({"numeric": matrix, "categorical": tf.zeros_like(matrix, tf.int32)})
        return found[:, 0] if units == 1 else found

    model = saved(logits, "regression" if units == 1 else "multiclass")
    tables = TabulatedModel(model)
    assert not any(isinstance(each, LeafSum) for each in tables._cut.tensors)
    given_columns = columns(200, 1)
    assert_same(TabulatedPiece(tables).answers(given_columns), model.answers(given_columns), **SAME)
