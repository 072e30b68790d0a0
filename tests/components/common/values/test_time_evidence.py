import datetime as dt
import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.values import arrays, time_text
from kfp_tabular.components.common.values.time_evidence import TimeEvidence
from kfp_tabular.components.common.values.time_numbers import TimeNumbers


def evidence_of(texts):
    counts = Counter(texts)
    return TimeEvidence.of(
        pa.array(list(counts), pa.string()), np.array(list(counts.values()), np.int64)
    )


def moments(number=3000, seed=0, days=900):
    chance = random.Random(seed)
    first = dt.datetime(2022, 1, 1)
    return [
        first + dt.timedelta(milliseconds=chance.randrange(days * 86_400_000))
        for _ in range(number)
    ]


CASES = {
    "%d/%m/%Y": "%d/%m/%Y",
    "%m/%d/%Y": "%m/%d/%Y",
    "%d.%m.%Y": "%d.%m.%Y",
    "%Y/%m/%d %H:%M": "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M UTC": "%Y/%m/%d %H:%M%z",
    "%m/%d/%Y %I:%M %p": "%m/%d/%Y %I:%M %p",
    "%d/%m/%y": "%d/%m/%y",
    "%y-%m-%d": "%y-%m-%d",
    "%d %b %Y": "%d %b %Y",
    "%B %d, %Y": "%b %d %Y",
    "%d-%b-%y": "%d %b %y",
    "%Y-%m-%dT%H:%M:%S.%fZ": "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y%m%d": "%Y%m%d",
    "%a %b %d %H:%M:%S %Y": "%a %b %d %H:%M:%S %Y",
}


@pytest.mark.parametrize("written", CASES)
def test_a_format_is_found_and_read(written):
    found = moments()
    texts = [moment.strftime(written) for moment in found]
    decision = evidence_of(texts).decide()
    assert (decision.fits, decision.odd, decision.doubts) == (3000, (), ())
    assert decision.format.formats == (CASES[written],)
    values, odd = time_text.read(pa.array(texts), decision.format)
    assert odd is None
    canonical = decision.format.canonical
    expected = [dt.datetime.strptime(text, written).strftime(canonical) for text in texts]
    assert values.to_pylist() == expected


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(CASES)),
    st.lists(
        st.sampled_from(["0000-00-00", "unknown", "31/02/2023", "?", "00/00/0000"]), max_size=20
    ),
    st.integers(0, 2**32),
    st.integers(1, 7),
)
def test_the_decision_does_not_depend_on_how_the_column_was_cut(written, odd, seed, parts):
    chance = random.Random(seed)
    texts = [moment.strftime(written) for moment in moments(200, seed)] + odd
    chance.shuffle(texts)
    whole = evidence_of(texts).decide()
    cuts = sorted(chance.randrange(len(texts)) for _ in range(parts))
    pieces = [texts[a:b] for a, b in zip([0, *cuts], [*cuts, len(texts)], strict=True)]
    chance.shuffle(pieces)
    merged = TimeEvidence()
    for piece in pieces:
        merged.merge(evidence_of(piece))
    assert merged.decide() == whole
    assert whole.fits == 200
    assert dict(whole.odd) == Counter(odd)


def test_one_row_settles_day_and_month():
    decision = evidence_of(["05/06/2023"] * 2999 + ["31/12/2023"]).decide()
    assert decision.format.formats == ("%d/%m/%Y",)
    assert decision.notes == ("day first: 1 of 3000 rows are dates in this order only",)


def test_ambiguous_in_all_rows_is_not_decided():
    decision = evidence_of(["05/06/2023", "07/06/2023", "01/02/2023"]).decide()
    assert decision.format is None
    assert (decision.fits, decision.dates, decision.ambiguous) == (0, 3, "01/02/2023")
    day_first = evidence_of(["05/06/2023", "07/06/2023"]).decide(day_first=True)
    assert day_first.format.formats == ("%d/%m/%Y",)


def test_the_same_number_twice_is_not_ambiguous():
    assert evidence_of(["05/05/2023", "07/07/2023"]).decide().format.canonical == "%Y-%m-%d"


def test_dots_are_day_first():
    decision = evidence_of(["05.06.2023", "07.06.2023"]).decide()
    assert decision.format.formats == ("%d.%m.%Y",)
    assert decision.notes == ("day first, as usual with dots; no row settles it",)


@pytest.mark.parametrize("written", ["%d/%m/%Y", "%m/%d/%Y"])
def test_first_days_of_months_are_days(written):
    texts = [
        dt.date(year, month, 1).strftime(written) for year in (2021, 2022) for month in range(1, 13)
    ]
    assert evidence_of(texts).decide().format.formats == (written,)


def test_mixed_orders_are_a_doubt():
    texts = [m.strftime("%d/%m/%Y") for m in moments(1000)] + [
        m.strftime("%m/%d/%Y") for m in moments(20, 1)
    ]
    decision = evidence_of(texts).decide()
    assert decision.format.formats == ("%d/%m/%Y",)
    assert decision.doubts and decision.fits < decision.rows
    assert all(int(text.split("/")[1]) > 12 for text, _ in decision.odd)


def test_several_spellings_are_one_column():
    texts = [
        "2023-05-10",
        "2023-05-10 18:00",
        "10/05/2023",
        "31/05/2023",
        "May 10, 2023",
        "2023-05-10T18:00:00.5",
    ]
    decision = evidence_of(texts).decide()
    assert decision.fits == 6
    assert decision.format.canonical == "%Y-%m-%d %H:%M:%S.%f"
    values, _ = time_text.read(pa.array(texts), decision.format)
    assert values.to_pylist()[2:4] == ["2023-05-10 00:00:00.000000", "2023-05-31 00:00:00.000000"]


@pytest.mark.parametrize(
    ("texts", "canonical", "doubts"),
    [
        (["2023-05-10T18:00Z", "2023-05-10T18:00+00:00"], "%Y-%m-%d %H:%M:%SZ", 0),
        (["2023-05-10T18:00Z", "2023-05-10T18:00+01:00"], "%Y-%m-%d %H:%M:%S%z", 0),
        (["2023-05-10T18:00", "2023-05-10T18:00+01:00"], "%Y-%m-%d %H:%M:%S%z", 1),
    ],
)
def test_zones(texts, canonical, doubts):
    decision = evidence_of(texts).decide()
    assert decision.format.canonical == canonical
    assert len(decision.doubts) == doubts


@pytest.mark.parametrize(
    "texts",
    [
        ["1.2.13", "1.10.12", "2.0.11"],
        ["Paris", "London", "May", "March"],
        ["5'10", "6'1"],
        ["192.168.1.10", "10.0.0.1"],
        ["12:30", "18:45"],
        ["1/2", "3/4"],
        ["MON-1234", "JAN-99"],
        ["2023-05", "2023-06"],
        ["555-12-3456", "123-45-6789"],
        ["00000000", "99999999"],
        ["a" * 500],
    ],
)
def test_other_texts_are_no_times(texts):
    assert evidence_of(texts).dates == 0


def numbers(values):
    array = pa.array(values, pa.int64())
    return TimeNumbers.of(array, counts=None, bounds=arrays.bounds(array))


def epochs(per_second=1):
    return [int((m - dt.datetime(1970, 1, 1)).total_seconds()) * per_second for m in moments()]


@pytest.mark.parametrize(
    ("unit", "per_second"), [("seconds", 1), ("milliseconds", 10**3), ("nanoseconds", 10**9)]
)
def test_epochs_are_recognized_by_their_values(unit, per_second):
    assert numbers(epochs(per_second)).decide("x").format.unit == unit


def test_digits_of_dates_are_recognized():
    values = [int(m.strftime("%Y%m%d")) for m in moments()] + [0] * 5 + [20230231]
    decision = numbers(values).decide("x")
    assert decision.format.canonical == "%Y-%m-%d"
    assert decision.odd == (("20230231", 1), ("0", 5))
    values = [int(m.strftime("%Y%m%d%H%M%S")) for m in moments()]
    assert numbers(values).decide("x").format.canonical == "%Y-%m-%d %H:%M:%S"


@pytest.mark.parametrize(
    "values",
    [
        list(range(1_000_000_000, 1_000_003_000)),
        [random.Random(0).randrange(10**9, 10**10) for _ in range(3000)],
        [random.Random(0).randrange(19_000_101, 21_001_231) for _ in range(3000)],
        [10_000_000 + i for i in range(3000)],
        list(range(100)),
        [0, -1],
        [],
    ],
)
def test_other_numbers_are_no_times(values):
    assert numbers(values).decide("customer") is None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0, -1, 5, 20230101, 20230231, 1683741600, -7, None])), st.data())
def test_numbers_merge(values, data):
    cut = data.draw(st.integers(0, len(values)))
    merged = numbers(values[cut:])
    merged.merge(numbers(values[:cut]))
    whole = numbers(values)
    assert (merged.rows, merged.sentinels, merged.low, merged.high) == (
        whole.rows,
        whole.sentinels,
        whole.low,
        whole.high,
    )
    assert merged.digits.decide() == whole.digits.decide()
