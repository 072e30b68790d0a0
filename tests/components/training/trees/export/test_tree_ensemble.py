"""Exported trees predict what CatBoost predicts."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.training.trees.export import TreeColumns, TreeEnsemble, from_catboost
from tests.components.training.trees.export import random_tables as tables
from tests.components.training.trees.export.random_tables import COLUMNS, KINDS, Rows

TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}


def check(model, table: Rows, columns: TreeColumns = COLUMNS) -> TreeEnsemble:
    """Compare with CatBoost; return the exported trees."""
    ensemble = from_catboost(model, columns)
    logits = ensemble(table.inputs).numpy()
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, tables.raw_predictions(model, table), **TOLERANCE)
    return ensemble


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"nan_mode": "Max"},
        {"one_hot_max_size": 255},
        {"one_hot_max_size": 12, "max_ctr_complexity": 1},
        {"max_ctr_complexity": 3, "simple_ctr": ["Buckets", "Counter"]},
        {"max_ctr_complexity": 1, "simple_ctr": ["BinarizedTargetMeanValue", "Counter"]},
        {"depth": 9, "iterations": 10},
        {"depth": 1},
        {"iterations": 1},
    ],
    ids=str,
)
def test_equals_catboost(kind, parameters):
    train = tables.rows(3000, seed=1)
    model = tables.fit(kind, train.pool(tables.labels(kind, train, 2)), **parameters)

    for table in (train, tables.strange_rows(2000, seed=3)):
        check(model, table)
    check(model, tables.strange_rows(1, seed=4))


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_give_no_logits(kind):
    train = tables.rows(300, seed=1)
    model = tables.fit(kind, train.pool(tables.labels(kind, train, 2)))

    logits = from_catboost(model, COLUMNS)(train.take(0).inputs)

    assert logits.shape == (0, 4 if kind == "multiclass" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_trees_is_constant(kind):
    train = tables.rows(300, seed=1)
    model = tables.fit(kind, train.pool(tables.labels(kind, train, 2)))
    model.shrink(ntree_end=0)
    _, bias = model.get_scale_and_bias()

    logits = from_catboost(model, COLUMNS)(train.inputs).numpy()

    # CatBoost itself predicts nothing without a tree.
    np.testing.assert_allclose(logits, np.tile(np.atleast_1d(bias), (300, 1)), **TOLERANCE)


def test_scale_and_bias():
    train = tables.rows(500, seed=1)
    label = 50_000 + 1000 * tables.labels("regression", train, 2)
    model = tables.fit("regression", train.pool(label))
    check(model, train)
    model.set_scale_and_bias(0.25, -7.5)

    check(model, train)


def test_weights_of_classes():
    train = tables.rows(2000, seed=1)
    label = tables.labels("multiclass", train, 2)
    model = tables.fit("multiclass", train.pool(label), class_weights=[1, 5, 0.1, 2])

    check(model, train)


def test_values_on_borders():
    train = tables.rows(2000, seed=1, missing=0.0)
    label = tables.labels("regression", train, 2)
    model = tables.fit("regression", train.pool(label), iterations=100, nan_mode="Forbidden")
    borders = [
        np.array(values, np.float32) for values in model.get_borders().values() if len(values)
    ]
    count = max(map(len, borders))
    around = np.stack([np.resize(values, count) for values in borders], axis=1)
    below, above = np.nextafter(around, np.float32(-9)), np.nextafter(around, np.float32(9))
    numeric = np.concatenate([below, around, above])

    check(model, Rows(numeric, np.resize(train.categorical, (len(numeric), 3))))


def test_numbers_that_tensorflow_takes_for_zero_in_training():
    train = tables.rows(300, seed=1)
    train.numeric[:, :] = 0
    train.numeric[:100, 0], train.numeric[100:200, 0] = -1e-40, 1e-30
    model = tables.fit("regression", train.pool(np.arange(300) // 100))
    rows = Rows(np.zeros((4, 3), np.float32), train.categorical[:4])
    rows.numeric[:, 0] = [-1, 0, -1e-37, 1e-30]

    check(model, rows)


def test_missing_values_that_training_has_not_seen():
    train = tables.rows(2000, seed=1, missing=0.0)
    model = tables.fit("binary", train.pool(tables.labels("binary", train, 2)))

    check(model, tables.rows(500, seed=3))


def test_columns_may_be_chosen_and_mixed():
    train = tables.rows(2000, seed=1)
    model = tables.fit("binary", train.pool(tables.labels("binary", train, 2)))
    padding = np.full((2000, 1), np.nan, np.float32)
    numeric = np.concatenate([padding, train.numeric[:, ::-1]], axis=1)
    columns = TreeColumns((3, 2, 1), (2, 1, 0), (4, 600, 12))

    logits = from_catboost(model, columns)(
        {"numeric": numeric, "categorical": train.categorical[:, ::-1]}
    )

    np.testing.assert_allclose(logits, tables.raw_predictions(model, train), **TOLERANCE)


@pytest.mark.parametrize("numeric", [0, 2])
def test_tables_of_one_kind_of_column(numeric):
    whole = tables.rows(1000, seed=1)
    label = tables.labels("binary", whole, 2)
    ids = 0 if numeric else 3
    train = Rows(whole.numeric[:, :numeric], whole.categorical[:, :ids])
    model = tables.fit("binary", train.pool(label))

    check(model, train, TreeColumns(tuple(range(numeric)), tuple(range(ids)), COLUMNS.sizes[:ids]))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(KINDS),
    count=st.integers(2, 300),
    numeric=st.integers(0, 5),
    sizes=st.lists(st.sampled_from([1, 2, 3, 20, 1500]), max_size=4),
    depth=st.integers(1, 8),
    iterations=st.integers(1, 30),
    one_hot=st.sampled_from([1, 2, 10]),
    complexity=st.integers(1, 3),
    nan_mode=st.sampled_from(["Min", "Max"]),
)
def test_any_table(
    seed, kind, count, numeric, sizes, depth, iterations, one_hot, complexity, nan_mode
):
    if not numeric + len(sizes):
        return
    random = np.random.default_rng(seed)

    def draw(rows: int, beyond: int) -> Rows:
        values = random.choice([np.nan, -np.inf, np.inf, 0, 1, -0.0, 1e-37, 3e38], (rows, numeric))
        numbers = np.where(
            random.random(values.shape) < 0.3, values, random.normal(size=values.shape)
        )
        ids = [random.integers(-beyond, size + beyond, rows) for size in sizes]
        categorical = np.array(ids, np.int32).reshape(len(sizes), rows).T
        return Rows(numbers.astype(np.float32), categorical)

    train = draw(count, beyond=0)
    largest = np.finfo(np.float32).max
    train = Rows(train.numeric.clip(-largest, largest), train.categorical)
    # CatBoost refuses a table of constants.
    assume(any(len(np.unique(column)) > 1 for column in (*train.numeric.T, *train.categorical.T)))
    label = random.normal(size=count) if kind == "regression" else np.arange(count) % 2
    if kind == "multiclass":
        label = np.arange(count) % 3 if count > 2 else np.arange(count)
    model = tables.fit(
        kind,
        train.pool(random.permutation(label)),
        depth=depth,
        iterations=iterations,
        one_hot_max_size=one_hot,
        max_ctr_complexity=complexity,
        nan_mode=nan_mode,
    )
    columns = TreeColumns(tuple(range(numeric)), tuple(range(len(sizes))), tuple(sizes))

    check(model, draw(50, beyond=2), columns)


def test_asymmetric_trees_are_refused():
    train = tables.rows(500, seed=1)
    label = tables.labels("binary", train, 2)
    model = tables.fit("binary", train.pool(label), grow_policy="Lossguide", max_ctr_complexity=1)

    with pytest.raises(ValueError, match="SymmetricTree"):
        from_catboost(model, COLUMNS)


def test_borders_at_infinity_are_refused():
    train = tables.rows(500, seed=1)
    train.numeric[:250] = -np.inf
    model = tables.fit("binary", train.pool(np.arange(500) < 250))

    with pytest.raises(ValueError, match="infinite numbers: clip"):
        from_catboost(model, COLUMNS)


_LOAD = """
import sys
sys.modules["catboost"] = None  # Importing it fails.
import numpy as np
import tensorflow as tf
for directory in sys.argv[1:]:
    signature = tf.saved_model.load(directory).signatures["serving_default"]
    rows = np.load(f"{directory}/rows.npz")
    found = signature(**{name: tf.constant(rows[name]) for name in rows})
    np.save(f"{directory}/logits.npy", found["logits"].numpy())
assert not any(name.startswith("kfp_tabular") for name in sys.modules)
"""
_OPERATIONS = {
    "AddN", "AddV2", "Bitcast", "Cast", "ConcatV2", "Const", "ExpandDims", "FloorMod", "GatherNd",
    "GatherV2", "Greater", "Identity", "IsNan", "LogicalAnd", "MatMul", "Maximum", "Minimum", "Mul",
    "Neg", "Pack", "Pad", "Placeholder", "Range", "Reshape", "SelectV2", "Shape",
    "SparseSegmentSum", "StridedSlice", "Tile", "Transpose", "Unpack",
}  # fmt: skip


def test_saved_model_needs_nothing_but_tensorflow(tmp_path: Path):
    train, rows = tables.rows(2000, seed=1), tables.strange_rows(500, seed=3)
    models = {
        kind: tables.fit(kind, train.pool(tables.labels(kind, train, 2)), nan_mode="Max")
        for kind in KINDS
    }
    for kind, model in models.items():
        serve = signature(from_catboost(model, COLUMNS))
        tf.saved_model.save(tf.Module(), str(tmp_path / kind), signatures=serve)
        np.savez(tmp_path / kind / "rows.npz", **rows.inputs)
        graph = serve.get_concrete_function().graph.as_graph_def()
        assert {node.op for node in graph.node} <= _OPERATIONS

    directories = [str(tmp_path / kind) for kind in models]
    subprocess.run([sys.executable, "-c", _LOAD, *directories], check=True, timeout=200)

    for kind, model in models.items():
        found = np.load(tmp_path / kind / "logits.npy")
        np.testing.assert_allclose(found, tables.raw_predictions(model, rows), **TOLERANCE)


def signature(ensemble: TreeEnsemble):
    """Return a signature from packed rows to logits."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 3], tf.float32, name="numeric"),
            tf.TensorSpec([None, 3], tf.int32, name="categorical"),
        ]
    )
    def serve(numeric, categorical):
        return {"logits": ensemble({"numeric": numeric, "categorical": categorical})}

    return serve
