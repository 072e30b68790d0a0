import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.dense_columns import dense_column, dense_numpy
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT, RawFeature
from kfp_tabular.components.common.errors import UserError

FLOAT = RawFeature(name="Preis", dtype="float32", required=False)
INT = RawFeature(name="count", dtype="int64", required=False)
TEXT = RawFeature(name="kind", dtype="string", required=False)
LARGEST = float(np.finfo(np.float32).max)


@given(st.lists(st.none() | st.floats(-LARGEST, LARGEST)))
def test_doubles_become_float32_and_null_becomes_nan(values):
    dense = dense_numpy(pa.array(values, pa.float64()), FLOAT)
    expected = np.array([np.nan if value is None else value for value in values], np.float32)
    assert dense.dtype == np.float32
    np.testing.assert_array_equal(dense, expected)


@given(st.lists(st.none() | st.integers(MISSING_INT + 1, 2**63 - 1)))
def test_integers_are_exact_and_null_becomes_the_smallest(values):
    dense = dense_numpy(pa.array(values, pa.int64()), INT)
    assert dense.dtype == np.int64
    assert dense.tolist() == [MISSING_INT if value is None else value for value in values]


@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"]))))
def test_text_becomes_bytes_and_null_becomes_empty(values):
    dense = dense_numpy(pa.array(values, pa.string()), TEXT)
    assert dense.dtype == object
    assert dense.tolist() == [(value or "").encode() for value in values]


@pytest.mark.parametrize(
    ("column", "feature", "expected"),
    [
        (pa.array([3.0, None]), INT, [3, MISSING_INT]),
        (pa.array([3, 2**40]), FLOAT, [3.0, float(2**40)]),
        (pa.array([0.1]), FLOAT, [float(np.float32(0.1))]),
        (pa.array(["1.5"]), FLOAT, [1.5]),
        (pa.array([7]), TEXT, ["7"]),
        (pa.array(["x"], pa.large_string()), TEXT, ["x"]),
        (pa.array(["x", None, "x"]).dictionary_encode(), TEXT, ["x", "", "x"]),
        (pa.nulls(2), INT, [MISSING_INT, MISSING_INT]),
        (pa.nulls(1), TEXT, [""]),
        (pa.chunked_array([[1, None], [], [2]], pa.int64()), INT, [1, MISSING_INT, 2]),
        (pa.chunked_array([], pa.int64()), INT, []),
        (pa.array(["a", None, "b"]).slice(1), TEXT, ["", "b"]),
    ],
    ids=str,
)
def test_columns_of_other_types_are_cast_where_nothing_is_lost(column, feature, expected):
    dense = dense_column(column, feature)
    assert dense.null_count == 0
    assert dense.to_pylist() == expected


@pytest.mark.parametrize(
    ("column", "feature"),
    [
        (pa.array([1.5]), INT),
        (pa.array([float("nan")]), INT),
        (pa.array([1e19]), INT),
        (pa.array(["x"]), INT),
        (pa.array(["x"]), FLOAT),
        (pa.array([[1]]), TEXT),
        (pa.array([{"a": 1}]), FLOAT),
        (pa.array([1e39, -1e300]), FLOAT),
        (pa.array([float("inf")]), FLOAT),
        (pa.array([float("-inf")], pa.float32()), FLOAT),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_names_the_column(column, feature):
    with pytest.raises(UserError, match=f"column '{feature.name}'"):
        dense_column(column, feature)


def test_tensorflow_takes_the_arrays_as_they_are():
    tf = pytest.importorskip("tensorflow")
    for column, feature in [
        (pa.array([1.5, None]), FLOAT),
        (pa.array([1, None]), INT),
        (pa.array(["店", None]), TEXT),
    ]:
        tensor = tf.constant(dense_numpy(column, feature))
        assert tensor.dtype == feature.dtype
        assert tensor.shape == [2]
    assert tensor.numpy().tolist() == ["店".encode(), b""]
