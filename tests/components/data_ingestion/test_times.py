"""Dates and times as people write them, through the whole of ingestion."""

import datetime as dt
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from tests import cases

ROWS = 400
FIRST = dt.datetime(2022, 1, 1)


def moments(rows=ROWS, seed=0, days=800):
    chance = random.Random(seed)
    return [FIRST + dt.timedelta(minutes=chance.randrange(days * 1440)) for _ in range(rows)]


@pytest.fixture
def ingest(run, tmp_path):
    """Ingest a clean table with one more column; return its values, format and findings."""

    def call(values, name="when", **options):
        table = cases.people(len(values))
        table[name] = values
        cases.write_csv(tmp_path / "data.csv", table)
        got = run(tmp_path / "data.csv", label="churn", **options)
        seen = [finding for finding in got.findings if finding.column == name]
        order = {(a, b): v for a, b, v in zip(table["age"], table["income"], values, strict=True)}
        rows = got.table.to_pylist()
        read = [(order[row["age"], row["income"]], row[name]) for row in rows]
        assert len(read) == len(values)
        return dict(read), got.formats[name], seen

    return call


def warnings(seen):
    return [finding.message for finding in seen if finding.severity == "warning"]


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("%d/%m/%Y", "%Y-%m-%d"),
        ("%d.%m.%Y", "%Y-%m-%d"),
        ("%m/%d/%Y %I:%M %p", "%Y-%m-%d %H:%M:%S"),
        ("%Y/%m/%d %H:%M", "%Y-%m-%d %H:%M:%S"),
        ("%Y/%m/%d %H:%M UTC", "%Y-%m-%d %H:%M:%SZ"),
        ("%d %B %Y", "%Y-%m-%d"),
        ("%b %d, %Y", "%Y-%m-%d"),
        ("%d-%b-%y", "%Y-%m-%d"),
        ("%Y%m%d", "%Y-%m-%d"),
        ("%Y-%m-%dT%H:%M:%S.250Z", "%Y-%m-%d %H:%M:%S.%fZ"),
        ("%Y-%m-%dT%H:%M:%S+02:00", "%Y-%m-%d %H:%M:%S%z"),
        ("%Y-%m-%d", "%Y-%m-%d"),
    ],
)
def test_a_spelling_is_a_time(ingest, written, canonical):
    found = moments()
    read, given_format, seen = ingest([moment.strftime(written) for moment in found])
    assert given_format.kind == "time"
    assert given_format.time.canonical == canonical
    assert not warnings(seen)
    expected = {m.strftime(written): m.strftime("%Y-%m-%d") for m in found}
    assert {text: value[:10] for text, value in read.items()} == expected
    if written != canonical:
        assert any(finding.code == "time" for finding in seen)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["%d/%m/%Y", "%Y-%m-%d %H:%M:%S", "%m/%d/%Y %I:%M %p", "%Y-%m-%dT%H:%M:%SZ"]),
    st.sampled_from(["0000-00-00", "unknown", "NULL", "?", "31/02/2023", "\\N", "soon"]),
    st.integers(1, ROWS // 25),
    st.integers(0, 2**32),
)
def test_a_few_odd_values_are_listed_as_missing(ingest, written, odd, rows, seed):
    texts = [moment.strftime(written) for moment in moments(seed=seed)]
    for row in random.Random(seed).sample(range(ROWS), rows):
        texts[row] = odd
    read, given_format, seen = ingest(texts)
    assert given_format.kind == "time"
    assert read.pop(odd) is None
    assert None not in read.values()
    assert any(odd in finding.message and str(rows) in finding.message for finding in seen)


def test_ambiguous_in_all_rows_is_asked_for(ingest):
    texts = [f"{m.day % 12 + 1:02}/{m.month:02}/{m.year}" for m in moments()]
    with pytest.raises(UserError) as error:
        ingest(texts)
    assert "column 'when': no row tells day from month" in str(error.value)
    assert 'column_formats to {"when": {"type": "time", "day_first": true}}' in str(error.value)


@pytest.mark.parametrize("day_first", [True, False])
def test_the_answer_to_the_question(ingest, day_first):
    texts = [f"{m.day % 12 + 1:02}/{m.month:02}/{m.year}" for m in moments()]
    read, given_format, _ = ingest(
        texts, column_formats={"when": {"type": "time", "day_first": day_first}}
    )
    written = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    assert given_format.time.formats == (written,)
    assert read == {t: dt.datetime.strptime(t, written).strftime("%Y-%m-%d") for t in texts}


def test_offsets_keep_the_local_hour(ingest):
    found = moments()
    texts = [
        m.strftime("%Y-%m-%dT%H:%M:%S") + ("Z" if row % 50 == 0 else "+01:00")
        for row, m in enumerate(found)
    ]
    read, given_format, seen = ingest(texts)
    assert given_format.time.canonical == "%Y-%m-%d %H:%M:%S%z"
    assert not warnings(seen)
    assert all(value[11:16] == text[11:16] for text, value in read.items())


def test_epochs_are_times_whatever_the_column_is_called(ingest):
    seconds = [int((m - dt.datetime(1970, 1, 1)).total_seconds()) for m in moments()]
    read, given_format, seen = ingest(seconds, name="x")
    assert given_format.time.unit == "seconds"
    assert read == {value: value for value in seconds}
    said = {finding.code: finding.message for finding in seen}
    assert said.pop("time-column").startswith("'x' is a time.")
    assert list(said.values()) == ["'x': seconds since 1970, not numbers."]


def test_text_forbids_it(ingest):
    texts = [moment.strftime("%d/%m/%Y") for moment in moments()]
    read, given_format, _ = ingest(texts, column_types={"when": "text"})
    assert given_format.kind == "text"
    assert read == {text: text for text in texts}


@pytest.mark.parametrize(
    "values",
    [
        [f"1.{row % 30}.{row % 7}" for row in range(ROWS)],
        [f"{row % 13}/{row % 17}" for row in range(ROWS)],
        [1_000_000_000 + row for row in range(ROWS)],
        [f"MAR-{row % 90 + 10}" for row in range(ROWS)],
        [f"10.0.{row % 250}.{row % 9}" for row in range(ROWS)],
    ],
)
def test_other_values_are_no_times(ingest, values):
    assert ingest(values, name="code")[1].kind != "time"


def test_parquet_timestamps_with_and_without_a_zone(run, tmp_path):
    found = [dt.datetime(2023, 3, 26, 0, 30), dt.datetime(2023, 3, 26, 1, 30)] * 60
    table = pa.table(
        {
            "naive": pa.array(found, pa.timestamp("ns")),
            "utc": pa.array(found, pa.timestamp("ms", "UTC")),
            "berlin": pa.array(found, pa.timestamp("us", "Europe/Berlin")),
            "y": [0, 1] * 60,
        }
    )
    pq.write_table(table, tmp_path / "data.parquet")
    got = run(tmp_path / "data.parquet", label="y")
    rows = {tuple(row.values()) for row in got.table.to_pylist()}
    assert rows == {
        ("2023-03-26 00:30:00", "2023-03-26 00:30:00", "2023-03-26 01:30:00+01:00", 0),
        ("2023-03-26 01:30:00", "2023-03-26 01:30:00", "2023-03-26 03:30:00+02:00", 1),
    }


def test_a_split_by_time_reads_the_same_spellings(run, tmp_path):
    found = moments()
    table = cases.people(ROWS)
    table["when"] = [moment.strftime("%d/%m/%Y %H:%M") for moment in found]
    cases.write_csv(tmp_path / "data.csv", table)
    got = run(
        tmp_path / "data.csv",
        label="churn",
        split_method="time",
        split_column="when",
        split_fractions={"train": 2, "test": 1},
    )
    latest = max(got.split("train")["when"].to_pylist())
    assert latest < min(got.split("test")["when"].to_pylist())
