import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.input import packed_rows

SCALAR = "presence { min_fraction: 1.0 } shape { }"
LABEL = f'feature {{ name: "y" type: INT {SCALAR} }}'


def schema(*features: str) -> schema_pb2.Schema:
    return text_format.Parse("\n".join(features), schema_pb2.Schema())


@pytest.mark.parametrize(("flag", "is_ordered"), [("true", False), ("false", True)])
def test_ids_are_ordered_unless_the_schema_says_categories(flag, is_ordered):
    domain = f"int_domain {{ max: 23 is_categorical: {flag} }}"
    text = f'feature {{ name: "hour" type: INT {domain} {SCALAR} }}'
    label = f'feature {{ name: "y" type: INT {SCALAR} }}'
    schema = text_format.Parse(text + label, schema_pb2.Schema())
    (hour,) = packed_rows.from_schema(schema, "y").categorical
    assert (hour.size, hour.is_ordered) == (24, is_ordered)


def test_columns_by_type():
    found = packed_rows.from_schema(
        schema(
            f'feature {{ name: "x" type: FLOAT {SCALAR} }}',
            f'feature {{ name: "city" type: INT int_domain {{ min: -1 max: 8 }} {SCALAR} }}',
            LABEL,
            f'feature {{ name: "n" type: INT {SCALAR} }}',
        ),
        "y",
    )
    assert found.numeric == ("x", "n")
    assert found.categorical == (packed_rows.Categorical("city", -1, 10, is_ordered=True),)
    assert found.columns == ["x", "n", "city", "y"]


def test_vectors_follow_the_numbers():
    found = packed_rows.from_schema(
        schema(
            'feature { name: "note" type: FLOAT shape { dim { size: 3 } } }',
            f'feature {{ name: "x" type: FLOAT {SCALAR} }}',
            LABEL,
        ),
        "y",
    )
    assert found.vectors == (packed_rows.Vector("note", 3),)
    assert (found.width, found.row_bytes) == (4, 20)
    assert found.columns == ["x", "note", "y"]
    note = np.arange(6, dtype=np.float32).reshape(2, 3)
    numbers, ids = packed_rows.pack({"note": note, "x": np.array([8.0, 9.0], np.float32)}, found)
    np.testing.assert_array_equal(numbers, [[8, 0, 1, 2], [9, 3, 4, 5]])
    assert ids.shape == (2, 0)
    alone = packed_rows.ColumnLayout("y", (), (), found.vectors)
    np.testing.assert_array_equal(packed_rows.pack({"note": note}, alone)[0], note)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            [f'feature {{ name: "yy" type: INT {SCALAR} }}'],
            "no label column 'y'.*Did you mean 'yy'",
        ),
        ([LABEL], "no column but the label"),
        ([LABEL, f'feature {{ name: "t" type: BYTES {SCALAR} }}'], "'t' is text"),
        (
            [LABEL, 'feature { name: "v" type: FLOAT shape { dim { size: 3 } dim { size: 2 } } }'],
            "'v' does not have one value or one vector",
        ),
        (
            [LABEL, 'feature { name: "v" type: INT shape { dim { size: 3 } } }'],
            "'v' does not have one value or one vector",
        ),
        ([LABEL, 'feature { name: "s" type: FLOAT }'], "'s' does not have one value or one vector"),
    ],
)
def test_what_does_not_fit(features, message):
    with pytest.raises(UserError, match=message):
        packed_rows.from_schema(schema(*features), "y")


def test_tensors_are_packed_like_parquet():
    columns = packed_rows.ColumnLayout("y", ("a", "b"), (packed_rows.Categorical("c", 2, 3),))
    values = {
        "b": np.array([3.0, 4.0], np.float32),
        "c": np.array([2, 4]),
        "a": np.array([1.0, 2.0], np.float32),
    }
    numeric, ids = packed_rows.pack(values, columns)
    np.testing.assert_array_equal(numeric, [[1, 3], [2, 4]])
    np.testing.assert_array_equal(ids, [[0], [2]])
    none, _ = packed_rows.pack(
        {"c": values["c"]}, packed_rows.ColumnLayout("y", (), columns.categorical)
    )
    assert none.shape == (2, 0)
