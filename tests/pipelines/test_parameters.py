"""Parameter values from text and YAML."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines import parameters

DECLARED = {
    "name": "STRING",
    "steps": "NUMBER_INTEGER",
    "rate": "NUMBER_DOUBLE",
    "flag": "BOOLEAN",
    "columns": "LIST",
    "fractions": "STRUCT",
}


@pytest.mark.parametrize(
    ("name", "given_value", "expected"),
    [
        ("name", "5", "5"),
        ("name", 5, "5"),
        ("steps", "100", 100),
        ("steps", 100.0, 100),
        ("rate", "1e-3", 0.001),
        ("flag", "True", True),
        ("flag", False, False),
        ("columns", "a, b c,", ["a", "b c"]),
        ("columns", '["a,b", 1]', ["a,b", 1]),
        ("columns", "", []),
        ("fractions", '{"train": 2, "test": 1}', {"train": 2, "test": 1}),
        ("fractions", "{train: 2}", {"train": 2}),
    ],
)
def test_values_become_what_the_pipeline_declares(
    name: str, given_value: object, expected: object
) -> None:
    converted = parameters.convert({name: given_value}, DECLARED)[name]

    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", "1.5"),
        ("steps", True),
        ("rate", "fast"),
        ("flag", "yes please"),
        ("columns", "[1, 2"),
        ("columns", {"a": 1}),
        ("fractions", "train"),
        ("fractions", [1]),
        ("name", ["a"]),
    ],
)
def test_a_value_that_does_not_fit_is_named(name: str, value: object) -> None:
    with pytest.raises(UserError, match=f"parameter '{name}': expected .*, found"):
        parameters.convert({name: value}, DECLARED)


def test_an_unknown_parameter_names_the_closest() -> None:
    with pytest.raises(UserError, match="'step' is unknown. Did you mean 'steps'"):
        parameters.convert({"step": 1}, DECLARED)


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_struct_survives_the_command_line(value: dict[str, float]) -> None:
    text = json.dumps(value)

    assert parameters.convert({"fractions": text}, DECLARED)["fractions"] == value


@given(st.integers())
def test_an_integer_survives_the_command_line(value: int) -> None:
    assert parameters.convert({"steps": str(value)}, DECLARED)["steps"] == value
