"""The whole transform on small data: its files, and what the graph computes."""

import datetime as dt
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common.artifacts import findings, lineage, typical_row
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError

from .conftest import schema_of

ROWS = 400
RANDOM = np.random.default_rng(11)


def trips(rows=ROWS, seed=0):
    random = np.random.default_rng(seed)
    start = dt.datetime(2020, 1, 1)
    started = [start + dt.timedelta(minutes=int(m)) for m in random.integers(0, 10**6, rows)]
    fare = random.lognormal(2, 1, rows)
    return pa.table(
        {
            "fare": pa.array(np.where(random.random(rows) < 0.1, np.nan, fare), from_pandas=True),
            "length": random.normal(10, 3, rows),
            "seconds": random.integers(0, 5000, rows),
            "zone": pa.array(
                random.choice(["north", "south", "west", 'Ünï, "x"'], rows, p=[0.5, 0.3, 0.1, 0.1]),
                mask=random.random(rows) < 0.1,
            ),
            "hour": random.integers(0, 24, rows),
            "started": [moment.strftime("%Y-%m-%d %H:%M:%S") for moment in started],
            "ended": [int((m - dt.datetime(1970, 1, 1)).total_seconds()) for m in started],
            "driver": [f"driver {number}" for number in random.permutation(rows)],
            "city": ["Chicago"] * rows,
            "note": pa.nulls(rows, pa.string()),
            "tip": fare * 0.1,
            "y": (fare + random.normal(0, 2, rows) > 8).astype(np.int64),
        }
    )


def trips_schema():
    schema = schema_of(trips())
    for feature in schema.feature:
        if feature.name == "started":
            feature.time_domain.string_format = "%Y-%m-%d %H:%M:%S"
        if feature.name == "ended":
            feature.time_domain.integer_format = schema_pb2.TimeDomain.UNIX_SECONDS
    return schema


@pytest.fixture
def done(run):
    splits = {"train": trips(), "eval": trips(60, 1), "test": trips(50, 2)}
    return run(
        splits,
        trips_schema(),
        exclude=["tip"],
        feature_config={"hour": {"kind": "hash", "buckets": 10}},
    )


def test_every_column_is_accounted_for(done):
    assert done.kinds == {
        "fare": "numeric",
        "length": "numeric",
        "seconds": "numeric",
        "zone": "categorical",
        "hour": "hash",
        "started": "timestamp",
        "ended": "timestamp",
    }
    assert done.dropped["tip"] == "excluded"
    assert done.dropped["city"] == "constant: always 'Chicago'"
    assert done.dropped["note"] == "no value in the train split"
    assert "identifier" in done.dropped["driver"]
    assert done.result.rows == {"train": ROWS, "eval": 60, "test": 50}

    # The summary agrees.
    for name, why in done.dropped.items():
        assert f"| `{name}` | {why} |" in done.summary

    # The output fits its schema, has no nulls, and its ids are in range.
    schema = tft.TFTransformOutput(str(done.graph)).transformed_metadata.schema
    features = {feature.name: feature for feature in schema.feature}
    for split in ("train", "eval", "test"):
        table = done.table(split)
        assert table.column_names == list(features)
        for name, feature in features.items():
            column = table[name]
            assert column.null_count == 0
            values = column.to_numpy()
            assert np.isfinite(values).all()
            if feature.type == schema_pb2.INT:
                assert column.type == pa.int64()
                assert feature.int_domain.min == 0
                parts = ("__month", "__day", "__weekday", "__hour")
                is_ordered = feature.name.endswith(parts)
                assert feature.int_domain.is_categorical == (not is_ordered)
                assert 0 <= values.min() <= values.max() <= feature.int_domain.max
            else:
                assert column.type == pa.float32()

    # Numbers.
    train = trips()
    length = train["length"].to_numpy()
    np.testing.assert_allclose(
        done.column("length"), (length - length.mean()) / length.std(), rtol=1e-4, atol=1e-5
    )
    fare = train["fare"].to_numpy(zero_copy_only=False)
    missing = np.isnan(fare)
    logged = np.log1p(fare[~missing])
    np.testing.assert_allclose(
        done.column("fare")[~missing], (logged - logged.mean()) / logged.std(), rtol=1e-4, atol=1e-5
    )
    assert (done.column("fare")[missing] == 0).all()
    np.testing.assert_array_equal(done.column("fare__missing"), missing.astype(np.float32))
    buckets = done.column("fare__bucket")
    assert set(buckets[missing]) == {32}
    assert np.all(np.diff(buckets[~missing][np.argsort(fare[~missing])]) >= 0)
    assert np.bincount(buckets[~missing]).max() <= 1.5 * (~missing).sum() / 32

    # Categories: by frequency, then unknown, then missing.
    zones = ["north", "south"]
    ids = {zone: done.column("zone")[train["zone"].to_pylist().index(zone)] for zone in zones}
    assert ids == {"north": 0, "south": 1}
    assert set(done.column("zone")[np.array(train["zone"].to_pylist()) == None]) == {5}  # noqa: E711

    # Points in time.
    started = [dt.datetime.fromisoformat(text) for text in train["started"].to_pylist()]
    assert done.column("started__month").tolist() == [m.month - 1 for m in started]
    assert done.column("started__weekday").tolist() == [m.weekday() for m in started]
    assert done.column("ended__hour").tolist() == [m.hour for m in started]

    # The label.
    assert done.column("y").tolist() == train["y"].to_pylist()
    counts = np.bincount(train["y"].to_numpy())
    assert Task.load(done.graph) == Task("binary", "y", ("0", "1"), tuple(counts.tolist()))


def test_what_was_decided_is_found(run):
    whole = np.arange(300)
    columns = {
        "account": np.where(whole % 100 == 7, np.nan, 10_000_123.0 + whole),
        "customer": RANDOM.permutation(np.repeat(whole[:100], 3)) + 5_000_000,
        "same": np.full(300, "x"),
        "zip": RANDOM.choice([10115, 10117, 20095], 300),
        "tenure": whole % 30,
        "label": RANDOM.choice(["no", "yes"], 300),
    }
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    done = run(table, label="label")

    found = {(each.severity, each.code, each.column): each for each in findings.read(done.graph)}
    assert set(found) == {
        ("note", "identifier", "account"),
        ("note", "identifier", "customer"),
        ("note", "constant", "same"),
        ("note", "codes", "zip"),
    }
    account = found["note", "identifier", "account"]
    assert str(account) == (
        "'account' is not a feature: identifier: 297 distinct values in 297 rows. "
        'Option: feature_config={"account": {"kind": "numeric"}}.'
    )
    assert done.kinds == {"zip": "categorical", "tenure": "numeric"}


def test_categories_with_line_breaks(run):
    cities = ["New\nYork", "Los\r\nAngeles", "New York", "Oslo"]
    table = pa.table({"city": cities * 100, "y": ["a", "b"] * 200})
    done = run(table, feature_config={"city": {"kind": "categorical"}})
    assert len(set(done.column("city")[:4])) == 4
    layer = tft.TFTransformOutput(str(done.graph)).transform_features_layer()
    answers = layer({"city": tf.constant([*cities, "New\rYork"])})["city"].numpy()
    assert answers[:4].tolist() == done.column("city")[:4].tolist()
    assert answers[4] not in answers[:4]


def test_a_column_is_dropped_by_configuration(run):
    table = pa.table({"kept": RANDOM.normal(size=200), "gone": RANDOM.normal(size=200)})
    table = table.append_column("y", pa.array(RANDOM.choice(["a", "b"], 200)))

    done = run(table, label="y", feature_config={"gone": {"kind": "drop"}})

    assert done.dropped == {"gone": "configured"}


def cards(rows=2000, seed=0):
    random = np.random.default_rng(seed)
    countries = np.array(["US", "PL", "FR", "DE", "JP", ""])
    home = random.choice(countries, rows, p=[0.4, 0.2, 0.2, 0.1, 0.08, 0.02])
    here = np.where(random.random(rows) < 0.9, home, random.choice(countries, rows))
    missing = random.random(rows) < 0.05
    return pa.table(
        {
            "home": pa.array(home, mask=missing),
            "here": here,
            "amount": random.normal(size=rows),
            "y": np.where((home != here) ^ (random.random(rows) < 0.1), "yes", "no"),
        }
    )


def test_two_columns_of_one_domain_are_compared(run):
    done = run({"train": cards(), "test": cards(300, 1)})
    for split, table in (("train", cards()), ("test", cards(300, 1))):
        home, here = (table[name].fill_null("").to_pylist() for name in ("home", "here"))
        expected = [
            2 if not one or not other else int(one == other)
            for one, other in zip(home, here, strict=True)
        ]
        assert done.column("home__equals_here", split).tolist() == expected
    (pair,) = done.features["pairs"]
    assert pair["columns"] == ["home", "here"]
    assert "| `home`, `here` | equality |" in done.summary
    assert "home__equals_here` (3 ids)" in done.summary
    (note,) = [each for each in findings.read(done.graph) if each.code == "equality"]
    assert note.option == 'feature_config={"home": {"equal_to": []}}'

    layer = tft.TFTransformOutput(str(done.graph)).transform_features_layer()
    answer = layer(
        {
            "home": tf.constant(["US", "US", "", "new", "new"]),
            "here": tf.constant(["US", "PL", "", "new", "newer"]),
            "amount": tf.constant([0.0] * 5),
        }
    )
    assert answer["home__equals_here"].numpy().tolist() == [1, 0, 2, 1, 0]


def test_the_option_of_the_note_leaves_the_comparison_out(run):
    done = run(cards(), feature_config={"home": {"equal_to": []}})
    assert "pairs" not in done.features
    assert "home__equals_here" not in done.table().column_names
    assert not [each for each in findings.read(done.graph) if each.code == "equality"]


def test_numbers_and_hashes_are_compared_if_configured(run):
    random = np.random.default_rng(5)
    table = pa.table(
        {
            "one": pa.array(random.integers(0, 9, 500), mask=np.arange(500) == 3),
            "two": random.integers(0, 9, 500),
            "word": random.choice(["u", "v", "w"], 500),
            "other": random.choice(["u", "v"], 500),
            "y": random.normal(size=500),
        }
    )
    done = run(
        table,
        feature_config={
            "one": {"kind": "categorical", "equal_to": ["two"]},
            "two": {"kind": "hash"},
            "word": {"kind": "hash", "equal_to": ["other"]},
        },
    )
    one, two = (table[name].to_pylist() for name in ("one", "two"))
    expected = [2 if a is None else int(a == b) for a, b in zip(one, two, strict=True)]
    assert done.column("one__equals_two").tolist() == expected
    words, others = (table[name].to_pylist() for name in ("word", "other"))
    expected = [int(a == b) for a, b in zip(words, others, strict=True)]
    assert done.column("word__equals_other").tolist() == expected


def test_the_graph_serves_without_the_label_and_without_dropped_columns(done):
    output = tft.TFTransformOutput(str(done.graph))
    used = ["fare", "length", "seconds", "zone", "hour", "started", "ended"]
    assert sorted(output.raw_feature_spec()) == sorted(used)
    assert [feature["name"] for feature in done.features["raw_features"]] == used
    answer = output.transform_features_layer()(
        {
            "fare": tf.constant([math.nan, math.inf, -5.0, 1e30]),
            "length": tf.constant([math.nan, 10.0, 10.0, 10.0]),
            "seconds": tf.constant([-(2**63), 1, 2**62, 3], tf.int64),
            "zone": tf.constant(["", "north", "elsewhere", "a\nb"]),
            "hour": tf.constant([-(2**63), 1, 24, -1], tf.int64),
            "started": tf.constant(["", "soon", "2020-02-30 00:00:00", "2020-12-31 23:59:59"]),
            "ended": tf.constant([-(2**63), 0, 1, 2**40], tf.int64),
        }
    )
    found = {name: value.numpy().tolist() for name, value in answer.items()}
    assert set(found) == {output["name"] for output in done.features["outputs"]}
    assert "y" not in found
    # A missing or infinite value is missing; a wild one is bounded.
    assert found["fare__missing"] == [1, 1, 0, 0]
    assert found["fare"][:2] == [0, 0]
    assert 10 < found["fare"][3] < 20
    assert -10 <= found["fare"][2] < 0
    # The train split has no missing length, so there is no flag: it counts as average.
    assert found["length"][0] == 0
    assert found["length__bucket"][0] in (14, 15, 16, 17)
    assert found["zone"] == [5, 0, 4, 4]
    assert found["hour"][0] == 10
    assert all(0 <= value < 10 for value in found["hour"][1:])
    assert found["started__month"] == [12, 12, 12, 11]
    assert found["ended__hour"][:2] == [24, 0]


def test_the_vocabulary_is_read_once_when_the_graph_is_loaded(done, tmp_path):
    directory = tft.TFTransformOutput(str(done.graph)).transform_savedmodel_dir
    copied = shutil.copytree(directory, tmp_path / "copied")
    graph = tf.saved_model.load(str(copied)).transform_fn
    (inputs,), _ = graph.structured_input_signature
    values = {
        name: tf.constant(["north"] if spec.dtype == tf.string else [1], spec.dtype)
        for name, spec in inputs.items()
    }
    before = graph(values)
    assert before["zone"].numpy().tolist() == [0]
    shutil.rmtree(copied)
    after = graph(values)
    assert all(
        after[name].numpy().tolist() == value.numpy().tolist() for name, value in before.items()
    )


REPEAT = """
import sys
from pathlib import Path
import tensorflow
from kfp_tabular.components.feature_engineering import transform
from kfp_tabular.components.feature_engineering.options import TransformOptions

data, out = map(Path, sys.argv[1:])
transform.run(
    transform.TransformRequest(
        examples=data / "examples", schema=data / "schema", transform_graph=out / "graph",
        transformed_examples=out / "examples", summary=out / "summary",
        options=TransformOptions(label="y"),
    )
)
"""


def test_another_process_writes_the_same_bytes(done, tmp_path):
    data = done.request.examples.parent
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", REPEAT, str(data), str(tmp_path / seed)],
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    for artifact in ("graph", "examples"):
        first, second = (lineage.read(tmp_path / seed / artifact) for seed in ("1", "2"))
        assert first["digest"] == second["digest"]
    assert (tmp_path / "1" / "summary").read_text() == (tmp_path / "2" / "summary").read_text()


def test_names_that_tensorflow_would_not_take(run):
    names = [
        "a b",
        "a.b",
        "a_b",
        "A_B",
        "/x",
        "_y",
        "1",
        "日本",
        "tab\tline\n",
        "é",
        'quote"',
        "x" * 300,
    ]
    table = pa.table(
        {name: RANDOM.normal(size=150) for name in names}
        | {f"{name}?": RANDOM.choice(["u", "v"], 150) for name in names}
        | {"the label ✓": RANDOM.choice(["ja", "nein"], 150)}
    )
    done = run(table, label="the label ✓")
    assert done.dropped == {}
    for name in names:
        values = table[name].to_numpy()
        np.testing.assert_allclose(
            done.column(name), (values - values.mean()) / values.std(), rtol=1e-3, atol=1e-4
        )
        assert (
            len(set(zip(table[f"{name}?"].to_pylist(), done.column(f"{name}?"), strict=True))) == 2
        )
    assert done.column("the label ✓").tolist() == [
        ["ja", "nein"].index(value) for value in table["the label ✓"].to_pylist()
    ]


def test_some_hundred_columns(run):
    columns = {f"n{number}": RANDOM.normal(number, 1, 200) for number in range(130)}
    columns |= {f"c{number}": RANDOM.choice(["u", "v", "w"], 200) for number in range(70)}
    table = pa.table(columns | {"y": RANDOM.normal(size=200)})
    done = run(table)
    assert len(done.kinds) == 200
    for name in ("n0", "n63", "n64", "n129"):
        values = table[name].to_numpy()
        np.testing.assert_allclose(
            done.column(name), (values - values.mean()) / values.std(), rtol=1e-3, atol=1e-3
        )
    for name in ("c0", "c63", "c64", "c69"):
        pairs = set(zip(table[name].to_pylist(), done.column(name).tolist(), strict=True))
        assert {index for _, index in pairs} == {0, 1, 2}
        assert len(pairs) == 3
    np.testing.assert_allclose(done.column("y"), table["y"].to_numpy(), rtol=1e-6)


def test_rows_without_a_label_are_left_out(run):
    table = pa.table({"x": RANDOM.normal(size=100), "y": pa.array([None, 0, 1, 1] * 25)})
    done = run({"train": table, "eval": table.slice(0, 10)})
    assert done.result.rows == {"train": 75, "eval": 7}
    assert "| train | 75 | 25 |" in done.summary
    assert set(done.column("y")) == {0, 1}


def test_a_schema_and_data_that_differ(run):
    table = pa.table({"x": RANDOM.normal(size=100), "new": [1.5, 2.5] * 50, "y": [0, 1] * 50})
    schema = schema_of(table.drop_columns(["new"]))
    schema.feature.add(name="gone", type=schema_pb2.FLOAT)
    done = run(table, schema)
    assert done.dropped == {
        "new": "not in the schema",
        "gone": "in the schema, but not in the data",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "z"}, "label: the data have no column 'z'"),
        ({"exclude": ["fair"]}, "exclude: the data have no column 'fair'. Did you mean 'fare'?"),
        ({"exclude": ["y"]}, "exclude: 'y' is the label"),
        ({"feature_config": {"y": {"kind": "drop"}}}, "feature_config: 'y' is the label"),
        ({"feature_config": {"tpi": {}}}, "unknown feature 'tpi'. Did you mean 'tip'"),
        ({"task": "classification"}, "regression, found 'classification'"),
        ({"label": "city"}, "label 'city': always 'Chicago'"),
        ({"preprocessing_fn": "nowhere"}, "expected 'package.module:function', found 'nowhere'"),
    ],
)
def test_bad_input_leaves_nothing_behind(run, tmp_path, settings, message):
    with pytest.raises(UserError) as error:
        run(trips(50), trips_schema(), **settings)
    assert message in str(error.value)
    assert not list(tmp_path.rglob("out/*"))


def test_no_feature_is_left(run):
    table = pa.table({"city": ["Chicago"] * 20, "y": [0, 1] * 10})
    with pytest.raises(UserError, match="no feature is left. 'city': constant"):
        run(table)


def test_no_rows_to_train_on(run):
    table = pa.table({"x": RANDOM.normal(size=20), "y": [0, 1] * 10})
    with pytest.raises(UserError, match="the train split has no rows"):
        run({"train": table.slice(0, 0), "eval": table})
    with pytest.raises(UserError, match="no split 'train'; the splits are eval"):
        run({"eval": table}, schema_of(table))


def test_a_value_that_does_not_fit_its_schema(run):
    table = pa.table({"x": ["1", "2", "three", "4"] * 10, "y": [0, 1] * 20})
    schema = schema_of(table)
    schema.feature[0].type = schema_pb2.FLOAT
    with pytest.raises(UserError, match="column 'x': string values do not fit"):
        run(table, schema)


def test_the_graph_has_a_typical_row_without_identifiers(done):
    row = typical_row.read(done.graph)
    assert row["zone"] == "north"
    assert set(row) == set(done.kinds) - {"driver", "city", "note", "tip"}
    assert row["started"].startswith("20")
