"""Bags: from the text of the examples to vectors."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.values import bags
from kfp_tabular.components.common.values.column_format import ColumnFormat, NumberFormat
from kfp_tabular.components.feature_engineering.features import bag_facts
from kfp_tabular.components.feature_engineering.graph import bag_graph

ROWS = 120
RANDOM = np.random.default_rng(3)
TAGS = [
    None
    if row % 10 == 0
    else list(RANDOM.choice(["red", 'a,"b\\"', "blue", "ü x"], row % 4, p=[0.5, 0.2, 0.2, 0.1]))
    for row in range(ROWS)
]
SCORES = [[float(value) for value in RANDOM.normal(5, 2, row % 3)] for row in range(ROWS)]
Y = [int(RANDOM.random() < 0.5) for _ in range(ROWS)]


def table():
    tags = [None if row is None else [str(tag) for tag in row] for row in TAGS]
    return pa.table(
        {
            "tags": bags.from_lists(pa.array(tags, pa.list_(pa.string())), as_text=True),
            "scores": bags.from_lists(pa.array(SCORES), as_text=False),
            "listed": [" ; ".join(row) if row else None for row in tags],
            "y": Y,
        }
    )


@pytest.fixture
def done(run):
    return run(
        table(),
        formats={"tags": ColumnFormat("bag"), "scores": ColumnFormat("bag", NumberFormat())},
        feature_config={"listed": {"kind": "bag", "separator": ";"}},
    )


def test_bags_become_counts_and_statistics(done):
    assert done.kinds == {"tags": "bag", "scores": "bag", "listed": "bag"}
    found = {entry["column"]: entry for entry in done.features["features"]}
    assert found["tags"]["settings"] == {"items": 4, "statistics": ["size"]}
    assert found["scores"]["settings"]["statistics"] == ["size", "sum", "mean", "min", "max"]

    made = np.stack(done.column("tags__counts"))
    order = [tag for tag, _ in Counter(str(t) for row in TAGS for t in row or ()).most_common()]
    for row, counted in zip(TAGS, made, strict=True):
        times = Counter(str(tag) for tag in row or ())
        expected = [math.log2(1 + times[tag]) for tag in order] + [0.0]
        np.testing.assert_allclose(counted, expected, rtol=1e-6)
    np.testing.assert_array_equal(made, np.stack(done.column("listed__counts")))
    assert done.column("tags__missing").tolist() == [float(row is None) for row in TAGS]

    sizes = np.log1p([len(row) for row in TAGS if row is not None])
    scored = iter((sizes - sizes.mean()) / sizes.std())
    expected = [[0.0] if row is None else [next(scored)] for row in TAGS]
    np.testing.assert_allclose(np.stack(done.column("tags__statistics")), expected, atol=1e-5)

    statistics = np.stack(done.column("scores__statistics"))
    for place, of in enumerate((sum, np.mean, min, max), start=1):
        values = np.array([of(row) for row in SCORES if row])
        scaled = iter((values - values.mean()) / values.std())
        expected = [next(scored) if row else 0.0 for row in SCORES for scored in [scaled]]
        np.testing.assert_allclose(statistics[:, place], expected, atol=1e-4)


def test_the_graph_serves_bags_that_training_has_not_seen(done):
    layer = tft.TFTransformOutput(str(done.graph)).transform_features_layer()
    raw = {
        "tags": tf.constant([bags.write(["red", "new", "newer"]), "", "[]"]),
        "scores": tf.constant(["[1000000]", "[]", ""]),
        "listed": tf.constant(["red;;new", "", " ; "]),
    }
    found = layer(raw)
    assert found["tags__counts"].numpy()[:, -1].tolist() == pytest.approx([math.log2(3), 0, 0])
    assert found["listed__counts"].numpy()[0, -1] == 1
    assert np.isfinite(found["scores__statistics"].numpy()).all()
    assert found["scores__statistics"].numpy()[0, 1] == bag_graph.MOST_DEVIATIONS


TEXT = st.text(st.sampled_from("ab,;\"'[]\\ \n1.5é"), max_size=5)


@settings(max_examples=40)
@given(st.lists(st.none() | st.lists(TEXT, max_size=3), min_size=1, max_size=5))
def test_the_graph_finds_the_items_that_the_facts_count(rows):
    texts = pa.array([None if row is None else bags.write(row) for row in rows], pa.string())
    check_items(texts, "")


@settings(max_examples=40)
@given(st.lists(st.none() | TEXT, min_size=1, max_size=5), st.sampled_from([",", ";", "; "]))
def test_the_graph_splits_text_as_the_facts_do(rows, separator):
    check_items(pa.array([row or None for row in rows], pa.string()), separator)


def check_items(texts, separator):
    listed = bag_facts.tokens_of(texts, separator).to_pylist()
    expected = [(row, token) for row, tokens in enumerate(listed) for token in tokens or ()]
    tokens, rows = bag_graph.items(tf.constant(texts.fill_null("").to_pylist()), separator)
    found = [token.decode() for token in tokens.numpy()]
    assert list(zip(rows.numpy().tolist(), found, strict=True)) == expected


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"y2": {"kind": "bag"}}, "'y2' is a number per row and cannot be bags"),
        ({"listed": {"kind": "bag", "separator": ""}}, "expected what separates items"),
        ({"listed": {"kind": "bag", "buckets": 3}}, "unknown key 'buckets'"),
    ],
)
def test_columns_that_cannot_be_bags(run, config, message):
    data = table().append_column("y2", pa.array(range(ROWS)))
    with pytest.raises(UserError, match=message):
        run(data, feature_config=config)


def test_rare_items_share_a_count(run):
    texts = ["a", "a b", "c", "a d"] * 30 + ["e"]
    done = run(
        pa.table({"x": texts, "y": [0, 1] * 60 + [1]}),
        feature_config={"x": {"kind": "bag", "separator": " ", "top_k": 2, "min_frequency": 5}},
    )
    counts = np.stack(done.column("x__counts"))
    assert counts[:4].tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1], [1, 0, 1]]
    assert counts[-1].tolist() == [0, 0, 1]
