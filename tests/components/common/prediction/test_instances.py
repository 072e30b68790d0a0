import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT
from kfp_tabular.components.common.prediction.instances import (
    Decoder,
    InstanceError,
    column,
    tensors,
)

INPUTS = (
    ModelInput(name="Ämount paid", dtype="float32", required=False, input="mount_paid"),
    ModelInput(name="hour", dtype="int64", required=False, input="hour"),
    ModelInput(name="kind", dtype="string", required=True, input="kind"),
)

float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)
int64s = st.integers(min_value=-(2**63) + 1, max_value=2**63 - 1)
instances = st.lists(
    st.fixed_dictionaries(
        {"kind": st.text()},
        optional={"Ämount paid": st.none() | float32s, "hour": st.none() | int64s},
    ),
    max_size=5,
)


@given(instances)
def test_values_survive_json_and_missing_ones_become_sentinels(given_instances):
    decoded = tensors(json.loads(json.dumps(given_instances)), INPUTS)

    assert {name: array.dtype for name, array in decoded.items()} == {
        "mount_paid": np.float32,
        "hour": np.int64,
        "kind": object,
    }
    for row, instance in enumerate(given_instances):
        assert decoded["kind"][row] == instance["kind"].encode()
        assert decoded["hour"][row] == (
            MISSING_INT if instance.get("hour") is None else instance["hour"]
        )
        amount = instance.get("Ämount paid")
        if amount is None:
            assert math.isnan(decoded["mount_paid"][row])
        else:
            assert decoded["mount_paid"][row] == amount


@pytest.mark.parametrize(
    ("feature", "value", "expected"),
    [
        ("hour", True, 1),
        ("hour", False, 0),
        ("hour", 3.0, 3),
        ("Ämount paid", 7, 7.0),
        ("Ämount paid", -0.0, 0.0),
    ],
)
def test_numbers_that_mean_the_same_are_taken(feature, value, expected):
    (model_input,) = (item for item in INPUTS if item.name == feature)
    decoded = tensors([{"kind": "x", feature: value}], INPUTS)
    assert decoded[model_input.input].tolist() == [expected]


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_float32_is_taken_as_it_is_written(sign, rows):
    largest = float(np.finfo(np.float32).max)
    for written in (str(np.finfo(np.float32).max), "3.40282356779733e38"):
        taken = column([sign * float(written)] * rows, INPUTS[0])
        assert taken.tolist() == [sign * largest] * rows
    with pytest.raises(InstanceError, match="a number out of range"):
        column([sign * 3.4028235677973366e38] * rows, INPUTS[0])


@pytest.mark.parametrize(
    ("feature", "value", "found"),
    [
        ("Ämount paid", math.nan, "a number that is not finite"),
        ("Ämount paid", math.inf, "a number that is not finite"),
        ("Ämount paid", 1e39, "a number out of range"),
        ("Ämount paid", 10**400, "a number out of range"),
        ("Ämount paid", True, "a boolean"),
        ("Ämount paid", "1.5", "text"),
        ("Ämount paid", [1.5], "a list"),
        ("hour", 1.5, "a number with a fraction"),
        ("hour", math.nan, "a number that is not finite"),
        ("hour", -math.inf, "a number that is not finite"),
        ("hour", 2**63, "a number out of range"),
        ("hour", 1e19, "a number out of range"),
        ("hour", MISSING_INT, "a number out of range"),
        ("hour", "7", "text"),
        ("hour", {"value": 7}, "an object"),
        ("kind", 7, "a number"),
        ("kind", True, "a boolean"),
        ("kind", "\ud800", "text"),
    ],
)
def test_a_value_of_the_wrong_type_names_row_feature_and_type(feature, value, found):
    with pytest.raises(InstanceError) as caught:
        tensors([{"kind": "fine"}, {"kind": "fine", feature: value}], INPUTS)
    assert (caught.value.feature, caught.value.row) == (feature, 1)
    assert repr(feature) in str(caught.value)
    assert str(caught.value).endswith(f"found {found}.")


@pytest.mark.parametrize("value", ["4111 1111", 12345.678, [98765], {"secret": 1}])
def test_no_message_holds_a_value(value):
    with pytest.raises(InstanceError) as caught:
        tensors([{"kind": "x", "hour": value}], INPUTS)
    assert not any(text in str(caught.value) for text in ("4111", "12345", "98765", "secret"))
    assert caught.value.__cause__ is None


def test_ignored_names_may_be_there_and_others_may_not():
    decoder = Decoder(INPUTS, {"id"})
    decoded = decoder.tensors([{"kind": "x", "id": [1]}])
    assert sorted(decoded) == ["hour", "kind", "mount_paid"]
    with pytest.raises(InstanceError, match="'ids' is unknown"):
        decoder.tensors([{"kind": "x", "ids": 1}])


@given(
    st.one_of(
        st.lists(st.none() | kind, min_size=5, max_size=9)
        for kind in (
            st.floats() | st.integers(),
            st.integers(min_value=-(2**63), max_value=2**63) | st.booleans(),
            st.text(),
            st.booleans() | st.floats() | st.text(),
        )
    ),
    st.sampled_from(INPUTS),
)
def test_decoding_at_once_agrees_with_one_by_one(values, model_input):
    # A plain class that is not `float` or `str` itself forces the slow path.
    class Real(float):
        pass

    class Text(str):
        __slots__ = ()

    disguised = [
        Real(value) if type(value) is float else Text(value) if type(value) is str else value
        for value in values
    ]
    results = []
    for given_values in (values, disguised):
        try:
            results.append(column(given_values, model_input).tolist())
        except InstanceError as error:
            results.append(str(error))
    assert repr(results[0]) == repr(results[1])


@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "kind": st.none() | st.text(),
                "hour": st.none() | st.integers(-(2**63), 2**63) | st.booleans() | st.floats(),
                "Ämount paid": st.none() | st.floats() | st.integers() | st.booleans(),
            },
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_few_instances_decode_as_their_columns_do(few):
    def outcome(decode):
        try:
            return {
                name: (array.dtype, array.tobytes() if array.dtype != object else array.tolist())
                for name, array in decode().items()
            }
        except InstanceError as error:
            return str(error)

    def by_column():
        return {
            item.input: column([instance.get(item.name) for instance in few], item)
            for item in INPUTS
        }

    assert outcome(lambda: tensors(few, INPUTS)) == outcome(by_column)


def test_an_unknown_feature_names_the_closest():
    with pytest.raises(
        InstanceError, match=r"instance 0: feature 'Hour' .* mean 'hour'\?"
    ) as caught:
        tensors([{"kind": "x", "Hour": 1}], INPUTS)
    assert (caught.value.feature, caught.value.row) == ("Hour", 0)


@pytest.mark.parametrize("instance", [{}, {"kind": None}])
def test_a_required_feature_must_be_there(instance):
    with pytest.raises(InstanceError, match="'kind' is required") as caught:
        tensors([{"kind": "x"}, instance], INPUTS)
    assert (caught.value.feature, caught.value.row) == ("kind", 1)


@pytest.mark.parametrize("instance", [[1, 2], "text", 3, None])
def test_an_instance_is_an_object(instance):
    with pytest.raises(InstanceError, match="expected an object") as caught:
        tensors([instance], INPUTS)
    assert (caught.value.feature, caught.value.row) == (None, 0)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["kind", "hour", "Ämount paid", "other"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            ),
        )
    )
)
def test_whatever_comes_is_either_decoded_or_an_instance_error(anything):
    try:
        decoded = tensors(anything, INPUTS)
    except InstanceError as error:
        assert 0 <= error.row < len(anything)
        assert "\n" not in str(error)
    else:
        assert {len(array) for array in decoded.values()} == {len(anything)}
        assert not np.isinf(decoded["mount_paid"]).any()
