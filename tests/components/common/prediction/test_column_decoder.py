"""Columns decode as single values do, and the same rows are refused, in the same words."""

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.prediction.column_decoder import ColumnDecoder, Texts
from kfp_tabular.components.common.prediction.instances import Decoder, InstanceError
from kfp_tabular.components.common.values.column_format import (
    BooleanFormat,
    ColumnFormat,
    NumberFormat,
    TimeFormat,
)

FORMATS: dict[str, list[ColumnFormat | None]] = {
    "float32": [
        None,
        ColumnFormat("number"),
        ColumnFormat("number", missing=("-999",)),
        ColumnFormat("number", NumberFormat(decimal=",", thousands=".", units=("€",))),
        ColumnFormat("number", NumberFormat(percent=True)),
        ColumnFormat("integer"),
    ],
    "int64": [
        None,
        ColumnFormat("integer"),
        ColumnFormat("integer", NumberFormat(thousands=",")),
        ColumnFormat("boolean", boolean=BooleanFormat(("yes", "t"), ("no", "f"))),
        ColumnFormat("time", time=TimeFormat(unit="seconds")),
    ],
    "string": [
        None,
        ColumnFormat("text"),
        ColumnFormat("text", missing=("none given",)),
        ColumnFormat("text", verbatim=True),
        ColumnFormat("time", time=TimeFormat(("%d/%m/%Y",), canonical="%Y-%m-%d")),
        ColumnFormat("time", time=TimeFormat(canonical="%Y-%m-%d %H:%M:%S")),
        ColumnFormat("bag"),
        ColumnFormat("bag", NumberFormat()),
    ],
}
TEXTS = (
    "", " ", "0", "-0", "7", "+7", "007", "1.5", " 1.5 ", "3.0", "3.00", "3.000", "1,5", "1.000,5",
    "1,000", "12 €", "45 %", "1e3", "1e39", "-1e400", "0x10", "1_000", "nan", "NaN", "NA", "n/a",
    "null", "None", "none given", "inf", "-Infinity", "true", "TRUE", "false", "yes", "no", "t",
    "f", "-999", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "cash",
    "cash ", "Zürich", "31/12/2023", "2023-12-31", "2023-02-30", "2023-12-31 18:05:00",
    "2023-12-31T18:05+01:00", '["a", "b"]', "[1, 2]", "[1, null", "a;b",
    "340282346638528859811704183484516925440", "3.4028235e38", "3.4028236e38",
)  # fmt: skip
NUMBERS = (0.0, -0.0, 1.5, 3.0, 1e300, float("inf"), float("nan"), 2.0**63, -(2.0**63), 16777217.0)
WHOLE = (0, 1, -1, 7, 2**53 + 1, 2**63 - 1, -(2**63))
COLUMNS: list[tuple[pa.DataType, tuple[Any, ...]]] = [
    (pa.string(), TEXTS),
    (pa.float64(), NUMBERS),
    (pa.int64(), WHOLE),
    (pa.bool_(), (True, False)),
    (pa.int8(), (0, 1, -1)),
    (pa.large_string(), TEXTS[:12]),
    (pa.timestamp("us"), (datetime.datetime(2023, 12, 31, 18, 5), datetime.datetime(1970, 1, 1))),
    (pa.timestamp("us"), (datetime.datetime(2023, 12, 31, 18, 5, 0, 7),)),
    (pa.date32(), (datetime.date(2023, 12, 31),)),
    (pa.null(), ()),
]
INPUTS = [
    ModelInput("x", dtype, required=required, input="x", format=form)  # type: ignore[arg-type]
    for dtype, forms in FORMATS.items()
    for form in forms
    for required in (False, True)
]


def expected(model_input: ModelInput, value: Any) -> Any:
    """Return the tensor's value for one instance, or what is wrong with it."""
    try:
        return Decoder([model_input]).lenient().columns({"x": [value]}, 1)["x"][0]
    except InstanceError as error:
        return error.problem


def check(model_input: ModelInput, column: pa.Array) -> None:
    found = ColumnDecoder([model_input]).decode({"x": column}, len(column))
    values = found.values["x"]
    whole = values.whole() if isinstance(values, Texts) else values
    refused = {refusal.row: refusal.problem for refusal in found.refused}
    assert list(refused) == sorted(refused)
    for row, value in enumerate(column.to_pylist()):
        wanted = expected(model_input, value)
        got = refused.get(row, whole[row])
        same = got == wanted or (got != got and wanted != wanted)
        assert same and type(got) is type(wanted), (model_input, value, got, wanted)


@pytest.mark.parametrize("model_input", INPUTS, ids=str)
def test_every_value_decodes_as_alone(model_input: ModelInput) -> None:
    for kind, values in COLUMNS:
        check(model_input, pa.array([*values, None], kind))
        # Alone, so that no neighbor keeps a column from being read at once.
        for value in values:
            check(model_input, pa.array([value], kind))


@given(
    model_input=st.sampled_from(INPUTS),
    values=st.lists(
        st.one_of(st.sampled_from(TEXTS), st.none(), st.text(max_size=4), st.integers().map(str))
    ),
    cut=st.integers(0, 3),
)
@settings(deadline=None, max_examples=200)
@example(model_input=INPUTS[0], values=[], cut=0)
def test_texts_decode_as_alone(model_input: ModelInput, values: list[str | None], cut: int) -> None:
    whole = pa.array(values, pa.string())
    check(model_input, whole)
    # A slice shares its buffers with the rest.
    check(model_input, whole[cut:])


@given(
    model_input=st.sampled_from(INPUTS),
    values=st.lists(st.one_of(st.floats(), st.sampled_from(NUMBERS), st.none())),
)
@settings(deadline=None)
def test_numbers_decode_as_alone(model_input: ModelInput, values: list[float | None]) -> None:
    check(model_input, pa.array(values, pa.float64()))


def test_features_that_are_derived_from_text() -> None:
    dose = ColumnFormat("number", NumberFormat(limits=True, units=("mg",)))
    inputs = [
        ModelInput("dose", "float32", required=False, input="dose", format=dose),
        *(
            ModelInput(
                f"dose_{part}",
                "string" if part == "unit" else "int64",
                required=False,
                input=f"dose_{part}",
                format=ColumnFormat(
                    "text" if part == "unit" else "integer",
                    derived_from="dose",
                    part=part,  # type: ignore[arg-type]
                ),
                source=dose,
            )
            for part in ("limit", "unit", "odd")
        ),
    ]
    for column in (
        pa.array(["<0.5 mg", "7", None, "lots", ""]),
        pa.array([1.5, None, 2.0]),
        pa.array([None, None]),
    ):
        rows = column.to_pylist()
        wanted = Decoder(inputs).lenient().columns({"dose": rows}, len(rows))
        found = ColumnDecoder(inputs).decode({"dose": column}, len(rows))
        assert not found.refused
        for name, values in found.values.items():
            whole = values.whole() if isinstance(values, Texts) else values
            np.testing.assert_array_equal(whole, wanted[name], err_msg=name)


def test_a_column_that_is_not_there_is_missing() -> None:
    inputs = [
        ModelInput("fare", "float32", required=False, input="fare"),
        ModelInput("payment", "string", required=True, input="payment"),
    ]
    found = ColumnDecoder(inputs).decode({}, 2)
    assert np.isnan(found.values["fare"]).all()
    assert [(each.row, each.feature) for each in found.refused] == [(0, "payment"), (1, "payment")]
    assert "is required and missing" in found.refused[0].problem


def test_unreadable_text_may_count_as_missing() -> None:
    fare = ModelInput("fare", "float32", required=False, input="f", format=ColumnFormat("number"))
    found = ColumnDecoder([fare], tolerant=True).decode({"fare": pa.array(["1", "x", "x"])}, 3)
    assert not found.refused
    assert found.unreadable == {"fare": 2}
    assert np.isnan(found.values["f"][1:]).all()


def test_the_first_feature_at_fault_is_named() -> None:
    inputs = [ModelInput(name, "int64", required=True, input=name) for name in "ab"]
    columns = {"a": pa.array(["1", "x", "2"]), "b": pa.array(["y", "y", "3"])}
    found = ColumnDecoder(inputs).decode(columns, 3)
    assert [(each.row, each.feature) for each in found.refused] == [(0, "b"), (1, "a")]
