"""Source, shards and results in an object store, on a Spark whose executors share no folder."""

import datetime
import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.artifacts import example_pieces, lineage
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.data_ingestion import ingest
from kfp_tabular.components.data_ingestion.options import IngestionOptions
from kfp_tabular.components.data_ingestion.readers import csv_source, source_pieces
from kfp_tabular.components.data_ingestion.readers.csv_sniffing import file_scan
from kfp_tabular.components.evaluation import evaluate
from kfp_tabular.components.evaluation.options import EvaluationOptions
from kfp_tabular.components.feature_engineering import transform
from kfp_tabular.components.feature_engineering.options import TransformOptions
from kfp_tabular.components.training.worker import training_process
from kfp_tabular.components.training.worker_settings import WorkerSettings
from tests import accumulator_laws
from tests.servers.stores import gcs, s3  # noqa: F401 - fixtures
from tests.spark_cluster import Cluster

ROWS = 6_000

On = tuple[Engine, str]
"""An engine, and where shards are written."""

HERE = Path("/proc/self/cwd")
"""The working directory of the process that asks: a path below it leads elsewhere in others."""


@pytest.fixture(scope="module")
def spark(
    cluster: Cluster,
    gcs: str,  # noqa: F811
    s3: str,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Engine]:
    """An engine whose executors have the stores, and an empty folder for temporary files."""
    empty = tmp_path_factory.mktemp("executors")
    conf = {
        f"spark.executorEnv.{name}": value
        for name, value in os.environ.items()
        if name.startswith(("AWS_", "STORAGE_EMULATOR"))
    }
    conf["spark.executorEnv.TMPDIR"] = str(empty)
    with engines.opened(cluster.document(conf=conf)) as opened:
        yield opened.engine
    assert list(empty.iterdir()) == []


@pytest.fixture(params=["gcs", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder in a store; the driver works in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return f"{request.getfixturevalue(request.param)}/{tmp_path.name}"


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut small data into several pieces."""
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", 10_000)
    monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)
    monkeypatch.setattr(source_pieces, "_SMALLEST", 60_000)
    monkeypatch.setattr(file_scan, "RANGE_BYTES", 100_000)
    monkeypatch.setattr(example_pieces, "ROWS_PER_PIECE", 1_000)


def table() -> pa.Table:
    random = np.random.default_rng(1)
    fare = random.lognormal(2, 1, ROWS)
    start = datetime.datetime(2026, 1, 1)
    return pa.table(
        {
            "id": pa.array(range(ROWS)),
            "fare": fare,
            "zone": random.choice(["north", "south, \r\nwest", 'the "east"'], ROWS),
            "start": [str(start + datetime.timedelta(hours=at)) for at in range(ROWS)],
            "tip": np.where(fare + random.normal(0, 2, ROWS) > 8, "yes", "no"),
        }
    )


def ingested(uri: str, folder: Path, on: On | None, **given: Any) -> Examples:
    request = ingest.IngestionRequest(
        IngestionOptions(uri, label="tip", **given),
        folder / "examples",
        folder / "rejected",
        folder / "summary.md",
    )
    ingest.run(request, *(on or ()))
    return Examples(folder / "examples")


def splits(examples: Examples) -> dict[str, list[dict[str, Any]]]:
    return {
        split: [row for batch in examples.batches(split) for row in batch.to_pylist()]
        for split in examples.splits
    }


def exists(path: str, piece: Piece) -> bool:
    """Whether the process that works on a piece finds a path."""
    return Path(path).exists()


def transformed(examples: Examples, folder: Path, on: On | None) -> Examples:
    schema = schema_pb2.Schema()
    for name in ("id", "fare", "zone", "start", "tip"):
        kind = {"id": schema_pb2.INT, "fare": schema_pb2.FLOAT}.get(name, schema_pb2.BYTES)
        schema.feature.add(name=name, type=kind)
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema))
    request = transform.TransformRequest(
        TransformOptions("tip"),
        examples.path,
        folder / "schema",
        folder / "graph",
        folder / "transformed",
        folder / "summary",
    )
    transform.run(request, *(on or ()))
    return Examples(folder / "transformed")


def metrics(examples: Examples, model: Path, folder: Path, on: On | None) -> Mapping[str, Any]:
    request = evaluate.EvaluationRequest(
        examples=examples.path,
        model=model,
        evaluation=folder / "evaluation",
        golden_examples=folder / "golden",
        report=folder / "report.html",
        options=EvaluationOptions(bootstrap_samples=100, slice_columns=["zone"]),
    )
    return evaluate.run(request, on[0] if on else None).document


@pytest.mark.usefixtures("small_pieces")
def test_csv_to_metrics(spark: Engine, root: str) -> None:
    """Every step on executors that have nothing but the store, and on one machine: the same."""
    (HERE / "mark").touch()
    mark = functools.partial(exists, str(HERE / "mark"))
    pieces = [Piece("", "bytes", at, at + 1) for at in range(4)]
    assert mark(pieces[0])
    assert not any(found for _, found in spark.map(pieces, mark))
    pacsv.write_csv(table(), HERE / "data.csv")
    with (HERE / "data.csv").open("ab") as stream:
        stream.write(b'7,"too few"\n')
    storage.upload(HERE / "data.csv", f"{root}/source/data.csv")
    (HERE / "data.csv").unlink()

    here, spread = HERE / "here", HERE / "spread"
    on_spark = (spark, f"{root}/shards")
    for folder, on in ((here, None), (spread, on_spark)):
        transformed(ingested(f"{root}/source/data.csv", folder, on), folder, on)

    found = {folder: Examples(folder / "examples") for folder in (here, spread)}
    assert splits(found[spread]) == splits(found[here])
    read = [lineage.read(folder / "examples")["sources"] for folder in (here, spread)]
    assert read[0] == read[1]
    assert len(found[spread].require("train")) > 5
    for name in ("examples", "transformed"):
        written = Examples(spread / name).manifest
        assert written is not None
        assert written.shards_uri.startswith(f"{root}/shards/attempt-")
    rejected = [
        pq.read_table(folder / "rejected" / "part-00000.parquet") for folder in (here, spread)
    ]
    assert rejected[0].equals(rejected[1])
    assert rejected[0].num_rows == 1
    graphs = [lineage.read(folder / "graph")["digest"] for folder in (here, spread)]
    assert graphs[0] == graphs[1]
    rows = [splits(Examples(folder / "transformed")) for folder in (here, spread)]
    assert rows[0] == rows[1]

    # Training streams the shards, too.
    training_process.run(
        WorkerSettings(
            spread / "transformed",
            spread / "graph",
            spread / "model",
            spread / "logs",
            hyperparameters=Hyperparameters(hidden_units="4", train_steps=5, model_type="dnn"),
        )
    )
    expected = metrics(found[here], spread / "model", here, None)
    evaluated = metrics(found[spread], spread / "model", spread, on_spark)
    accumulator_laws.assert_same(evaluated, expected, 1e-9, 1e-15)
    assert [path.name for path in (spread / "examples").rglob("*.parquet")] == []
