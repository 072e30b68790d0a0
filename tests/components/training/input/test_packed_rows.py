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
    assert found.categorical == (packed_rows.Categorical("city", -1, 10),)
    assert found.columns == ["x", "n", "city", "y"]


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
            [LABEL, 'feature { name: "v" type: FLOAT shape { dim { size: 3 } } }'],
            "'v' does not have one value per row",
        ),
        ([LABEL, 'feature { name: "s" type: FLOAT }'], "'s' does not have one value per row"),
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
