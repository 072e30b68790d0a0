import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT
from kfp_tabular.components.common.prediction.instances import Decoder, InstanceError
from kfp_tabular.components.common.values import bags, reading
from kfp_tabular.components.common.values.column_format import (
    BooleanFormat,
    ColumnFormat,
    NumberFormat,
    TimeFormat,
)

US = ColumnFormat("number", NumberFormat(thousands=",", units=("$",), parentheses=True))
GERMAN = ColumnFormat("number", NumberFormat(decimal=",", thousands="."))
SHARE = ColumnFormat("number", NumberFormat(percent=True, limits=True), missing=("?",))
COUNT = ColumnFormat("integer", NumberFormat(thousands=","))
FLAG = ColumnFormat("boolean", boolean=BooleanFormat(("true", "yes"), ("false", "no")))
WHEN = ColumnFormat("time", time=TimeFormat(("%d/%m/%Y %H:%M",), canonical="%Y-%m-%d %H:%M:%S"))
DAY = ColumnFormat("time", time=TimeFormat(("%d.%m.%Y",), canonical="%Y-%m-%d"))
EPOCH = ColumnFormat("time", time=TimeFormat(unit="seconds"))
CITY = ColumnFormat("text", missing=("unknown",))
TAGS = ColumnFormat("bag")
SCORES = ColumnFormat("bag", NumberFormat())


def feature(form, dtype="float32", *, required=False, name="x", source=None):
    return ModelInput(name, dtype, required, input=f"{name}_in", format=form, source=source)


def one(value, form, dtype="float32"):
    (found,) = Decoder([feature(form, dtype)]).tensors([{"x": value}])["x_in"].tolist()
    return None if isinstance(found, float) and math.isnan(found) else found


@pytest.mark.parametrize(
    ("value", "form", "dtype", "expected"),
    [
        ("$1,234.50", US, "float32", 1234.5),
        ("(12.50)", US, "float32", -12.5),
        ("\u22127", US, "float32", -7.0),
        (1234.5, US, "float32", 1234.5),
        ("n/d", US, "float32", None),
        (" ", US, "float32", None),
        ("1.234,50", GERMAN, "float32", 1234.5),
        ("45.1%", SHARE, "float32", np.float32(0.451)),
        (0.451, SHARE, "float32", np.float32(0.451)),
        ("<0.5", SHARE, "float32", 0.5),
        ("?", SHARE, "float32", None),
        ("1,234", COUNT, "int64", 1234),
        ("7.0", COUNT, "int64", 7),
        (7, COUNT, "int64", 7),
        ("NULL", COUNT, "int64", MISSING_INT),
        ("YES", FLAG, "int64", 1),
        ("False", FLAG, "int64", 0),
        (True, FLAG, "int64", 1),
        ("31/12/2023 18:05", WHEN, "string", b"2023-12-31 18:05:00"),
        ("2023-12-31T19:05:00.123+01:00", WHEN, "string", b"2023-12-31 18:05:00"),
        ("2023-12-31 18:05:00", WHEN, "string", b"2023-12-31 18:05:00"),
        ("2024-02-29", DAY, "string", b"2024-02-29"),
        ("29.02.2024", DAY, "string", b"2024-02-29"),
        ("N/A", DAY, "string", b""),
        ("1970-01-02", EPOCH, "int64", 86400),
        (86400, EPOCH, "int64", 86400),
        (" Paris ", CITY, "string", b"Paris"),
        ("unknown", CITY, "string", b""),
        (["red", None, "b,c"], TAGS, "string", b'["red","b\\u002cc"]'),
        ('["red", "b,c"]', TAGS, "string", b'["red","b\\u002cc"]'),
        ([], TAGS, "string", b"[]"),
        ("", TAGS, "string", b""),
        ([1, 2.0, "3", True], SCORES, "string", b"[1,2,3,1]"),
    ],
)
def test_spellings(value, form, dtype, expected):
    assert one(value, form, dtype) == expected


@pytest.mark.parametrize(
    ("value", "form", "dtype", "message"),
    [
        (
            "4111 dollars",
            US,
            "float32",
            "expected a number as in the training data, found other text",
        ),
        (
            "4111.5",
            COUNT,
            "int64",
            "expected a whole number as in the training data, found other text",
        ),
        ("4111", FLAG, "int64", "expected true or false as in the training data, found other text"),
        ("4111-13-45", DAY, "string", "expected a point in time as in the training data"),
        ("4111-garbage", WHEN, "string", "expected a point in time as in the training data"),
        ("[4111", TAGS, "string", "expected a list of texts, found other text"),
        ([4111], TAGS, "string", "expected a list of texts, found a list of other items"),
        (4111, TAGS, "string", "expected a list of texts, found a number"),
        ('["red", 4111]', TAGS, "string", "expected a list of texts"),
        ('["4111x"]', SCORES, "string", "expected a list of numbers"),
        ("[[4111]]", SCORES, "string", "expected a list of numbers, found other text"),
        (["4111x"], SCORES, "string", "expected a list of numbers"),
        ({"4111": 1}, TAGS, "string", "found an object"),
        (4111.5, COUNT, "int64", "found a number with a fraction"),
        (True, US, "float32", "found a boolean"),
        (4111, CITY, "string", "expected text, found a number"),
    ],
)
@pytest.mark.parametrize("rows", [1, 9])
def test_what_cannot_be_read_names_row_and_feature_only(value, form, dtype, message, rows):
    decoder = Decoder([feature(form, dtype)])
    with pytest.raises(InstanceError) as caught:
        decoder.tensors([{"x": None}] * (rows - 1) + [{"x": value}])
    assert f"instance {rows - 1}: feature 'x': " in str(caught.value)
    assert message in str(caught.value)
    assert "4111" not in str(caught.value)
    assert (caught.value.feature, caught.value.row) == ("x", rows - 1)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("value", ["", "n/a", None])
def test_a_required_value_is_not_missing_in_any_spelling(value):
    decoder = Decoder([feature(US, required=True)])
    for rows in (1, 9):
        with pytest.raises(InstanceError, match="instance 0: feature 'x' is required and missing"):
            decoder.tensors([{"x": value}] * rows)


TEXTS = st.sampled_from(
    (
        *("$1,234.50", "1.234,50", "45.1%", "(12.50)", "\u22123", "<0.5", ">100", " 7 ", "1e3"),
        *("TRUE", "yes", "No", "n/d", "", "?", "garbage", "0x1F", "unknown", " Paris ", "86400"),
        *("2023-05-10T18:00:00Z", "31/12/2023 10:00", "31.12.2023", "2023-05-10", '["a"]'),
    )
) | st.text(max_size=5)
FORMS = (
    *((US, "float32"), (GERMAN, "float32"), (SHARE, "float32"), (COUNT, "int64"), (FLAG, "int64")),
    *((WHEN, "string"), (DAY, "string"), (EPOCH, "int64"), (CITY, "string")),
)


@given(st.lists(TEXTS, min_size=1, max_size=8), st.sampled_from(FORMS))
def test_requests_are_read_as_ingestion_reads(texts, chosen):
    form, dtype = chosen
    model_input = feature(form, dtype)
    ingested = reading.read(pa.array(texts, pa.string()), form)
    odd = np.zeros(len(texts), bool) if ingested.odd is None else ingested.odd
    seen: list[int] = []
    tolerant = Decoder([model_input]).tolerating(lambda name, values: seen.append(values))
    for decoded in (
        tolerant.tensors([{"x": text} for text in texts])["x_in"],
        tolerant.columns({"x": texts}, len(texts))["x_in"],
    ):
        expected = [
            model_input.missing if value is None else value for value in ingested.values.to_pylist()
        ]
        if dtype == "string":
            assert [value.decode() for value in decoded] == expected
        else:
            np.testing.assert_array_equal(decoded, np.array(expected, decoded.dtype))
    assert seen == [int(odd.sum())] * 2 * bool(odd.any())
    if odd.any():
        with pytest.raises(InstanceError) as caught:
            Decoder([model_input]).tensors([{"x": text} for text in texts])
        assert caught.value.row == int(np.flatnonzero(odd)[0])


def test_derived_columns_follow_from_the_text_of_their_source():
    unit = ColumnFormat("text", derived_from="price", part="unit")
    odd = ColumnFormat("integer", derived_from="price", part="odd")
    limit = ColumnFormat("integer", derived_from="dose", part="limit")
    money = ColumnFormat("number", NumberFormat(units=("$", "€")))
    dose = ColumnFormat("number", NumberFormat(limits=True))
    decoder = Decoder(
        [
            feature(money, name="price"),
            feature(unit, "string", name="price_unit", source=money),
            feature(odd, "int64", name="price_odd", source=money, required=True),
            # The model does not take `dose` itself.
            feature(limit, "int64", name="dose_limit", source=dose),
        ]
    )
    rows = [
        {"price": "5 €", "dose": "<0.5"},
        {"price": "$7", "dose": "9"},
        {"price": "a gift", "dose": 3},
        {"price": 4.5, "dose": None},
        {"price_unit": "$", "price_odd": 0, "dose_limit": 1},
    ]
    expected = {
        "price_in": [5.0, 7.0, None, 4.5, None],
        "price_unit_in": ["€", "$", "", "", "$"],
        "price_odd_in": [0, 0, 1, 0, 0],
        "dose_limit_in": [-1, 0, 0, MISSING_INT, 1],
    }

    def plain(decoded):
        return {
            name: [
                None if value != value else value.decode() if isinstance(value, bytes) else value
                for value in values.tolist()
            ]
            for name, values in decoded.items()
        }

    for row in range(4):
        assert plain(decoder.tensors([rows[row]])) == {k: [v[row]] for k, v in expected.items()}
    expected["dose_limit_in"][3] = MISSING_INT
    assert plain(decoder.tensors(rows)) == expected
    by_column = {"price": [row["price"] for row in rows[:4]], "dose": ["<0.5", "9", "3", None]}
    found = plain(decoder.columns(by_column, 4))
    assert found == {name: values[:4] for name, values in expected.items()}


def test_formats_travel_in_model_json(tmp_path):
    inputs = (
        feature(US),
        feature(TAGS, "string", name="tags"),
        feature(ColumnFormat("text", derived_from="x", part="unit"), "string", name="u", source=US),
        ModelInput("old", "int64", required=True, input="old"),
    )
    spec = ModelSpec("regression", "y", (), None, inputs, "sha256:0")
    spec.save(tmp_path)
    assert ModelSpec.load(tmp_path) == spec
    assert '"format": {\n        "kind": "bag"\n      }' in (tmp_path / "model.json").read_text()


def test_the_canonical_text_of_a_bag_is_plain():
    assert one(bags.write(["a", "b,c"]), TAGS, "string") == bags.write(["a", "b,c"]).encode()
