"""Examples that are written by pieces: any cut, any writer, here or in a store."""

import errno
import pickle
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts import example_pieces, lineage, manifest
from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    ExamplesWriter,
    PieceWriter,
    ShardDestination,
    gather,
    record,
)
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece, numbered
from kfp_tabular.components.common.storage import Folder, is_remote
from tests.servers.stores import gcs, s3  # noqa: F401 - fixtures

SCHEMA = pa.schema([("a", pa.int64()), ("tags", pa.list_(pa.field("tag", pa.string())))])


def rows(start, stop):
    numbers = range(start, stop)
    return pa.record_batch([list(numbers), [[str(n)] * (n % 3) for n in numbers]], schema=SCHEMA)


def cut(*ends):
    """Return pieces of rows, each from the end of the last."""
    starts = (0, *ends)
    return numbered(
        Piece("rows", "bytes", start, stop) for start, stop in zip(starts, ends, strict=False)
    )


def written(destination, piece):
    """Every third row is for evaluation."""
    with PieceWriter(destination, piece.number, SCHEMA, rows_per_shard=40) as writer:
        for start in range(piece.start, piece.stop, 16):
            batch = rows(start, min(start + 16, piece.stop))
            of_eval = pa.array([n % 3 == 0 for n in batch["a"].to_pylist()])
            writer.write("eval", batch.filter(of_eval))
            writer.write("train", batch.filter(pa.compute.invert(of_eval)))
    return writer.shards


def made(directory, destination, pieces, splits=("train", "eval", "test")):
    results = LocalEngine(2).map(pieces, lambda piece: written(destination, piece))
    gathered = gather(destination, SCHEMA, splits, (shards for _, shards in results))
    record(
        directory,
        gathered.schema,
        gathered.shards,
        inputs={},
        shards_uri=destination.shards_uri,
    )
    return Examples(directory)


def values(examples, split):
    return [n for batch in examples.batches(split) for n in batch["a"].to_pylist()]


@pytest.fixture(params=["own", "file", "gs", "s3", "minio"])
def destination(request, tmp_path):
    if request.param == "own":
        return ShardDestination.of(tmp_path)
    if request.param == "file":
        return ShardDestination.attempt_below(str(tmp_path / "elsewhere"))
    store = request.getfixturevalue("gcs" if request.param == "gs" else "s3")
    root = f"{store.replace('s3', request.param)}/{request.node.name.partition('[')[0]}"
    return ShardDestination.attempt_below(root)


def names(destination):
    if is_remote(destination.root):
        return sorted(Folder(destination.root).list())
    root = Path(destination.root)
    return sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())


def test_what_pieces_write_is_read_in_their_order(destination, tmp_path):
    examples = made(tmp_path, destination, cut(20, 20, 150, 200))
    assert examples.rows() == {"eval": 67, "test": 0, "train": 133}
    assert values(examples, "train") == [n for n in range(200) if n % 3]
    assert values(examples, "eval") == list(range(0, 200, 3))
    assert values(examples, "test") == []
    assert [shard.path for shard in examples.manifest.splits["train"]] == [
        "split=train/part-00000.parquet",
        "split=train/part-00002.parquet",
        "split=train/part-00002_001.parquet",
        "split=train/part-00002_002.parquet",
        "split=train/part-00003.parquet",
    ]
    # What the manifest records is what readers see.
    with examples.shards["train"][0].open() as parquet:
        assert parquet.schema_arrow.remove_metadata().equals(examples.schema)
    pieces = example_pieces.pieces(examples, "train", rows=1)
    assert [piece.number for piece in pieces] == list(range(len(pieces)))


def test_where_the_shards_are_does_not_matter(destination, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    expected = made(here, ShardDestination.of(here), cut(90, 200))
    there = tmp_path if destination.root == str(tmp_path) else tmp_path / "there"
    there.mkdir(exist_ok=True)
    found = made(there, destination, cut(90, 200))
    assert lineage.read(found.path) == lineage.read(expected.path)
    assert list(found.batches("train")) == list(expected.batches("train"))


def test_a_piece_that_is_written_again_is_there_once(destination):
    (piece,) = cut(100)
    first = written(destination, piece)
    before = names(destination)
    assert pickle.loads(pickle.dumps(written)) is written
    assert written(pickle.loads(pickle.dumps(destination)), piece) == first
    assert (
        names(destination)
        == before
        == sorted(shard.path for shards in first.values() for shard in shards)
    )


def test_a_block_that_fails_leaves_no_shard(destination):
    with (
        pytest.raises(RuntimeError, match="on purpose"),
        PieceWriter(destination, 0, SCHEMA) as writer,
    ):
        writer.write("train", rows(0, 10))
        raise RuntimeError("on purpose")
    assert names(destination) == []
    assert writer.shards == {}


def test_what_an_attempt_wrote_elsewhere_is_removed_if_it_fails(destination):
    with pytest.raises(RuntimeError, match="on purpose"), destination.removed_on_failure():
        written(destination, *cut(100))
        raise RuntimeError("on purpose")
    # The directory of an artifact belongs to who made it.
    assert bool(names(destination)) == (not destination.shards_uri)
    destination.remove()
    assert names(destination) == []


def test_attempts_do_not_meet(tmp_path):
    first, second = (ShardDestination.attempt_below(str(tmp_path)) for _ in range(2))
    assert first.root != second.root
    written(first, *cut(10))
    written(second, *cut(20))
    first.remove()
    assert len(names(second)) == 2


def test_a_writer_that_is_killed_leaves_nothing_that_a_reader_takes(tmp_path):
    program = f"""
        import os, signal
        import pyarrow as pa
        from kfp_tabular.components.common.artifacts.examples import PieceWriter, ShardDestination

        table = pa.table({{"a": list(range(10_000))}})
        destination = ShardDestination.of({str(tmp_path)!r})
        with PieceWriter(destination, 0, table.schema) as writer:
            writer.write("train", table)
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not list(tmp_path.rglob("*.parquet"))
    assert all(file.name.startswith(".") for file in tmp_path.iterdir())


@settings(max_examples=25, deadline=None)
@given(ends=st.lists(st.integers(0, 120), max_size=6))
def test_any_cut_gives_the_same_rows(tmp_path_factory, ends):
    path = tmp_path_factory.mktemp("examples")
    examples = made(path, ShardDestination.of(path), cut(*sorted(ends), 120))
    assert values(examples, "train") == [n for n in range(120) if n % 3]
    assert values(examples, "eval") == list(range(0, 120, 3))


class Full(ShardDestination):
    """A disk without room."""

    @contextmanager
    def file(self):
        yield Path("/dev/full")


def test_a_full_disk_is_the_error_that_is_reported(tmp_path, monkeypatch):
    with pytest.raises(OSError) as error, PieceWriter(Full(""), 0, SCHEMA) as writer:
        writer.write("train", rows(0, 50_000))
        writer.write("eval", rows(0, 9))
    assert error.value.errno == errno.ENOSPC
    monkeypatch.setattr(manifest, "shard_path", lambda *_: "full/part")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "part").symlink_to("/dev/full")
    with pytest.raises(OSError) as error, ExamplesWriter(tmp_path, SCHEMA, ["train"]) as writer:
        writer.write("train", rows(0, 50_000))
    assert error.value.errno == errno.ENOSPC
