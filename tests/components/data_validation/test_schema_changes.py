from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.data_validation.schema_changes import SchemaChange, compare

GIVEN = """
feature { name: "same" type: INT int_domain { min: 1 max: 3 is_categorical: true } }
feature { name: "kind" type: BYTES presence { min_fraction: 1 }
  string_domain { value: "a" value: "b" } }
feature { name: "gone" type: FLOAT }
feature { name: "served" type: INT not_in_environment: "TRAINING" }
feature { name: "typed" type: INT }
feature { name: "free" type: BYTES string_domain { value: "a" } }
feature { name: "kept" type: FLOAT float_domain { min: 0 max: 1 } }
default_environment: "TRAINING"
"""
NOW = """
feature { name: "new" type: FLOAT presence { min_fraction: 1 } }
feature { name: "kept" type: FLOAT }
feature { name: "same" type: INT int_domain { min: 1 max: 3 is_categorical: true } }
feature { name: "kind" type: BYTES string_domain { value: "b" value: "c" } }
feature { name: "typed" type: FLOAT presence { min_fraction: 1 } }
feature { name: "free" type: BYTES }
"""


def parse(text: str) -> schema_pb2.Schema:
    return text_format.Parse(text, schema_pb2.Schema())


def test_changes_are_named_with_both_sides():
    assert compare(parse(GIVEN), parse(NOW)) == [
        SchemaChange("presence", "kind", "a value in every row", "may be missing"),
        SchemaChange("domain", "kind", "2 values", "1 new: 'c'; 1 not seen: 'a'"),
        SchemaChange("removed", "gone", "numbers, may be missing", ""),
        SchemaChange("type", "typed", "whole numbers", "numbers"),
        SchemaChange(
            "domain", "free", "1 values: 'a'", "any text: too many values, or too rarely repeated"
        ),
        SchemaChange("added", "new", "", "numbers, a value in every row"),
    ]


def test_a_schema_does_not_differ_from_itself():
    assert compare(parse(NOW), parse(NOW)) == []
