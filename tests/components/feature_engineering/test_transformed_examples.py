"""Applying a transform graph as a map: any cut and any engine gives the same rows."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    ExamplesWriter,
    ShardDestination,
)
from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.artifacts.sent_directory import SentDirectory
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.feature_engineering import transform, transformed_examples
from kfp_tabular.components.feature_engineering.features.planned_features import TransformedColumn
from kfp_tabular.components.feature_engineering.options import TransformOptions

from .conftest import schema_of, write_schema

ROWS = 700


def table(rows=ROWS, seed=0):
    random = np.random.default_rng(seed)
    fare = random.lognormal(2, 1, rows)
    return pa.table(
        {
            "fare": fare,
            "zone": random.choice(["north", "south", "west"], rows),
            "day": [f"2020-01-{day:02d}" for day in random.integers(1, 29, rows)],
            "tags": ["|".join(random.choice(["a", "b", "c"], 2)) for _ in range(rows)],
            "words": [" ".join(random.choice(["good", "bad", "ride", "fun"], 6)) for _ in fare],
            "y": pa.array(fare + random.normal(0, 2, rows) > 8, pa.bool_()).cast(pa.int64()),
        }
    )


def without_some_labels(given):
    rows = np.arange(len(given))
    label = pa.array(given["y"].to_numpy(), mask=(rows % 5 == 0) | (rows // 100 == 2))
    return given.set_column(given.column_names.index("y"), "y", label)


@pytest.fixture(scope="module")
def request_(tmp_path_factory):
    """A transform of examples with seven row groups; one has no label."""
    tmp_path = tmp_path_factory.mktemp("transform")
    splits = {
        "train": without_some_labels(table()),
        "eval": table(130, 1),
        "test": table().slice(0, 0),
    }
    (tmp_path / "examples").mkdir()
    with ExamplesWriter(tmp_path / "examples", table().schema, list(splits), 300) as writer:
        for split, rows in splits.items():
            for start in range(0, len(rows), 100):
                writer.write(split, rows.slice(start, 100))

    def made(name):
        return transform.TransformRequest(
            options=TransformOptions(
                label="y",
                feature_config={
                    "tags": {"kind": "bag", "separator": "|"},
                    "words": {"kind": "text", "words": 8, "characters": 0},
                },
            ),
            examples=tmp_path / "examples",
            schema=schema,
            transform_graph=tmp_path / name / "graph",
            transformed_examples=tmp_path / name / "examples",
            summary=tmp_path / name / "summary",
        )

    schema = write_schema(tmp_path / "schema", schema_of(table()))
    return made


REPEAT = """
import pickle, sys
from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.feature_engineering import transform
from tests.pickled_engine import PickledEngine

request, is_cut = pickle.loads(open(sys.argv[1], "rb").read())
engine = PickledEngine() if is_cut else None
if is_cut:
    example_pieces.ROWS_PER_PIECE = 1
transform.run(request, engine=engine)
assert not is_cut or max(engine.pieces) == 9, engine.pieces
"""


def started(program, job, folder):
    """Start a process that gets a job in a file, which it may replace by its result."""
    file = folder / f"job{len(list(folder.glob('job*')))}"
    file.write_bytes(pickle.dumps(job))
    path = os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen([sys.executable, "-c", program, str(file)], env=environment), file


@pytest.fixture(scope="module")
def both(request_, tmp_path_factory):
    """Transforms of whole pieces, and of one piece for each row group on another engine."""
    requests = request_("whole"), request_("cut")
    folder = tmp_path_factory.mktemp("jobs")
    processes = [
        started(REPEAT, (request, number == 1), folder)[0]
        for number, request in enumerate(requests)
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    return requests


@pytest.fixture(scope="module")
def whole(both):
    return both[0]


def rows_of(path):
    examples = Examples(path)
    return {
        split: pa.Table.from_batches(examples.batches(split), examples.schema).combine_chunks()
        for split in examples.splits
    }


def test_any_cut_and_engine_give_the_same_graph_and_rows(both):
    whole, cut = both
    assert len(Examples(whole.transformed_examples).require("train")) == 3
    graphs = [lineage.read(request.transform_graph)["digest"] for request in both]
    assert graphs[0] == graphs[1]
    assert rows_of(cut.transformed_examples) == rows_of(whole.transformed_examples)
    assert cut.summary.read_text() == whole.summary.read_text()
    # The row group without a label made no shard, the split without rows an empty one.
    splits = Examples(cut.transformed_examples).manifest.splits
    paths = [shard.path for shard in splits["train"]]
    assert paths == [f"split=train/part-{n:05d}.parquet" for n in (0, 1, 3, 4, 5, 6)]
    assert {split: sum(shard.rows for shard in found) for split, found in splits.items()} == {
        "eval": 130,
        "test": 0,
        "train": 480,
    }


def test_shards_elsewhere(request_, whole, tmp_path):
    here, there = whole, request_("there")
    found = transform.run(there, shards_uri=str(tmp_path / "store"))
    assert rows_of(there.transformed_examples) == rows_of(here.transformed_examples)
    (attempt,) = (tmp_path / "store").iterdir()
    assert Examples(there.transformed_examples).manifest.shards_uri == str(attempt)
    assert [file.name for file in there.transformed_examples.iterdir()] == ["_manifest.json"]
    assert lineage.read(there.transformed_examples) == found.examples_lineage


def test_a_transform_that_fails_leaves_no_shards_elsewhere(request_, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise UserError("on purpose")

    monkeypatch.setattr(transform, "record", fails)
    with pytest.raises(UserError, match="on purpose"):
        transform.run(request_("there"), shards_uri=str(tmp_path / "store"))
    assert list((tmp_path / "store").iterdir()) == []


def test_another_process_transforms_a_piece(whole, tmp_path):
    request = whole
    done = Examples(request.transformed_examples)
    outputs = [
        TransformedColumn("fare"),
        TransformedColumn("zone", size=8),
    ]
    apply = transformed_examples.ApplyGraph(
        SentDirectory(str(request.transform_graph)),
        tuple(
            RawFeature(name, "float32" if name == "fare" else "string", required=True)
            for name in ("fare", "zone", "day", "tags", "words")
        ),
        tuple(outputs),
        Task("binary", "y", ("0", "1")),
        ShardDestination.of(tmp_path / "other"),
    )
    (shard, *_) = Examples(request.examples).require("train")
    piece = Piece(shard.uri, "row-groups", 1, 2, "train", 100, 100, number=1)
    program = """
import pickle, sys
apply, piece = pickle.loads(open(sys.argv[1], "rb").read())
open(sys.argv[1], "wb").write(pickle.dumps(apply(piece)))
"""
    process, file = started(program, (apply, piece), tmp_path)
    assert process.wait(120) == 0
    made = pickle.loads(file.read_bytes())
    assert made.unlabelled == 20
    ((name, shards),) = made.shards.items()
    assert (name, [shard.rows for shard in shards]) == ("train", [80])
    expected = rows_of(request.transformed_examples)["train"].select(["fare", "zone", "y"])
    found = pa.Table.from_batches(
        list(Examples(tmp_path / "other").batches("train")), done_schema(done, expected)
    )
    assert found.equals(expected.slice(80, 80))


def done_schema(examples, expected):
    return pa.schema([examples.schema.field(name) for name in expected.column_names])


@pytest.mark.parametrize(("rows", "expected"), [(0, 32_768), (15_000, 15_000), (131_072, 32_768)])
def test_row_groups_of_a_piece_are_nearly_equal(rows, expected):
    apply = transformed_examples.ApplyGraph(
        "graph",
        (RawFeature("x", "float32", required=True),),
        (TransformedColumn("x"),),
        Task("regression", "y"),
        ShardDestination.of("shards"),
    )
    assert apply.batch_rows(rows) == expected
    size = apply.batch_rows(131_100)
    assert size * 5 >= 131_100 > size * 4
    assert size * 5 - 131_100 < 5
