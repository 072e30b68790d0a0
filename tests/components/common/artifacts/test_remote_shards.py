"""Shards below another URI, in every kind of store, are read as those in the artifact."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common.artifacts import example_pieces, lineage, manifest
from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    ExamplesWriter,
    record,
    shard_file,
    share_batches,
    worker_share,
)
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, upload
from tests.servers.stores import gcs, s3  # noqa: F401 - fixtures

ROWS = 30_000
TABLE = pa.table(
    {
        "a": np.arange(ROWS),
        "x": np.random.default_rng(0).normal(size=ROWS),
        "y": np.random.default_rng(1).normal(size=ROWS),
        "text": [f"ü {n}" for n in range(ROWS)],
        "tags": [[str(n)] * (n % 3) for n in range(ROWS)],
    }
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Examples of three shards with several row groups each."""
    path = tmp_path_factory.mktemp("whole") / "examples"
    path.mkdir()
    with ExamplesWriter(path, TABLE.schema, ["train", "eval"], 10_000, attempt="5f0c") as writer:
        for start in range(0, ROWS, 2_500):
            writer.write("train", TABLE.slice(start, 2_500))
        writer.write("eval", TABLE.slice(0, 10))
    record(path, writer.schema, writer.shards, inputs={})
    return Examples(path)


@pytest.fixture(params=["file", "gs", "s3", "minio"])
def elsewhere(request, whole, tmp_path, monkeypatch):
    """The artifact as its manifest alone; the shards are below another URI."""
    if request.param == "file":
        root = str(tmp_path / "elsewhere")
    else:
        store = request.getfixturevalue("gcs" if request.param == "gs" else "s3")
        root = f"{store.replace('s3', request.param)}/{request.node.name.partition('[')[0]}/shards"
    upload(whole.path, root)
    there = tmp_path / "artifact"
    there.mkdir()
    manifest.write(dataclasses.replace(whole.manifest, shards_uri=root), there)
    # Small shards would be fetched whole.
    monkeypatch.setattr(shard_file, "_WHOLE_BYTES", 1000)
    monkeypatch.setattr(shard_file, "_WINDOW_BYTES", 60_000)
    return Examples(there)


@pytest.mark.parametrize("columns", [None, ["a"], ["tags", "x"]], ids=str)
def test_all_rows_are_read_in_order(elsewhere, whole, columns):
    assert (elsewhere.rows(), elsewhere.schema) == (whole.rows(), whole.schema)
    assert lineage.read(elsewhere.path) == lineage.read(whole.path)
    for size in (999, 65_536):
        found = list(elsewhere.batches("train", columns, size))
        assert found == list(whole.batches("train", columns, size))
    assert [file.name for file in elsewhere.path.iterdir()] == ["_manifest.json"]


def test_workers_read_their_shares(elsewhere):
    read = []
    for worker in range(3):
        share = worker_share(elsewhere.require("train"), worker, 3)
        read += [batch for _, batch in share_batches(share, ["a"], 1000)]
    assert pa.Table.from_batches(read)["a"].to_pylist() == list(range(ROWS))


def test_a_reader_that_stops_early_stops_fetching(elsewhere):
    batches = elsewhere.batches("train", ["x"], 100)
    assert next(batches).num_rows == 100
    batches.close()


def test_only_the_columns_that_are_read_are_fetched_once(elsewhere, monkeypatch):
    fetched, read = [], Folder.read

    def counted(self, stored, start, end):
        fetched.append((stored.key, start, end))
        return read(self, stored, start, end)

    monkeypatch.setattr(Folder, "read", counted)
    list(elsewhere.batches("train", ["x"]))
    if elsewhere.require("train")[0].folder is None:
        assert not fetched
        return
    assert len(set(fetched)) == len(fetched)
    size = sum(shard.bytes for shard in elsewhere.require("train"))
    numbers = ROWS * 8
    ends = 3 * 65_536
    assert numbers * 0.9 < sum(end - start for _, start, end in fetched) < numbers + ends < size


@pytest.mark.parametrize("change", ["missing", "shorter", "damaged", "page"])
def test_a_shard_that_is_not_the_one_recorded_is_named(elsewhere, whole, change, tmp_path):
    shard = elsewhere.require("train")[1]
    other = tmp_path / "other"
    other.write_bytes(bytes(shard.bytes - (change == "shorter")))
    if change == "page":
        content = bytearray(
            (whole.path / "split=train" / shard.uri.rpartition("/")[2]).read_bytes()
        )
        footer = pq.read_metadata(pa.BufferReader(content)).row_group(3)
        content[footer.column(1).data_page_offset + 100] ^= 1
        other.write_bytes(content)
    if change != "missing":
        upload(other, shard.uri)
    elif shard.folder is not None:
        shard.folder.remove([shard.uri.removeprefix(f"{shard.folder}/")])
    else:
        (tmp_path / "elsewhere" / "split=train" / shard.uri.rpartition("/")[2]).unlink()
    words = {
        "missing": "not found, but the manifest names it",
        "shorter": rf"it has {shard.bytes - 1} bytes, its manifest records {shard.bytes}",
        "damaged": "not a Parquet file",
        "page": "row group 3 is damaged: .* Copy the artifact again",
    }[change]
    with pytest.raises(UserError, match=f"^{shard.uri}: {words}") as failure:
        list(Examples(elsewhere.path).batches("train"))
    assert "\n" not in str(failure.value)


def test_a_shard_of_another_artifact_is_named(elsewhere, whole):
    """A piece is opened without its manifest: what it says about the rows went along."""
    shard = elsewhere.require("train")[1]
    pieces = example_pieces.pieces(elsewhere, "train", rows=ROWS)
    upload(Path(whole.require("eval")[0].uri), shard.uri)
    read = example_pieces.reader(elsewhere, ["a"])
    message = f"^{shard.uri}: it has 1 row groups, its manifest records more. Copy"
    with pytest.raises(UserError, match=message):
        [*read(pieces[0]), *read(pieces[1])]
    one = dataclasses.replace(pieces[1], stop=1, rows=2_500)
    message = f"^{shard.uri}: row groups 0 to 0 have 10 rows, its manifest records 2500. Copy"
    with pytest.raises(UserError, match=message):
        list(read(one))
