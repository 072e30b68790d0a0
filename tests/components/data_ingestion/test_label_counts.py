"""Labels of the examples, counted on the engine."""

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.data_ingestion.label_counts import LabelCounts
from tests import accumulator_laws

WANTED = ["1", "0", "1.0", "-2", "2.5", "yes", "nan", "1e3", "", "99999999999999999999"]
KINDS = {
    pa.int64(): st.integers(-3, 3),
    pa.float64(): st.sampled_from([0.0, 1.0, 2.5, -2.0, 1000.0]),
    pa.string(): st.sampled_from(["yes", "no", "", "1", "1.0"]),
}


@settings(deadline=None)
@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(data=st.data())
def test_labels(data, kind):
    values = data.draw(st.lists(KINDS[kind], max_size=40))
    array = pa.array(values, kind)
    expected = Counter(map(str, values))
    counts = LabelCounts(WANTED)
    counts.add(array)
    found = counts.result()
    assert found.rows == len(values)
    assert found.wanted == {text: expected[text] for text in WANTED if expected[text]}
    assert found.most == max(expected.values(), default=0)
    accumulator_laws.check(
        data,
        lambda: LabelCounts(WANTED),
        len(array),
        lambda start, stop: array[start:stop],
        lambda result: [result.rows, dict(result.wanted), result.most],
    )


def test_a_state_does_not_grow_with_labels():
    counts = LabelCounts(["1.5"])
    for start in range(0, 600_000, 200_000):
        counts.add(pa.array([row / 2 for row in range(start, start + 200_000)], pa.float64()))
    assert len(counts.state()) < 1_100_000
    found = counts.result()
    assert (found.wanted, found.rows) == ({"1.5": 1}, 600_000)
    # Labels share places, so the most frequent one is overstated by a few rows.
    assert found.most < 60
