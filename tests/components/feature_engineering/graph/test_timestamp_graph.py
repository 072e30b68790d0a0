import datetime as dt
import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.values import time_fields, time_patterns
from kfp_tabular.components.common.values.column_format import TimeFormat
from kfp_tabular.components.feature_engineering.features import timestamp_formats
from kfp_tabular.components.feature_engineering.graph import timestamp_graph
from tests.components.common.values import time_spellings

EPOCH = dt.datetime(1970, 1, 1)
IDS = tuple(timestamp_formats.SIZES)


def read(texts, *formats):
    patterns = time_patterns.patterns_of(TimeFormat(formats))
    found = timestamp_graph.from_text(tf.constant(texts, tf.string), patterns)
    return [part.numpy().tolist() for part in found]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(time_spellings.ODD, time_spellings.spellings().map(lambda s: s[1][0][0])),
        min_size=1,
    ),
    st.lists(st.sampled_from([*time_spellings.DATES, *time_spellings.OTHER_FORMATS]), max_size=3),
)
def test_the_graph_reads_what_ingestion_reads(texts, formats):
    patterns = time_patterns.patterns_of(TimeFormat(tuple(formats)))
    expected = [time_fields.parse_one(text, patterns) for text in texts]
    seconds, offsets, valid = read(texts, *formats)
    assert valid == [moment is not None for moment in expected]
    assert seconds == [moment.seconds if moment else 0 for moment in expected]
    assert offsets == [moment.offset if moment else 0 for moment in expected]


@settings(max_examples=40, deadline=None)
@given(time_spellings.spellings())
def test_a_spelling_means_its_moment(spelled):
    written, found = spelled
    seconds, offsets, valid = read([text for text, _, _ in found], written)
    assert all(valid)
    assert offsets == [offset for _, _, offset in found]
    assert seconds == [int((moment - EPOCH).total_seconds()) for _, moment, _ in found]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2400, 1, 1)), min_size=1))
def test_parts_are_those_of_the_calendar(moments):
    moments = [moment.replace(microsecond=0) for moment in moments]
    seconds = tf.constant([int((m - EPOCH).total_seconds()) for m in moments], tf.int64)
    cycles = {
        "hour": [
            (m - m.replace(hour=0, minute=0, second=0)).total_seconds() / 86_400 for m in moments
        ],
        "weekday": [m.weekday() / 7 for m in moments],
        "month": [(m.month - 1) / 12 for m in moments],
        "year": [(m.timetuple().tm_yday - 1) / 365.25 for m in moments],
    }
    halves = [f"{cycle}_{half}" for cycle in cycles for half in ("sin", "cos")]
    found = timestamp_graph.parts(seconds, [*IDS, "elapsed", *halves], seconds - 3600)
    expected = {
        "month": [m.month - 1 for m in moments],
        "day": [m.day - 1 for m in moments],
        "weekday": [m.weekday() for m in moments],
        "hour": [m.hour for m in moments],
        "minute": [m.minute for m in moments],
        "utc_hour": [(m.hour - 1) % 24 for m in moments],
    }
    for part, values in expected.items():
        assert found[part].numpy().tolist() == values, part
        assert max(values) < timestamp_formats.SIZES[part]
    years = [(m - dt.datetime(2000, 1, 1)).total_seconds() / 86_400 / 365.25 for m in moments]
    np.testing.assert_allclose(found["elapsed"].numpy(), years, rtol=1e-6, atol=1e-6)
    for cycle, shares in cycles.items():
        for half, function in (("sin", math.sin), ("cos", math.cos)):
            turned = [function(2 * math.pi * share) for share in shares]
            np.testing.assert_allclose(found[f"{cycle}_{half}"].numpy(), turned, atol=1e-6)


def test_holidays():
    days = [dt.date(2024, 12, 25), dt.date(2023, 12, 25), dt.date(2024, 5, 1), dt.date(2023, 5, 1)]
    seconds = [(day - EPOCH.date()).days * 86_400 + 3600 for day in days]
    may = (dt.date(2024, 5, 1) - EPOCH.date()).days
    found = timestamp_graph.is_holiday(tf.constant(seconds, tf.int64), [may], [1225])
    assert found.numpy().tolist() == [True, True, True, False]


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
