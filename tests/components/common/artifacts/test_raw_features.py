import math

import pytest

from kfp_tabular.components.common.artifacts.raw_features import (
    MISSING_INT,
    RawFeature,
    raw_features,
    read_schema,
)
from kfp_tabular.components.common.errors import UserError

FLOAT = RawFeature(name="Preis", dtype="float32", required=False)
INT = RawFeature(name="count", dtype="int64", required=False)
TEXT = RawFeature(name="kind", dtype="string", required=False)


@pytest.fixture
def schema_text():
    pytest.importorskip("tensorflow_metadata")
    return """
        feature { name: "b c.d" type: FLOAT presence { min_fraction: 1.0 } }
        feature { name: "ä" type: INT presence { min_fraction: 0.5 } }
        feature { name: "a" type: BYTES }
    """


def test_raw_features_keep_the_schemas_order_names_and_presence(tmp_path, schema_text):
    (tmp_path / "schema.pbtxt").write_text(schema_text, encoding="utf-8")
    for path in (tmp_path, tmp_path / "schema.pbtxt"):
        assert list(raw_features(read_schema(path)).values()) == [
            RawFeature(name="b c.d", dtype="float32", required=True),
            RawFeature(name="ä", dtype="int64", required=False),
            RawFeature(name="a", dtype="string", required=False),
        ]


def test_a_feature_without_a_type_is_an_error_of_the_user(tmp_path, schema_text):
    (tmp_path / "schema.pbtxt").write_text(schema_text + 'feature { name: "x" }')
    with pytest.raises(UserError, match="feature 'x' has no type"):
        raw_features(read_schema(tmp_path))


@pytest.mark.parametrize("content", [b"feature {", b"\xff\xfe", b"unknown: 1"])
def test_a_file_that_is_not_a_schema_is_a_user_error(tmp_path, schema_text, content):
    (tmp_path / "schema.pbtxt").write_bytes(content)
    with pytest.raises(UserError, match="not a TensorFlow Metadata schema"):
        read_schema(tmp_path)


def test_a_schema_that_is_not_there_is_an_error_of_the_user(tmp_path, schema_text):
    with pytest.raises(UserError, match="no schema found"):
        read_schema(tmp_path)


def test_every_type_has_its_missing_value():
    assert math.isnan(FLOAT.missing)
    assert (INT.missing, TEXT.missing) == (MISSING_INT, "")
