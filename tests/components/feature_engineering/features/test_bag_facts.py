"""Facts about bags: the laws of accumulators, and columns with very many items."""

import collections
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.processing.accumulator import Rows
from kfp_tabular.components.feature_engineering.features import bag_facts
from kfp_tabular.components.feature_engineering.features.bag_facts import BagColumn, BagFold
from tests import accumulator_laws
from tests.components.feature_engineering.conftest import write_examples
from tests.pickled_engine import PickledEngine

bags_of_text = st.none() | st.lists(st.sampled_from(["a", "b", "ü", "c d"]), max_size=4)
bags_of_numbers = st.none() | st.lists(st.sampled_from(["1", "-2.5", "3e2", "0"]), max_size=4)


def plain(facts):
    return {
        name: [
            found.rows,
            dict(found.tokens or {}),
            found.tokens is None,
            found.are_numbers,
            {each: [scale.mean, scale.deviation] for each, scale in found.scales.items()},
        ]
        for name, found in facts.items()
    }


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    lists=st.lists(st.tuples(bags_of_text, bags_of_numbers, bags_of_numbers), max_size=30),
    most=st.integers(1, 6),
)
def test_any_cut_gives_the_same_facts(data, lists, most):
    columns = [BagColumn("text"), BagColumn("numbers"), BagColumn("plain", ";")]
    written = [
        [None if bag is None else json.dumps(bag) for bag in (first, second)]
        + [None if third is None else "; ".join(third)]
        for first, second, third in lists
    ]
    given_rows = pa.table(
        {
            column.name: pa.array([row[at] for row in written], pa.string())
            for at, column in enumerate(columns)
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bag_facts, "MOST_TOKENS", most)
        accumulator_laws.check(
            data,
            lambda: BagFold(columns),
            len(lists),
            lambda start, stop: Rows(
                pa.RecordBatch.from_pydict(
                    given_rows.slice(start, stop - start).to_pydict(), schema=given_rows.schema
                ),
                start,
            ),
            plain,
        )


def test_items_of_a_sample_are_counted_where_there_are_too_many(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    usual = random.choice(["red", "green", "blue"], 4_000, p=[0.6, 0.3, 0.1])
    texts = [f"{color}, id{number}" for number, color in enumerate(usual)]
    path = write_examples(tmp_path / "examples", {"train": pa.table({"tags": texts})})
    monkeypatch.setattr(bag_facts, "MOST_TOKENS", 1_000)
    monkeypatch.setattr(bag_facts, "SAMPLED_ROWS", 2_000)
    columns = [BagColumn("tags", ",")]
    found = bag_facts.collect(Examples(path), columns)["tags"]
    assert found.rows == 4_000
    assert list(found.tokens) == ["red", "green", "blue"]
    counts = collections.Counter(usual)
    for color, times in found.tokens.items():
        assert abs(times - counts[color]) < 200
    assert (
        bag_facts.collect(Examples(path), columns, engine=PickledEngine(), piece_rows=1)["tags"]
        == found
    )
