"""Values as csv.DictReader and pandas give them equal those that strict clients send."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.prediction import lenient_values
from kfp_tabular.components.common.prediction.instances import Decoder, InstanceError
from kfp_tabular.components.common.values.column_format import ColumnFormat, NumberFormat

FARE = ModelInput("fare", "float32", required=False, input="fare")
ROOMS = ModelInput("rooms", "int64", required=False, input="rooms")
ZIP = ModelInput("zip", "string", required=False, input="zip")
EURO = ModelInput(
    "euro",
    "float32",
    False,
    "euro",
    ColumnFormat("number", NumberFormat(decimal=",", thousands=".")),
)
INTEGER = ModelInput("count", "int64", False, "count", ColumnFormat("integer"))


def decode(model_input: ModelInput, *values: object) -> list[object]:
    rows = [{model_input.name: value} for value in values]
    return Decoder([model_input]).lenient().tensors(rows)[model_input.input].tolist()


def strict(model_input: ModelInput, *values: object) -> list[object]:
    rows = [{model_input.name: value} for value in values]
    return Decoder([model_input]).tensors(rows)[model_input.input].tolist()


@pytest.mark.parametrize(
    ("model_input", "value", "same_as"),
    [
        (FARE, "12.5", 12.5),
        (FARE, " 12.5 ", 12.5),
        (FARE, "1e3", 1000),
        (FARE, "true", 1),
        (FARE, True, 1),
        (FARE, np.float64(2.5), 2.5),
        (FARE, np.int64(2), 2),
        (ROOMS, "3", 3),
        (ROOMS, "3.0", 3),
        (ROOMS, "-9007199254740993", -9007199254740993),
        (ROOMS, "FALSE", False),
        (ROOMS, np.bool_(True), True),
        (ZIP, 7, "7"),
        (ZIP, 7.0, "7"),
        (ZIP, 7.5, "7.5"),
        (ZIP, True, "true"),
        (ZIP, pd.Timestamp("2024-02-29 10:00:00"), "2024-02-29 10:00:00"),
        (INTEGER, "3.0", 3),
        (INTEGER, "true", 1),
        (EURO, "1.234", 1234),
        (EURO, "1,5", 1.5),
    ],
)
def test_a_value_is_read_by_the_type_of_its_feature(
    model_input: ModelInput, value: object, same_as: object
) -> None:
    assert decode(model_input, value) == strict(model_input, same_as)


@pytest.mark.parametrize("model_input", [FARE, ROOMS, EURO, INTEGER])
@pytest.mark.parametrize("value", ["", "  ", "NaN", "NA", "null", math.nan, None, pd.NA, pd.NaT])
def test_missing_values(model_input: ModelInput, value: object) -> None:
    found, missing = decode(model_input, value), strict(model_input, None)
    assert np.array_equal(found, missing, equal_nan=True)


@pytest.mark.parametrize(
    ("model_input", "value"),
    [
        (FARE, "much"),
        (FARE, "1_000"),
        (FARE, "inf"),
        (FARE, "1e39"),
        (FARE, [1]),
        (ROOMS, "3.5"),
        (ROOMS, "9" * 30),
        (INTEGER, "3.5"),
        (EURO, "1,2,3"),
        (ZIP, [1]),
    ],
)
def test_wrong_values_are_refused_as_before(model_input: ModelInput, value: object) -> None:
    with pytest.raises(InstanceError, match=f"instance 0: feature '{model_input.name}': expected"):
        decode(model_input, value)


def test_endpoints_stay_strict() -> None:
    with pytest.raises(InstanceError):
        strict(FARE, "12.5")


@given(number=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_text_of_a_number_is_the_number(number: float) -> None:
    assert lenient_values.plain(repr(number), "float32") == number


@given(number=st.integers(-(2**63) + 1, 2**63 - 1))
def test_text_of_a_whole_number_is_the_number(number: int) -> None:
    assert lenient_values.plain(str(number), "int64") == number


def test_a_frame_of_pandas() -> None:
    frame = pd.DataFrame({"fare": [1.5, None], "rooms": [3, None], "zip": [7, 12]})
    rows = frame.to_dict("records")
    found = Decoder([FARE, ROOMS, ZIP]).lenient().tensors(rows)
    wanted = Decoder([FARE, ROOMS, ZIP]).tensors(
        [{"fare": 1.5, "rooms": 3, "zip": "7"}, {"zip": "12"}]
    )
    for name, values in wanted.items():
        assert np.array_equal(found[name], values, equal_nan=name == "fare")
