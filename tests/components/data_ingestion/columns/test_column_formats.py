"""What the options say about columns."""

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.data_ingestion.columns import column_formats

ROWS = "price,when,flag,n\n" + "".join(
    f'"{row}.234,5 EUR",05/06/{2000 + row % 20},{"ja" if row % 3 else "nein"},{row}\n'
    for row in range(1, 60)
)


def test_formats_are_given(run):
    got = run(
        ROWS + '"-999",NULL,nein,x\n',
        column_formats={
            "price": {"decimal": ",", "thousands": ".", "units": ["EUR"], "missing": ["-999"]},
            "when": {"format": "%d/%m/%Y"},
            "flag": {"true": "ja", "false": "nein"},
            "n": {"type": "text"},
        },
    )
    assert got.types == {"price": "double", "when": "string", "flag": "int64", "n": "string"}
    assert got.column("price")[:1] == [1234.5]
    assert got.column("price")[-1] is None
    assert got.column("when")[0] == "2001-06-05"
    assert got.column("when")[-1] is None
    assert got.column("flag")[:3] == [1, 1, 0]
    assert got.column("n")[-1] == "x"
    assert got.formats["price"].missing == ("-999",)
    assert got.warnings == []


def test_a_forced_type_is_read_in_the_notation_of_the_column(run):
    got = run(ROWS, column_types={"price": "number", "when": "text"})
    assert got.column("price")[0] == 1234.5


def test_a_forced_number_may_be_a_code(run):
    got = run("sku\n" + "1E5\n10E4\n007\n" * 9, column_types={"sku": "number"})
    assert set(got.column("sku")) == {1e5, 7.0}


def test_odd_values_can_be_flagged_or_make_text(run):
    data = "x,y\n" + "".join(f"{row},{row}\n" for row in range(99)) + "oops,9\n"
    flagged = run(data, "flagged", odd_values="flag")
    assert flagged.types == {"x": "int64", "y": "int64", "x_odd": "int64"}
    assert flagged.column("x_odd") == [0] * 99 + [1]
    assert flagged.formats["x_odd"].derived_from == "x"
    text = run(data, "text", odd_values="text")
    assert text.types == {"x": "string", "y": "int64"}
    assert text.column("x")[-1] == "oops"


@pytest.mark.parametrize(
    ("column_types", "formats", "words"),
    [
        ({"x": "numbr"}, {}, "column_types: column 'x': expected .* found 'numbr'.*Did you mean"),
        ({}, {"x": {"typ": "number"}}, "'typ' is no key of a format. Did you mean 'type'"),
        ({}, {"x": {"type": "text", "decimal": ","}}, "those of a text and of a number"),
        ({}, {"x": {"decimal": ";"}}, "decimal: expected '.' or ',', found ';'"),
        ({}, {"x": {"decimal": ",", "thousands": ","}}, "thousands: expected"),
        ({}, {"x": {"unit": "weeks"}}, "unit: expected one of"),
        ({}, {"x": {"format": "%Q"}}, "'%Q' is no strptime format"),
        ({}, {"x": {"true": ["ja"]}}, "needs both true and false"),
        ({}, {"x": {"missing": [-1]}}, "missing: expected text or a list of texts"),
        ({}, {"x": "number"}, "expected an object, found 'number'"),
        ({"x": "text"}, {"x": {"type": "text"}}, "its type is also in column_types"),
    ],
)
def test_wrong_formats(column_types, formats, words):
    with pytest.raises(UserError, match=words):
        column_formats.parse(column_types, formats)
