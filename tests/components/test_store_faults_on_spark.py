"""Faults of stores and disks on a Spark cluster: the right result or the right line."""

import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    ExamplesWriter,
    record,
    remote_examples,
)
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import Folder, upload
from kfp_tabular.components.data_ingestion import ingest
from kfp_tabular.components.data_ingestion.options import IngestionOptions
from kfp_tabular.components.data_ingestion.readers import csv_source, source_pieces
from kfp_tabular.pipelines.artifacts import abandoned_shards
from tests import spark_cluster
from tests.servers import busy_store
from tests.servers.stores import gcs, s3  # noqa: F401 - fixtures
from tests.spark_cluster import Cluster

ROWS = 4_000
SECONDS = 10.0


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut small data into several pieces."""
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", 4_000)
    monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)
    monkeypatch.setattr(source_pieces, "_SMALLEST", 20_000)


def environment() -> dict[str, str]:
    """What executors need of this process's environment."""
    return {
        f"spark.executorEnv.{name}": value
        for name, value in os.environ.items()
        if name.startswith(("AWS_", "STORAGE_EMULATOR"))
    }


@pytest.fixture
def source(s3: str, tmp_path: Path) -> str:  # noqa: F811
    """A CSV file in a store; some of its rows have a field too many."""
    rows = [
        f'{at},"note {at % 7}",{at * 7 % 101}.5,{at % 2}' + (",9" if at % 501 == 500 else "")
        for at in range(ROWS)
    ]
    (tmp_path / "data.csv").write_text("\n".join(["id,note,amount,label", *rows, ""]))
    upload(tmp_path / "data.csv", f"{s3}/{tmp_path.name}/data.csv")
    return f"{s3}/{tmp_path.name}/data.csv"


def ingested(
    uri: str, folder: Path, engine: Engine | None = None, shards_uri: str = ""
) -> dict[str, list[Any]]:
    request = ingest.IngestionRequest(
        IngestionOptions(uri, label="label"),
        folder / "examples",
        folder / "rejected",
        folder / "summary.md",
    )
    ingest.run(request, engine, shards_uri)
    examples = Examples(folder / "examples")
    found = {
        split: [row for batch in examples.batches(split) for row in batch.to_pylist()]
        for split in examples.splits
    }
    found["rejected"] = pq.read_table(folder / "rejected" / "part-00000.parquet").to_pylist()
    return found


@pytest.mark.parametrize("store", ["s3", "gcs"])
def test_a_store_that_is_busy_for_ten_seconds_while_shards_are_written(
    cluster: Cluster,
    source: str,
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    expected = ingested(source, tmp_path / "here")
    bucket = request.getfixturevalue(store)
    variable = "AWS_ENDPOINT_URL" if store == "s3" else "STORAGE_EMULATOR_HOST"
    with busy_store.running(os.environ[variable], SECONDS) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        with engines.opened(cluster.document(conf=environment())) as opened:
            shards = f"{bucket}/{tmp_path.name}/shards"
            found = ingested(source, tmp_path / "spread", opened.engine, shards)
    assert proxy.refused > 0
    assert found == expected
    written = Examples(tmp_path / "spread" / "examples").manifest
    assert written is not None
    # Shards, the manifest, and nothing else.
    names = {shard.path for made in written.splits.values() for shard in made}
    assert set(Folder(written.shards_uri).list()) == {*names, "_manifest.json"}


class Counting:
    """Counts the rows of a piece."""

    def __init__(self, reader: example_pieces.PieceReader) -> None:
        self.reader = reader

    def __call__(self, piece: Piece) -> int:
        return sum(rows.batch.num_rows for rows in self.reader(piece))


def test_a_shard_in_a_store_that_is_cut_short(
    cluster: Cluster,
    s3: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    table = pa.table({"x": [float(at) for at in range(1_000)]})
    local = tmp_path / "examples"
    local.mkdir()
    with ExamplesWriter(local, table.schema, ["train"], 250) as writer:
        for start in range(0, 1_000, 250):
            writer.write("train", table.slice(start, 250))
    record(local, writer.schema, writer.shards, inputs={})
    uri = f"{s3}/{tmp_path.name}/examples"
    upload(local, uri)
    shard = writer.shards["train"][2]
    (tmp_path / "short").write_bytes((local / shard.path).read_bytes()[:-100])
    upload(tmp_path / "short", f"{uri}/{shard.path}")
    remote_examples.stage(Folder(uri), tmp_path / "staged")
    examples = Examples(tmp_path / "staged")
    pieces = example_pieces.pieces(examples, "train", rows=250)

    with (
        engines.opened(cluster.document(conf=environment())) as opened,
        pytest.raises(UserError, match=f"^{uri}/{shard.path}: ") as error,
    ):
        list(opened.engine.map(pieces, Counting(example_pieces.reader(examples))))
    assert "\n" not in str(error.value)


@dataclass(frozen=True)
class Limited:
    """Does something, on some workers without room on their disks.

    Attributes:
        function: What to do with a piece.
        workers: How the working directories of their executors differ from others.
    """

    function: Callable[[Piece], Any]
    workers: str

    def __call__(self, piece: Piece) -> Any:
        if self.workers in os.getcwd():
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
        return self.function(piece)


@dataclass(frozen=True)
class LimitedEngine:
    """An engine, some workers of which have a full disk.

    Attributes:
        engine: The engine.
        workers: As in `Limited`.
        seen: The pieces of each fold.
    """

    engine: Engine
    workers: str
    seen: list[int] = field(default_factory=list)

    def fold(self, pieces: Any, factory: Any, read: Any, what: str = "") -> Any:
        self.seen.append(len(pieces))
        return self.engine.fold(pieces, factory, Limited(read, self.workers), what)

    def map(self, pieces: Any, function: Any, what: str = "") -> Any:
        return self.engine.map(pieces, Limited(function, self.workers), what)


@pytest.mark.parametrize("workers", ["worker-1", "worker-"], ids=["one", "both"])
def test_full_disks(cluster: Cluster, source: str, tmp_path: Path, workers: str) -> None:
    """Another worker writes the shards; if all are full, the line says what is, and where."""
    expected = ingested(source, tmp_path / "here")
    bucket = source.rpartition("/")[0]
    full = r"^[\w.-]+: .*: file too large\. Free space there, or use another place\.$"
    (tmp_path / "executors").mkdir()
    conf = environment() | {"spark.executorEnv.TMPDIR": str(tmp_path / "executors")}
    document = cluster.document(conf=conf, cores=2, executor_cores=1)
    with engines.opened(document) as opened:
        engine = LimitedEngine(opened.engine, workers)
        if workers == "worker-1":
            found = ingested(source, tmp_path / "spread", engine, f"{bucket}/shards")
            assert found == expected
        else:
            with pytest.raises(UserError, match=full):
                ingested(source, tmp_path / "spread", engine, f"{bucket}/shards")
            assert not (tmp_path / "spread" / "examples").exists()
    assert max(engine.seen) > 4
    assert list((tmp_path / "executors").iterdir()) == []


DRIVER = """
import json, sys
from pathlib import Path
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.data_ingestion.readers import csv_source, source_pieces
from tests.components import test_store_faults_on_spark as here

csv_source.BLOCK_BYTES, csv_source._BYTES_PER_COLUMN, source_pieces._SMALLEST = 4_000, 0, 20_000
with engines.opened(json.loads(sys.argv[1])) as opened:
    here.ingested(sys.argv[2], Path(sys.argv[3]), here.Slow(opened.engine), sys.argv[4])
"""


@dataclass(frozen=True)
class Slow:
    """An engine that takes a second for each piece.

    Attributes:
        engine: The engine.
    """

    engine: Engine

    def fold(self, pieces: Any, factory: Any, read: Any, what: str = "") -> Any:
        return self.engine.fold(pieces, factory, Late(read), what)

    def map(self, pieces: Any, function: Any, what: str = "") -> Any:
        return self.engine.map(pieces, function, what)


@dataclass(frozen=True)
class Late:
    """Reads a piece, and waits.

    Attributes:
        read: Reads a piece.
    """

    read: Callable[[Piece], Iterator[Any]]

    def __call__(self, piece: Piece) -> Iterator[Any]:
        yield from self.read(piece)
        time.sleep(1)


def test_what_a_killed_driver_leaves_is_pruned(
    cluster: Cluster, source: str, tmp_path: Path
) -> None:
    expected = ingested(source, tmp_path / "here")
    bucket = source.rpartition("/")[0]
    there = Folder(f"{bucket}/shards")
    document = cluster.document(conf=environment())
    arguments = [json.dumps(document), source, str(tmp_path / "spread"), str(there)]

    def has_shards() -> bool:
        return any("split=" in name for name in there.list())

    spark_cluster.kill_driver(cluster, DRIVER, arguments, has_shards)
    assert not (tmp_path / "spread" / "examples").exists()

    with engines.opened(document) as opened:
        found = ingested(source, tmp_path / "spread", opened.engine, str(there))
    assert found == expected
    attempts = {name.partition("/")[0] for name in there.list()}
    assert len(attempts) == 2
    abandoned_shards.find(str(there), timedelta(0)).remove()
    (kept,) = {name.partition("/")[0] for name in there.list()}
    written = Examples(tmp_path / "spread" / "examples").manifest
    assert written is not None
    assert written.shards_uri == f"{there}/{kept}"
