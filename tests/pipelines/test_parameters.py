"""Parameter values from text and YAML."""

import datetime
import json
import math

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
        ("name", None),
        ("name", datetime.date(2024, 1, 1)),
        ("steps", math.inf),
        ("steps", math.nan),
        ("rate", "nan"),
        ("rate", -math.inf),
        ("rate", 10**400),
    ],
)
def test_a_value_that_does_not_fit_is_named(name: str, value: object) -> None:
    with pytest.raises(UserError, match=f"parameter '{name}': expected .*, found"):
        parameters.convert({name: value}, DECLARED)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("columns", [datetime.date(2024, 1, 1)], "it has the date 2024-01-01; put it in quotes"),
        ("columns", "[2024-01-01]", "it has the date 2024-01-01; put it in quotes"),
        ("columns", [datetime.datetime(2024, 1, 1, 2)], "it has the date 2024-01-01 02:00:00; put"),
        ("columns", [1, [math.nan]], "nan is not a finite number"),
        ("columns", "[NaN]", "nan is not a finite number"),
        ("fractions", '{"train": Infinity}', "inf is not a finite number"),
        ("fractions", {"train": {1: 2}}, "the key 1 is not text; put it in quotes"),
        ("fractions", {"train": 10**400}, "is too large"),
        ("fractions", {"train": {"a", "b"}}, "set is not a type of JSON"),
        ("fractions", {"train": b"a"}, "bytes is not a type of JSON"),
        ("name", "a\ud800", "has a character that UTF-8 cannot hold"),
        ("fractions", {"a\ud800": 1}, "has a character that UTF-8 cannot hold"),
        ("steps", 2**53 + 1, "is too large"),
        ("steps", "-99999999999999999999", "is too large"),
    ],
)
def test_a_value_that_a_spec_cannot_hold_is_refused(name: str, value: object, problem: str) -> None:
    """A spec and a run's arguments are JSON, whose numbers KFP reads as 64-bit floats."""
    with pytest.raises(UserError) as caught:
        parameters.convert({name: value}, DECLARED, "cluster.yaml: ")

    assert str(caught.value).startswith(f"cluster.yaml: parameter {name!r}: ")
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_unknown_parameter_names_the_closest() -> None:
    with pytest.raises(UserError, match="'step' is unknown. Did you mean 'steps'"):
        parameters.convert({"step": 1}, DECLARED)


@given(st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)))
def test_a_struct_survives_the_command_line(value: dict[str, float]) -> None:
    text = json.dumps(value)

    assert parameters.convert({"fractions": text}, DECLARED)["fractions"] == value


@given(st.integers(-(2**53), 2**53))
def test_an_integer_survives_the_command_line(value: int) -> None:
    assert parameters.convert({"steps": str(value)}, DECLARED)["steps"] == value
