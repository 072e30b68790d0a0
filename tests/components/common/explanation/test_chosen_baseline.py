"""The baseline: what is given, the model's typical row, and missing values."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.explanation import typical_values
from kfp_tabular.components.common.explanation.chosen_baseline import choose
from kfp_tabular.components.common.prediction.instances import InstanceError
from kfp_tabular.components.common.values.column_format import ColumnFormat

INPUTS = (
    ModelInput("fare", "float32", required=True, input="fare"),
    ModelInput("rooms", "int64", required=False, input="rooms"),
    ModelInput("shop", "string", required=True, input="shop"),
)
OLD = ModelSpec("regression", "y", (), None, INPUTS, "sha256:0")
SPEC = replace(OLD, typical_row={"fare": 9.5, "rooms": 3, "shop": "Kiosk"})


@pytest.mark.parametrize(
    ("baseline", "declared", "typical", "missing"),
    [
        ({}, (), ("fare", "rooms", "shop"), ()),
        ({"rooms": 5}, ("rooms",), ("fare", "shop"), ()),
        ({"rooms": None}, (), ("fare", "shop"), ("rooms",)),
        ({"*": None, "fare": 1}, ("fare",), (), ("rooms", "shop")),
    ],
)
def test_what_is_not_given_is_typical(baseline, declared, typical, missing):
    chosen = choose(SPEC, baseline)
    assert (chosen.declared, chosen.typical, chosen.missing) == (declared, typical, missing)


def test_a_model_of_an_earlier_version_has_missing_values_in_its_baseline():
    assert choose(OLD, {"fare": 1}).missing == ("rooms", "shop")
    with pytest.raises(InstanceError, match="no value for feature 'fare', which was never missing"):
        choose(OLD, {})
    with pytest.raises(InstanceError, match="no value for feature 'fare'"):
        choose(SPEC, {"*": None})


def test_all_numbers_that_a_baseline_lacks_are_named():
    inputs = tuple(
        ModelInput(name, "float32", required=True, input=name) for name in ("a", "b", "c")
    )
    with pytest.raises(InstanceError, match="features 'a' and 'c', which were never missing"):
        choose(replace(OLD, inputs=inputs), {"b": 1.0})


def test_what_is_derived_from_a_text_that_is_given_is_not_typical():
    unit = ColumnFormat("text", derived_from="price", part="unit")
    price = ColumnFormat("number")
    inputs = (
        ModelInput("price", "float32", required=False, input="price", format=price),
        ModelInput("price_unit", "string", False, "price_unit", format=unit, source=price),
    )
    spec = replace(OLD, inputs=inputs, typical_row={"price": 2.0, "price_unit": "EUR"})
    assert choose(spec, {}).values["price_unit"][0] == b"EUR"
    assert "price_unit" not in choose(spec, {"price": 5}).typical


def test_the_typical_row_is_part_of_the_description(tmp_path):
    SPEC.save(tmp_path)
    assert ModelSpec.load(tmp_path) == SPEC
    OLD.save(tmp_path)
    assert ModelSpec.load(tmp_path) == OLD


@pytest.mark.parametrize("row", [{"speed": 1}, {"fare": [1]}, {"fare": None}, [1], None, "x"])
def test_a_typical_row_of_something_else_is_refused(tmp_path, row):
    import json

    SPEC.save(tmp_path)
    file = tmp_path / "model.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "typical_row": row}))
    with pytest.raises(UserError, match="not a model description.*typical_row"):
        ModelSpec.load(tmp_path)


VALUES = st.lists(st.integers(-5, 5) | st.floats(-1e6, 1e6, width=32), max_size=30)


@given(values=VALUES)
@settings(deadline=None)
def test_the_median_is_the_lower_one_of_the_sorted_values(values):
    counts = {value: values.count(value) for value in values}
    expected = sorted(values)[(len(values) - 1) // 2] if values else None
    assert typical_values.middle(counts) == expected


@given(values=st.lists(st.sampled_from("abcdef"), max_size=12))
@settings(deadline=None)
def test_the_most_frequent_value_has_two_rows_and_does_not_depend_on_their_order(values):
    counts = {value: values.count(value) for value in values}
    found = typical_values.most_frequent(counts)
    assert found == typical_values.most_frequent(dict(reversed(counts.items())))
    if found is None:
        assert all(rows < 2 for rows in counts.values())
    else:
        assert counts[found] == max(counts.values()) >= 2


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
@settings(deadline=None)
def test_a_number_in_its_shortest_form_is_the_same_number(value):
    assert np.float32(typical_values.as_json(value, "float32")) == np.float32(value)
