"""Reading text in the format of its column."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.values import reading
from kfp_tabular.components.common.values.column_format import (
    BooleanFormat,
    ColumnFormat,
    NumberFormat,
)

_numbers = st.builds(
    NumberFormat,
    decimal=st.sampled_from(".,"),
    thousands=st.sampled_from(["", " ", "'"]),
    units=st.sampled_from([(), ("$",), ("€", "EUR"), ("R$", "$", "kr.")]),
    percent=st.booleans(),
    parentheses=st.booleans(),
    limits=st.booleans(),
) | st.builds(NumberFormat, thousands=st.sampled_from([",", ""]), units=st.just(("$",)))
_formats = st.one_of(
    st.builds(
        ColumnFormat,
        kind=st.sampled_from(["integer", "number"]),
        number=st.none() | _numbers,
        missing=st.sampled_from([(), ("-999", "x")]),
    ),
    st.builds(
        ColumnFormat,
        kind=st.just("boolean"),
        boolean=st.just(BooleanFormat(("true", "y", "1"), ("false", "n", "0"))),
    ),
    st.builds(ColumnFormat, kind=st.sampled_from(["text", "missing"]), verbatim=st.booleans()),
)
_pieces = st.sampled_from(
    [
        *("1", "0", "234", "99999999999999999999", ".", ",", " ", "\u00a0", "\u202f", "'", "-"),
        *("\u2212", "+", "$", "€", "EUR", "%", "(", ")", "<", ">=", "e5", "E-3", "e999", "0x"),
        *("\0", "\n", "x", "NA", "n/d", "?", "-999", "true", "N", "inf", "nan", "é"),
    ]
)
_texts = st.lists(_pieces, max_size=5).map("".join)


@settings(max_examples=300, deadline=None)
@given(_formats, st.lists(_texts, min_size=1, max_size=12))
def test_a_column_and_a_value_are_read_alike(given_format, texts):
    found = reading.read(pa.array(texts, pa.string()), given_format)
    odd = [False] * len(texts) if found.odd is None else found.odd.tolist()
    expected = [reading.read_one(text, given_format) for text in texts]
    assert list(zip(found.values.to_pylist(), odd, strict=True)) == expected
    for part in ("limit", "unit", "odd"):
        column = reading.read_part(pa.array(texts, pa.string()), given_format, part).to_pylist()
        assert column == [reading.part_of_one(text, given_format, part) for text in texts]


MONEY = ColumnFormat(
    "number", NumberFormat(thousands=",", units=("$", "EUR"), parentheses=True, percent=True)
)
GERMAN = ColumnFormat("number", NumberFormat(decimal=",", thousands="."))
FRENCH = ColumnFormat("number", NumberFormat(decimal=",", thousands=" "))
LIMITS = ColumnFormat("number", NumberFormat(limits=True))
WHOLE = ColumnFormat("integer", NumberFormat(thousands=","))


@pytest.mark.parametrize(
    ("text", "given_format", "value"),
    [
        ("$1,234.50", MONEY, 1234.5),
        ("-$12", MONEY, -12.0),
        ("$ -12", MONEY, -12.0),
        ("99 EUR", MONEY, 99.0),
        ("(12.50)", MONEY, -12.5),
        ("($1,234)", MONEY, -1234.0),
        ("\u221212", MONEY, -12.0),
        ("12-", MONEY, -12.0),
        ("45.1%", MONEY, 0.451),
        ("1.234,50", GERMAN, 1234.5),
        ("12,5", GERMAN, 12.5),
        ("1\u202f234,5", FRENCH, 1234.5),
        ("1\u00a0234", FRENCH, 1234.0),
        ("<0.5", LIMITS, 0.5),
        (">= 100", LIMITS, 100.0),
        ("12,345", WHOLE, 12345),
    ],
)
def test_numbers(text, given_format, value):
    assert reading.read_one(text, given_format) == (value, False)


@pytest.mark.parametrize(
    ("text", "given_format"),
    [
        ("1,23", MONEY),
        ("--1", MONEY),
        ("(1", MONEY),
        ("$", MONEY),
        ("1e39", MONEY),
        ("1.5", GERMAN),
        ("<1", GERMAN),
        ("12.5", WHOLE),
        ("99999999999999999999", WHOLE),
        ("10-20", MONEY),
        ("10:30", MONEY),
    ],
)
def test_what_does_not_fit_is_odd(text, given_format):
    assert reading.read_one(text, given_format) == (None, True)
