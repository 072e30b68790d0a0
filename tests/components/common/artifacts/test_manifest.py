"""Manifests: what they record, and what is refused."""

import dataclasses
import json
import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts import lineage, manifest
from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    ExamplesWriter,
    arrow_schema,
    record,
    share_batches,
    worker_share,
)
from kfp_tabular.components.common.artifacts.manifest import Column, Manifest, Shard
from kfp_tabular.components.common.errors import UserError

TABLE = pa.table(
    {
        "a": range(50),
        "text": [None if n % 7 == 0 else f"ü {n}" for n in range(50)],
        "tags": [["x"] * (n % 3) for n in range(50)],
    }
)


def write(path, *, attempt="", rows_per_shard=20, **extra):
    """Write 50 rows to train and 10 to eval, in groups of 10."""
    path.mkdir(parents=True, exist_ok=True)
    with ExamplesWriter(
        path, TABLE.schema, ["train", "eval"], rows_per_shard, attempt=attempt
    ) as writer:
        for start in range(0, 50, 10):
            writer.write("train", TABLE.slice(start, 10))
        writer.write("eval", TABLE.slice(0, 10))
    record(path, writer.schema, writer.shards, inputs={}, extra=extra)
    return Examples(path)


@pytest.fixture
def examples(tmp_path):
    return write(tmp_path / "examples", label="a")


def values(examples, split="train"):
    return [value for batch in examples.batches(split, ["a"]) for value in batch["a"].to_pylist()]


def test_it_records_the_shards_the_schema_and_the_lineage(examples):
    found = json.loads((examples.path / "_manifest.json").read_text())
    read = pq.read_schema(examples.require("train")[0].uri)
    assert found["schema"] == [
        {"name": "a", "type": "int64"},
        {"name": "text", "type": "string"},
        {"name": "tags", "type": str(read.field("tags").type)},
    ]
    assert [shard["rows"] for shard in found["splits"]["train"]] == [20, 20, 10]
    first = found["splits"]["train"][0]
    file = examples.path / first["path"]
    assert (first["bytes"], first["digest"]) == (file.stat().st_size, lineage.digest_file(file))
    assert first["row_groups"] == [10, 10]
    assert lineage.read(examples.path)["rows"] == {"train": 50, "eval": 10}
    assert lineage.read(examples.path)["label"] == "a"
    assert found["digest"] == lineage.read(examples.path)["digest"]
    # One place: nothing repeats the digest.
    assert not (examples.path / "_lineage.json").exists()
    assert "digest" not in found["lineage"] and "rows" not in found["lineage"]


def test_readers_take_the_shards_it_names(examples):
    assert examples.rows() == {"eval": 10, "train": 50}
    assert examples.schema.equals(TABLE.schema)
    assert values(examples) == list(range(50))
    # What a killed attempt left behind does not count.
    left = examples.path / "split=train" / "part-00000-5f0c.parquet"
    shutil.copy(examples.path / "split=train" / "part-00000.parquet", left)
    (examples.path / "split=other").mkdir()
    shutil.copy(left, examples.path / "split=other" / "part-00000.parquet")
    again = Examples(examples.path)
    assert (again.splits, values(again)) == (["eval", "train"], list(range(50)))


def test_no_footer_is_read_to_share_out_the_rows(examples, monkeypatch):
    monkeypatch.setattr(pq, "read_metadata", None)
    monkeypatch.setattr(pq, "ParquetFile", None)
    share = worker_share(examples.require("train"), worker=1, workers=3)
    assert [(row_range.group, row_range.start, row_range.rows) for row_range in share] == [
        (1, 6, 4),
        (0, 0, 10),
        (1, 0, 3),
    ]


def test_other_readers_see_a_hive_partitioned_dataset(examples):
    dataset = pyarrow.dataset.dataset(examples.path, partitioning="hive", format="parquet")
    table = dataset.to_table(filter=pyarrow.dataset.field("split") == "train")
    assert sorted(table["a"].to_pylist()) == list(range(50))
    assert pq.read_table(examples.path).num_rows == 60


def test_older_artifacts_are_read_without_one(examples, tmp_path):
    """As releases before the manifest wrote them: the shards and `_lineage.json`."""
    old = tmp_path / "old"
    shutil.copytree(examples.path, old)
    (old / "_manifest.json").unlink()
    made = lineage.record(old, inputs={}, rows={"train": 50, "eval": 10})
    found = Examples(old)
    assert found.manifest is None
    assert found.rows() == examples.rows()
    assert found.schema.equals(examples.schema)
    assert values(found) == values(examples)
    assert lineage.read(old) == made
    share = worker_share(found.require("train"))
    assert sum(batch.num_rows for _, batch in share_batches(share, ["a"], 7)) == 50
    # A later artifact that was made from it refers to its digest.
    later = tmp_path / "later"
    later.mkdir()
    assert record(later, TABLE.schema, {"train": []}, inputs={"examples": old})["inputs"] == {
        "examples": made["digest"]
    }


def test_the_digest_depends_on_neither_names_nor_places(examples, tmp_path):
    digest = lineage.read(examples.path)["digest"]
    assert lineage.read(write(tmp_path / "b", attempt="5f0c").path)["digest"] == digest
    elsewhere = tmp_path / "elsewhere"
    shutil.move(examples.path, elsewhere)
    empty = tmp_path / "moved"
    empty.mkdir()
    found = dataclasses.replace(manifest.read(elsewhere), shards_uri=str(elsewhere))
    manifest.write(found, empty)
    moved = Examples(empty)
    assert lineage.read(empty)["digest"] == digest
    assert values(moved) == list(range(50))
    assert lineage.read(write(tmp_path / "c", rows_per_shard=30).path)["digest"] != digest


def test_attempts_do_not_overwrite_each_others_shards(tmp_path):
    first = write(tmp_path, attempt="aa")
    names = {file.name for file in (tmp_path / "split=train").iterdir()}
    second = write(tmp_path, attempt="bb")
    assert names < {file.name for file in (tmp_path / "split=train").iterdir()}
    assert values(first) == values(second) == list(range(50))
    assert all("-bb." in shard.uri for shard in Examples(tmp_path).require("train"))


def test_a_writer_that_failed_leaves_no_manifest(tmp_path):
    with pytest.raises(RuntimeError), ExamplesWriter(tmp_path, TABLE.schema, ["train"]) as writer:
        writer.write("train", TABLE)
        raise RuntimeError
    assert not writer.shards
    assert manifest.read(tmp_path) is None


def test_shards_can_be_sent_to_other_processes(examples):
    share = worker_share(examples.require("train"))
    assert pickle.loads(pickle.dumps(share)) == share


@pytest.mark.parametrize("change", ["missing", "shorter", "other rows", "not Parquet"])
def test_a_shard_that_is_not_the_one_recorded_is_named(examples, change):
    file = examples.path / "split=train" / "part-00001.parquet"
    if change == "missing":
        file.unlink()
    elif change == "shorter":
        file.write_bytes(file.read_bytes()[:-1])
    elif change == "not Parquet":
        file.write_bytes(bytes(file.stat().st_size))
    else:
        found = manifest.read(examples.path)
        shards = list(found.splits["train"])
        shards[1] = dataclasses.replace(shards[1], rows=19, row_groups=(10, 9))
        changed = {**found.splits, "train": tuple(shards)}
        manifest.write(dataclasses.replace(found, splits=changed), examples.path)
    words = {
        "missing": "not found, but the manifest names it",
        "shorter": r"it has \d+ bytes, its manifest records \d+: the file is incomplete",
        "other rows": "it has 20 rows in 2 row groups, its manifest records 19 in 2",
        "not Parquet": "not a Parquet file",
    }[change]
    with pytest.raises(UserError, match=f"^{file}: {words}") as failure:
        values(Examples(examples.path))
    assert "\n" not in str(failure.value)


def changed(document, path, value):
    *parents, last = path
    at = document
    for step in parents:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return json.dumps(document)


SHARD = ("splits", "train", 0)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("version",), 2, "version 2 of the manifest; this release reads version 1"),
        (("version",), "1", "it has no version"),
        (("version",), ..., "it has no version"),
        (("version",), True, "it has no version"),
        (("splits",), [], "splits: not an object"),
        (("splits", "train"), {}, "splits.train: not a list"),
        (("splits", "../up"), [], "split '../up'"),
        (("splits", ""), [], "split ''"),
        (SHARD, [], "splits.train[0]: not an object"),
        ((*SHARD, "path"), "../../etc/passwd", "not split=train/<name>.parquet"),
        ((*SHARD, "path"), "/etc/part.parquet", "not split=train/<name>.parquet"),
        ((*SHARD, "path"), "split=train/../../x.parquet", "not split=train/<name>.parquet"),
        ((*SHARD, "path"), "split=train/..\\x.parquet", "not split=train/<name>.parquet"),
        ((*SHARD, "path"), "split=train/..parquet", "not split=train/<name>.parquet"),
        ((*SHARD, "path"), "split=train/a\0.parquet", "not split=train/<name>.parquet"),
        ((*SHARD, "path"), "split=eval/part-00000.parquet", "not split=train/<name>.parquet"),
        ((*SHARD, "path"), "split=train/part-00001.parquet", "a shard is named twice"),
        ((*SHARD, "path"), 7, "not split=train/<name>.parquet"),
        ((*SHARD, "rows"), -1, "rows: not a count"),
        ((*SHARD, "rows"), 1.0, "rows: not a count"),
        ((*SHARD, "rows"), True, "rows: not a count"),
        ((*SHARD, "rows"), 10**30, "rows: not a count"),
        ((*SHARD, "rows"), 21, "row_groups do not add up to rows"),
        ((*SHARD, "row_groups"), 20, "row_groups: not a list"),
        ((*SHARD, "digest"), "sha256:00", "digest: not a SHA-256"),
        ((*SHARD, "digest"), "sha256:" + "0" * 64, "the digest is not that of its shards"),
        ((*SHARD, "bytes"), ..., "unknown or missing fields"),
        ((*SHARD, "more"), 1, "unknown or missing fields"),
        (("schema",), {}, "schema: not a list"),
        (("schema", 0), 1, "schema[0]: not an object"),
        (("schema", 0, "type"), 1, "schema[0].type: not text"),
        (("schema", 0, "nullable"), 1, "not true or false"),
        (("schema", 0, "name"), "text", "two columns have the same name"),
        (("lineage",), "made by hand", "lineage: not an object"),
        (("shards_uri",), "http://host/x", "http:// is not supported"),
        (("shards_uri",), "relative/path", "not an absolute path or a URI"),
        (("shards_uri",), 5, "shards_uri: not text"),
        (("extra",), 5, "unknown field"),
    ],
)
def test_what_is_not_a_manifest_is_refused_in_one_line(examples, path, value, words):
    file = examples.path / "_manifest.json"
    file.write_text(changed(json.loads(file.read_text()), path, value))
    with pytest.raises(UserError) as failure:
        _ = Examples(examples.path).shards
    message = str(failure.value)
    assert message.startswith(f"{file}: ") and words in message and "\n" not in message


def test_an_unknown_type_is_named(examples):
    file = examples.path / "_manifest.json"
    file.write_text(changed(json.loads(file.read_text()), ("schema", 0, "type"), "int65"))
    with pytest.raises(UserError, match=r"column 'a': unknown type 'int65'"):
        _ = Examples(examples.path).schema


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, b"{", b"null"])
def test_what_is_not_json_is_refused(examples, content):
    (examples.path / "_manifest.json").write_bytes(content)
    with pytest.raises(UserError, match="not a manifest"):
        lineage.read(examples.path)


def test_a_huge_file_is_refused_before_it_is_read(examples, monkeypatch):
    with (examples.path / "_manifest.json").open("ab") as stream:
        stream.truncate(manifest.LARGEST_BYTES + 1)
    monkeypatch.setattr(Path, "read_bytes", None)
    with pytest.raises(UserError, match="not a manifest: it has 16777217 bytes"):
        manifest.read(examples.path)


def test_too_many_shards_are_an_error_of_the_writer(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "LARGEST_BYTES", 1000)
    shards = [Shard(f"split=train/{n}.parquet", 1, 1, "sha256:" + "0" * 64, (1,)) for n in range(9)]
    with pytest.raises(UserError, match=r"of 9 shards and 1 columns is larger.*larger shards"):
        manifest.write(Manifest((Column("a", "int64"),), {"train": tuple(shards)}), tmp_path)


types = st.recursive(
    st.sampled_from(
        [
            *(pa.int8(), pa.int64(), pa.uint16(), pa.float16(), pa.float32(), pa.float64()),
            *(pa.string(), pa.large_string(), pa.bool_(), pa.date32(), pa.binary()),
            *(pa.timestamp("us"), pa.timestamp("ns", "Europe/Rome")),
        ]
    ),
    lambda inner: st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        st.tuples(inner, st.integers(1, 9)).map(lambda pair: pa.list_(*pair)),
        inner.map(lambda of: pa.list_(pa.field("element", of, nullable=False))),
    ),
    max_leaves=3,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1), st.tuples(types, st.booleans()), max_size=4))
def test_schemas_survive(columns):
    schema = pa.schema([pa.field(name, kind, null) for name, (kind, null) in columns.items()])
    assert arrow_schema.schema_of(arrow_schema.columns_of(schema), "here").equals(schema)


def test_a_type_that_cannot_be_recorded_is_refused():
    with pytest.raises((ValueError, UserError), match="struct"):
        arrow_schema.columns_of(pa.schema([("s", pa.struct([("x", pa.int64())]))]))


shards = st.builds(
    lambda groups, size, digest: (groups, size, f"sha256:{digest:064x}"),
    st.lists(st.integers(0, 10**12), max_size=3),
    st.integers(0, 10**15),
    st.integers(0, 2**256 - 1),
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="/\\", exclude_categories=("C",)), min_size=1),
        st.lists(shards, max_size=3),
        max_size=3,
    ),
    st.dictionaries(st.text(), st.text() | st.integers(), max_size=2),
)
def test_what_is_written_is_read(tmp_path_factory, splits, facts):
    made = Manifest(
        (Column("a", "int64", nullable=False), Column("ü", "string")),
        {
            split: tuple(
                Shard(manifest.shard_path(split, n, "x"), sum(groups), size, digest, tuple(groups))
                for n, (groups, size, digest) in enumerate(found)
            )
            for split, found in splits.items()
        },
        facts,
        "s3://bucket/folder",
    )
    folder = tmp_path_factory.mktemp("manifest")
    manifest.write(made, folder)
    assert manifest.read(folder) == made
