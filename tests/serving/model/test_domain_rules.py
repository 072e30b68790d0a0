import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT
from kfp_tabular.components.common.prediction.domain_rules import build_rules
from kfp_tabular.serving.model.domain_rules import check_domains
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.settings.server_settings import ValuePolicies

ARRAYS = {
    "float32": lambda values: np.array(values, np.float32),
    "int64": lambda values: np.array(values, np.int64),
    "string": lambda values: np.array([value.encode() for value in values], object),
}


def rule(feature, dtype, *, required=False, more=""):
    schema = text_format.Parse(f'feature {{ name: "f" {feature} }} {more}', schema_pb2.Schema())
    found = build_rules(schema, [ModelInput(name="f", dtype=dtype, required=required, input="i")])
    return found[0] if found else None


@pytest.mark.parametrize(
    ("feature", "dtype", "breach", "inside", "outside"),
    [
        ('string_domain { value: "a" value: "ß" }', "string", "domain", ["a", "ß", ""], ["b"]),
        ("bool_domain {}", "int64", "domain", [0, 1, MISSING_INT], [2, -1]),
        (
            'bool_domain { true_value: "yes" false_value: "no" }',
            *("string", "domain", ["yes", "no"], ["YES"]),
        ),
        ("bool_domain {}", "float32", "domain", [0.0, 1.0, np.nan], [0.5]),
        ("int_domain { min: 2 max: 4 }", "int64", "range", [2, 4, MISSING_INT], [1, 5]),
        ("int_domain { min: 0 is_categorical: true }", "int64", "domain", [0, 2**62], [-1]),
        ("int_domain { max: 3 }", "int64", "range", [-(2**62), 3], [4]),
        ("float_domain { min: 0.1 max: 0.7 }", "float32", "range", [0.1, 0.7, np.nan], [0.0, 0.71]),
    ],
)
@pytest.mark.parametrize("repeated", [1, 10])
def test_values_outside_of_the_domain_are_found(feature, dtype, breach, inside, outside, repeated):
    found = rule(feature, dtype)
    values = (inside + outside) * repeated
    assert found.violation == breach
    rows = list(found.rows_outside(ARRAYS[dtype](values)))
    period = len(inside) + len(outside)
    assert rows == [row for row in range(len(values)) if row % period >= len(inside)]
    assert found.example() in ARRAYS[dtype](inside).tolist()


def test_a_shared_domain_makes_a_rule():
    found = rule('domain: "colors"', "string", more='string_domain { name: "colors" value: "red" }')
    assert found.allowed == {b"red"}


@pytest.mark.parametrize(
    ("feature", "dtype"),
    [
        ("", "string"),
        ('domain: "absent"', "string"),
        ("int_domain { min: 1 }", "string"),
        ("float_domain { min: 1 }", "int64"),
        ("int_domain {}", "int64"),
        ('string_domain { name: "empty" }', "string"),
        ('time_domain { string_format: "%Y" }', "string"),
    ],
)
def test_features_without_a_usable_domain_have_no_rule(feature, dtype):
    assert rule(feature, dtype) is None


def test_an_empty_text_is_a_value_of_a_required_feature():
    found = rule('string_domain { value: "a" }', "string", required=True)
    assert found.rows_outside(ARRAYS["string"](["", "a"])) == [0]


def test_columns_that_the_model_does_not_use_have_no_rules():
    schema = schema_pb2.Schema(feature=[{"name": "other", "bool_domain": {}}])
    assert (
        build_rules(schema, [ModelInput(name="f", dtype="int64", required=True, input="f")]) == ()
    )


def test_each_policy_applies_to_its_violation():
    checked = [rule("int_domain { min: 0 is_categorical: true }", "int64")]
    ranged = [rule("int_domain { min: 0 }", "int64")]
    tensors = {"i": np.array([1, -1, -2])}
    told = []

    def outside(feature, rows):
        told.append((feature, rows))

    check_domains(
        tensors, checked, ValuePolicies(unseen_values="count", out_of_range="reject"), outside
    )
    check_domains(
        tensors, ranged, ValuePolicies(unseen_values="reject", out_of_range="count"), outside
    )
    assert told == [("f", 2)] * 2
    for checks, policies, reason in (
        (checked, ValuePolicies(unseen_values="reject", out_of_range="count"), "domain"),
        (ranged, ValuePolicies(unseen_values="count", out_of_range="reject"), "range"),
    ):
        with pytest.raises(RequestError, match=r"instance 1: feature 'f': .* from 0") as caught:
            check_domains(tensors, checks, policies, outside)
        assert (caught.value.reason, caught.value.row) == (reason, 1)
