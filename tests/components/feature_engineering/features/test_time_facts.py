import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.feature_engineering.features import time_facts
from tests import accumulator_laws

EPOCH = dt.datetime(1970, 1, 1)
MOMENTS = [EPOCH + dt.timedelta(days=int(day), hours=3) for day in (9_000, 9_010, 12_000, 20_000)]
SECONDS = np.array([(moment - EPOCH).total_seconds() for moment in MOMENTS])


def collect(tmp_path, columns, times, references=None):
    (tmp_path / "split=train").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "split=train" / "0.parquet", row_group_size=2)
    return time_facts.collect(Examples(tmp_path), times, references)


@pytest.mark.parametrize(
    ("write", "time"),
    [
        (lambda m: m.strftime("%Y-%m-%d %H:%M:%S"), TimeFormat(canonical="%Y-%m-%d %H:%M:%S")),
        (lambda m: m.strftime("%Y-%m-%d %H:%M:%SZ"), TimeFormat(canonical="%Y-%m-%d %H:%M:%SZ")),
        (lambda m: m.strftime("%d/%m/%Y %H:%M"), TimeFormat(("%d/%m/%Y",))),
        (lambda m: int((m - EPOCH).total_seconds()) * 1000, TimeFormat(unit="milliseconds")),
    ],
)
def test_where_times_lie(tmp_path, write, time):
    values = [*map(write, MOMENTS), None]
    facts = collect(tmp_path, {"at": values}, {"at": time})["at"]
    assert (facts.times.low, facts.times.high) == (SECONDS.min(), SECONDS.max())
    np.testing.assert_allclose(
        [facts.times.mean, facts.times.deviation], [SECONDS.mean(), SECONDS.std()]
    )
    assert facts.has_clock
    assert not facts.has_offsets
    assert facts.ages is None


def test_ages_between_columns(tmp_path):
    columns = {
        "born": ["2000-01-01", "2000-01-03", None],
        "seen": ["2000-01-02", "2000-01-06", "2001-01-01"],
    }
    day = TimeFormat(canonical="%Y-%m-%d")
    facts = collect(tmp_path, columns, {"born": day, "seen": day}, {"born": "seen"})
    assert (facts["born"].ages.low, facts["born"].ages.high) == (86_400, 3 * 86_400)
    assert not facts["born"].has_clock


def test_offsets_that_differ(tmp_path):
    texts = ["2023-03-26 01:30:00+01:00", "2023-03-26 03:30:00+02:00"]
    time = TimeFormat(canonical="%Y-%m-%d %H:%M:%S%z")
    facts = collect(tmp_path, {"at": texts}, {"at": time})["at"]
    assert facts.has_offsets
    assert facts.times.high - facts.times.low == 3600


def test_without_a_readable_time(tmp_path):
    assert collect(tmp_path, {"at": ["soon", None]}, {"at": TimeFormat(canonical="%Y-%m-%d")}) == {}


moment = st.none() | st.integers(0, 10**9)


@given(data=st.data(), rows=st.lists(st.tuples(moment, moment), max_size=20))
def test_times_keep_the_laws_of_accumulators(data, rows):
    born, seen = zip(*rows, strict=True) if rows else ((), ())
    batch = pa.RecordBatch.from_arrays(
        [pa.array(born, pa.int64()), pa.array(seen, pa.int64())], ["born", "seen"]
    )
    seconds = TimeFormat(unit="seconds")

    def described(spread):
        return spread and [spread.low, spread.high, spread.mean]

    accumulator_laws.check(
        data,
        lambda: time_facts.TimesFold({"born": seconds, "seen": seconds}, {"born": "seen"}),
        len(rows),
        lambda start, stop: Rows(batch.slice(start, stop - start), start),
        lambda found: {
            name: [described(facts.times), described(facts.ages), facts.has_clock]
            for name, facts in found.items()
        },
        absolute=1e-6,
    )
