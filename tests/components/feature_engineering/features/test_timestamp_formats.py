import datetime as dt

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.feature_engineering.features import timestamp_formats
from kfp_tabular.components.feature_engineering.features.feature_config import PARTS
from kfp_tabular.components.feature_engineering.graph import timestamp_graph

EPOCH = dt.datetime(1970, 1, 1)

FORMATS = [
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S.%f",
    "%d/%m/%Y %H:%M",
    "%m/%d/%y",
    "%F %T",
    "(%Y) %d.%m. at %R [100%%]",
]


def seconds_of(texts, written):
    found, valid = timestamp_graph.from_text(
        tf.constant(texts), timestamp_formats.read_format(written)
    )
    return found.numpy().tolist(), valid.numpy().tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2068, 12, 31)), min_size=1),
    st.sampled_from(FORMATS),
)
def test_text_is_read_as_strptime_reads_it(moments, written):
    texts = [moment.strftime(written) for moment in moments]
    seconds, valid = seconds_of(texts, written)
    assert all(valid)
    for short, long in timestamp_formats._SHORTHANDS.items():  # strptime does not know these.
        written = written.replace(short, long)
    expected = [dt.datetime.strptime(text, written).replace(microsecond=0) for text in texts]
    assert seconds == [int((moment - EPOCH).total_seconds()) for moment in expected]


def test_a_zone_is_taken_into_account():
    texts = ["2021-03-01 01:30+02:00", "2021-02-28 23:30Z", "2021-02-28 18:30-0500"]
    seconds, valid = seconds_of(texts, "%Y-%m-%d %H:%M%z")
    assert valid == [True] * 3
    assert len(set(seconds)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2021-13-01 00:00:00",
        "2021-00-10 00:00:00",
        "2021-01-32 00:00:00",
        "2021-02-29 00:00:00",
        "2021-04-31 00:00:00",
        "2021-01-01 24:00:00",
        "2021-01-01 10:60:00",
        "2021-01-01",
        " 2021-01-01 00:00:00",
        "2021-01-01 00:00:00 ",
        "2021-01-01 00:00:00\n",
        "٢٠٢١-01-01 00:00:00",
    ],
)
def test_text_that_is_not_a_time_is_not_valid(text):
    seconds, valid = seconds_of([text, "2021-01-01 00:00:00"], "%Y-%m-%d %H:%M:%S")
    assert valid == [False, True]
    assert seconds[1] == 1_609_459_200


def test_a_fraction_may_be_absent():
    seconds, valid = seconds_of(
        ["2021-01-01 00:00:01.250000", "2021-01-01 00:00:01"], "%Y-%m-%d %H:%M:%S.%f"
    )
    assert valid == [True, True]
    assert seconds[0] == seconds[1]


@pytest.mark.parametrize("written", ["%b %d %Y", "%Y-%m", "%H:%M", "%Y %y %m %d", "%Y-%m-%d %", ""])
def test_other_formats_are_not_read(written):
    assert timestamp_formats.read_format(written) is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2400, 1, 1)), min_size=1))
def test_parts_are_those_of_the_calendar(moments):
    moments = [moment.replace(microsecond=0) for moment in moments]
    seconds = tf.constant([int((m - EPOCH).total_seconds()) for m in moments], tf.int64)
    found = timestamp_graph.parts(seconds, PARTS)
    expected = {
        "month": [m.month - 1 for m in moments],
        "day": [m.day - 1 for m in moments],
        "weekday": [m.weekday() for m in moments],
        "hour": [m.hour for m in moments],
        "minute": [m.minute for m in moments],
    }
    for part, values in expected.items():
        assert found[part].numpy().tolist() == values, part
        assert max(values) < timestamp_formats.SIZES[part]
    years = [(m - dt.datetime(2000, 1, 1)).total_seconds() / 86_400 / 365.25 for m in moments]
    np.testing.assert_allclose(found["elapsed"].numpy(), years, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("unit", "number"),
    [
        ("days", 18_262),
        ("seconds", 18_262 * 86_400 + 59),
        ("milliseconds", (18_262 * 86_400 + 59) * 10**3 + 7),
        ("microseconds", (18_262 * 86_400 + 59) * 10**6 + 7),
        ("nanoseconds", (18_262 * 86_400 + 59) * 10**9 + 7),
    ],
)
def test_whole_numbers_count_units_since_1970(unit, number):
    seconds = timestamp_graph.from_numbers(tf.constant([number, -1], tf.int64), unit).numpy()
    assert seconds[0] // 86_400 == 18_262
    assert seconds[1] < 0
