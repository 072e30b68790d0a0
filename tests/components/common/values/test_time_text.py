import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.values import reading, time_patterns, time_text
from kfp_tabular.components.common.values.column_format import ColumnFormat, TimeFormat
from tests.components.common.values import time_spellings

CANONICAL = [
    "%Y-%m-%d",
    *(f"%Y-%m-%d %H:%M:%S{rest}" for rest in ("", ".%f", "Z", "%z", ".%f%z")),
]


def written_as(moment, offset, canonical):
    """Return what the examples hold, by `strftime` alone."""
    if not canonical.endswith("%z"):
        return (moment - dt.timedelta(minutes=offset)).strftime(canonical)
    zoned = moment.replace(tzinfo=dt.timezone(dt.timedelta(minutes=offset)))
    return zoned.strftime(canonical)[:-2] + ":" + zoned.strftime("%z")[-2:]


@settings(max_examples=60, deadline=None)
@given(time_spellings.spellings(), st.sampled_from(CANONICAL))
def test_a_spelling_becomes_canonical_text(spelled, canonical):
    written, found = spelled
    column = TimeFormat((written,), canonical=canonical)
    texts = [text for text, _, _ in found]
    values, odd = time_text.read(pa.array(texts), column)
    assert odd is None
    expected = [written_as(moment, offset, canonical) for _, moment, offset in found]
    assert values.to_pylist() == expected
    assert time_text.read(values, column)[0].to_pylist() == expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(), time_spellings.ODD, time_spellings.spellings().map(lambda s: s[1][0][0])
        )
    ),
    st.lists(st.sampled_from(time_spellings.DATES), max_size=3),
    st.sampled_from(
        [TimeFormat(canonical=c) for c in CANONICAL]
        + [TimeFormat(unit=unit) for unit in ("days", "seconds", "milliseconds", "nanoseconds")]
    ),
)
def test_a_column_and_a_single_text_are_read_alike(texts, formats, column):
    column = TimeFormat(tuple(formats), column.unit, column.canonical)
    values, odd = time_text.read(pa.array(texts, pa.string()), column)
    expected = [None if text is None else time_text.read_one(text, column) for text in texts]
    assert values.to_pylist() == expected
    strange = [
        text is not None and value is None for text, value in zip(texts, expected, strict=True)
    ]
    assert (np.zeros(len(texts), bool) if odd is None else odd).tolist() == strange


@pytest.mark.parametrize(
    "text",
    [
        "2023-05-10T18:00:00Z",
        "2023-05-10T18:00:00+00:00",
        "2023-05-10T18:00:00.123",
        "2023-05-10 20:00:00+02:00",
        "2023-05-10T18:00Z",
        " 2023-05-10 18:00:00 UTC ",
    ],
)
def test_every_iso_spelling_is_read_whatever_the_source_holds(text):
    column = TimeFormat(("%d/%m/%Y %H:%M",), canonical="%Y-%m-%d %H:%M:%S")
    assert time_text.read_one(text, column) == "2023-05-10 18:00:00"


def test_the_local_hour_is_kept_beside_the_offset():
    column = TimeFormat((), canonical="%Y-%m-%d %H:%M:%S%z")
    texts = pa.array(
        ["2023-03-26T01:30:00+01:00", "2023-03-26T03:30:00+02:00", "2023-03-26T01:30Z"]
    )
    values, odd = time_text.read(texts, column)
    assert odd is None
    assert values.to_pylist() == [
        "2023-03-26 01:30:00+01:00",
        "2023-03-26 03:30:00+02:00",
        "2023-03-26 01:30:00+00:00",
    ]


def test_numbers_read_dates_in_their_unit():
    column = TimeFormat(unit="milliseconds")
    values, odd = time_text.read(
        pa.array(["1683741600123", "2023-05-10T18:00:00.123Z", "x"]), column
    )
    assert values.to_pylist() == [1683741600123, 1683741600123, None]
    assert odd.tolist() == [False, False, True]


@pytest.mark.parametrize("form", sorted(time_patterns.FORMS))
def test_a_form_is_a_format_of_its_own(form):
    assert time_patterns.pattern_of(form) == time_patterns.FORMS[form]


@pytest.mark.parametrize("written", ["%H:%M", "%Y-%m", "%Q", "%Y %y %m %d", "%Y-%m-%d %j"])
def test_a_format_without_a_date_is_none(written):
    assert time_patterns.pattern_of(written) is None


def test_a_column_of_times_has_markers_and_odd_texts():
    given = ColumnFormat("time", time=TimeFormat(("%d/%m/%Y",), canonical="%Y-%m-%d"))
    found = reading.read(pa.array([" 31/12/2023\u00a0", "NULL", "0000-00-00", None]), given)
    assert found.values.to_pylist() == ["2023-12-31", None, None, None]
    assert found.odd.tolist() == [False, False, True, False]
    assert reading.read_one("31/12/2023 ", given) == ("2023-12-31", False)
    assert reading.read_one("NULL", given) == (None, False)
    assert reading.read_one("0000-00-00", given) == (None, True)
