"""Files in a store that are read by ranges: the examples that local files give."""

import bz2
import gzip
import os
import struct
from collections import namedtuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common import storage
from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import StoredFile
from kfp_tabular.components.data_ingestion import ingest, input_choice
from kfp_tabular.components.data_ingestion.options import IngestionOptions
from kfp_tabular.components.data_ingestion.readers import csv_source, source_pieces
from kfp_tabular.components.data_ingestion.readers.csv_sniffing import file_scan
from kfp_tabular.components.data_ingestion.readers.tfrecord_source import masked_crc
from tests.servers.stores import gcs, s3  # noqa: F401 - fixtures

ROWS = 3_000
Usage = namedtuple("Usage", "free")


@pytest.fixture(params=["gcs", "s3"])
def bucket(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Cut small data into several pieces, and leave no room for a copy."""
    monkeypatch.setattr(csv_source, "BLOCK_BYTES", 10_000)
    monkeypatch.setattr(csv_source, "_BYTES_PER_COLUMN", 0)
    monkeypatch.setattr(source_pieces, "_SMALLEST", 40_000)
    monkeypatch.setattr(file_scan, "RANGE_BYTES", 50_000)
    monkeypatch.setattr(input_choice.shutil, "disk_usage", lambda _: Usage(0))


def table():
    random = np.random.default_rng(2)
    return pa.table(
        {
            "id": np.arange(ROWS),
            "amount": random.normal(size=ROWS),
            "note": [f"line {at % 7}\r\nétage {at}" for at in range(ROWS)],
            "label": random.integers(0, 2, ROWS),
        }
    )


def csv(encoding="utf-8"):
    rows = [
        f'{at},"{note}",{amount!r},{label}'
        for at, amount, note, label in zip(
            *(table()[name].to_pylist() for name in ("id", "amount", "note", "label")), strict=True
        )
    ]
    return "\r\n".join(["id,note,amount,label", *rows, '1,"too few"', ""]).encode(encoding)


def parquet():
    stream = pa.BufferOutputStream()
    pq.write_table(table(), stream, row_group_size=400)
    return stream.getvalue().to_pybytes()


def tfrecord():
    import tensorflow as tf

    records = []
    for row in table().to_pylist():
        features = {
            "amount": tf.train.Feature(float_list=tf.train.FloatList(value=[row["amount"]])),
            "note": tf.train.Feature(bytes_list=tf.train.BytesList(value=[row["note"].encode()])),
            "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[row["label"]])),
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        data = example.SerializeToString()
        length = struct.pack("<Q", len(data))
        records += [
            length,
            struct.pack("<I", masked_crc(length)),
            data,
            struct.pack("<I", masked_crc(data)),
        ]
    return b"".join(records)


MADE = {
    "a.csv": csv,
    "latin.csv": lambda: csv("latin-1"),
    "wide.csv": lambda: csv("utf-16"),
    "a.csv.gz": lambda: gzip.compress(csv()),
    "a.csv.bz2": lambda: bz2.compress(csv()),
    "a.parquet": parquet,
    "a.tfrecord": tfrecord,
}


def outputs(uri, folder, **given):
    request = ingest.IngestionRequest(
        IngestionOptions(str(uri), label="label", **given),
        folder / "examples",
        folder / "rejected",
        folder / "summary.md",
    )
    result = ingest.run(request)
    examples = Examples(folder / "examples")
    found = {
        split: [batch.to_pylist() for batch in examples.batches(split)] for split in examples.splits
    }
    rejected = pq.read_table(folder / "rejected" / "part-00000.parquet")
    found["rejected"] = rejected.drop_columns("file").to_pylist()
    found["columns"] = (folder / "examples" / "_columns.json").read_text()
    return found, result.examples_lineage["sources"]


@pytest.mark.parametrize("name", MADE)
def test_equal_to_local_files(bucket, tmp_path, monkeypatch, name):
    (tmp_path / "data").mkdir()
    for number in range(2):
        (tmp_path / "data" / f"{number}-{name}").write_bytes(MADE[name]())
    uri = f"{bucket}/{tmp_path.name}/data"
    storage.upload(tmp_path / "data", uri)
    expected, _ = outputs(tmp_path / "data", tmp_path / "local")
    monkeypatch.setattr(storage, "local_files", None)

    found, sources = outputs(uri, tmp_path / "remote")

    assert found == expected
    assert [source["uri"] for source in sources] == [f"{uri}/{n}-{name}" for n in range(2)]
    assert all(source["digest"].startswith(("md5:", "etag:")) for source in sources)


def test_a_copy_and_a_stream_have_the_same_lineage(s3, tmp_path, monkeypatch):  # noqa: F811
    (tmp_path / "a.csv").write_bytes(csv())
    uri = f"{s3}/{tmp_path.name}/a.csv"
    storage.upload(tmp_path / "a.csv", uri)
    streamed = outputs(uri, tmp_path / "streamed")
    monkeypatch.setattr(input_choice.shutil, "disk_usage", lambda _: Usage(1 << 40))
    copies = []
    local_files = storage.local_files

    def recorded(given):
        copies.append(given)
        return local_files(given)

    monkeypatch.setattr(storage, "local_files", recorded)
    assert outputs(uri, tmp_path / "copied") == streamed
    assert copies == [uri]


def test_of_parquet_only_kept_columns_are_fetched(s3, tmp_path, monkeypatch):  # noqa: F811
    wide = table().append_column("blob", pa.array([os.urandom(3_000) for _ in range(ROWS)]))
    pq.write_table(wide, tmp_path / "a.parquet", row_group_size=400)
    uri = f"{s3}/{tmp_path.name}/a.parquet"
    storage.upload(tmp_path / "a.parquet", uri)
    fetched = []
    read = StoredFile.read

    def recorded(self, start, end):
        fetched.append(end - start)
        return read(self, start, end)

    monkeypatch.setattr(StoredFile, "read", recorded)
    outputs(uri, tmp_path / "out", exclude=["blob"])

    assert sum(fetched) < 0.5 * (tmp_path / "a.parquet").stat().st_size


@pytest.mark.parametrize("name", ["a.parquet", "a.csv.gz", "a.tfrecord"])
def test_a_file_that_is_cut_short_is_one_line(s3, tmp_path, name):  # noqa: F811
    content = MADE[name]()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    uri = f"{s3}/{tmp_path.name}/{name}"
    storage.upload(tmp_path / name, uri)
    with pytest.raises(UserError, match=f"^{uri}: ") as error:
        outputs(uri, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "examples").exists()
