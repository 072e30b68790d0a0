"""The same expectations of every object store, against a real server each."""

import hashlib
import os
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import (
    Folder,
    local_copy,
    local_files,
    object_store,
    upload,
)
from kfp_tabular.components.common.storage.object_store import Part


@pytest.fixture(params=["gs", "s3", "minio"])
def bucket(request):
    root = request.getfixturevalue("gcs" if request.param == "gs" else "s3")
    return root.replace("s3://", "minio://") if request.param == "minio" else root


@pytest.fixture
def stored(bucket, tmp_path, request):
    """Write a tree into the bucket and return its URI."""
    folder = tmp_path / "tree"
    for name in ("a.csv", "sub/b.csv", "sub/c d ü.csv", "_lineage.json", "a.csv.bak"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    uri = f"{bucket}/{request.node.name.partition('[')[0]}/tree"
    upload(folder, uri)
    return uri


def contents(uri):
    with local_files(uri) as found:
        return {file.uri: file.path.read_text() for file in found}


def test_a_file(stored):
    with local_copy(f"{stored}/a.csv") as path:
        assert path.name == "a.csv"
        assert path.read_text() == "a.csv"
    assert not path.exists()
    assert contents(f"{stored}/a.csv") == {f"{stored}/a.csv": "a.csv"}


def test_a_directory_is_copied_whole(stored):
    for uri in (stored, f"{stored}/"):
        with local_copy(uri) as path:
            found = {str(file.relative_to(path)): file.read_text() for file in path.rglob("*.*")}
        assert found == {
            name: name
            for name in ("a.csv", "sub/b.csv", "sub/c d ü.csv", "_lineage.json", "a.csv.bak")
        }


def test_a_directory_of_data_leaves_bookkeeping_out(stored):
    assert contents(stored) == {
        f"{stored}/{name}": name for name in ("a.csv", "a.csv.bak", "sub/b.csv", "sub/c d ü.csv")
    }


def test_a_glob(stored):
    assert set(contents(f"{stored}/*.csv")) == {f"{stored}/a.csv"}
    assert set(contents(f"{stored}/*")) == {f"{stored}/a.csv", f"{stored}/a.csv.bak"}
    assert set(contents(f"{stored}/_*")) == {f"{stored}/_lineage.json"}
    assert set(contents(f"{stored}/**/*.csv")) == {
        f"{stored}/{name}" for name in ("a.csv", "sub/b.csv", "sub/c d ü.csv")
    }


@pytest.mark.parametrize("name", ["nope.csv", "a.cs", "*.parquet", "su"])
def test_what_is_not_there_is_named(stored, name):
    for read in (local_files, local_copy):
        with pytest.raises(UserError, match="not found") as failure, read(f"{stored}/{name}"):
            pass
        assert stored in str(failure.value)


def test_a_bucket_that_is_not_there_is_named(bucket):
    elsewhere = bucket.replace("test-bucket", "no-such-bucket")
    with pytest.raises(UserError, match=elsewhere), local_copy(f"{elsewhere}/a.csv"):
        pass
    with pytest.raises(UserError, match=elsewhere):
        upload(Path(__file__), f"{elsewhere}/a.csv")


def test_a_large_object_comes_in_ranges(bucket, tmp_path, monkeypatch):
    for module in ("gcs", "s3"):
        monkeypatch.setattr(
            f"kfp_tabular.components.common.storage.{module}.CHUNK_BYTES", 256 << 10
        )
    content = os.urandom((2 << 20) + 17)
    (tmp_path / "large").write_bytes(content)
    upload(tmp_path / "large", f"{bucket}/large/object")
    with local_copy(f"{bucket}/large/object") as path:
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest()
    assert object_store.CHUNK_BYTES >= 8 << 20


def test_an_empty_object(bucket, tmp_path):
    (tmp_path / "empty").touch()
    upload(tmp_path / "empty", f"{bucket}/empty/object")
    with local_copy(f"{bucket}/empty/object") as path:
        assert path.read_bytes() == b""


def test_a_folder(bucket, tmp_path):
    root = f"{bucket}/folder-{bucket.partition(':')[0]}"
    folder = Folder(f"{root}/deep")
    assert folder.list() == {}
    assert folder.read_text("nothing.txt") is None
    (tmp_path / "a").write_text("content")
    folder.upload({"sub/a b.txt": tmp_path / "a", "c": tmp_path / "a"})
    folder.folder("sub").write_text("d.txt", "ü")
    Folder(root).write_text("deeper/e", "a name that starts alike")
    found = folder.list()
    assert sorted(found) == ["c", "sub/a b.txt", "sub/d.txt"]
    assert found["c"].size == len("content")
    assert folder.read_text("sub/d.txt") == "ü"
    folder.download(found, tmp_path / "into")
    assert (tmp_path / "into" / "sub" / "a b.txt").read_text() == "content"
    folder.remove(["c", "sub/d.txt", "not there"])
    assert sorted(folder.list()) == ["sub/a b.txt"]


def test_uploads_that_were_not_completed(bucket):
    folder = Folder(f"{bucket}/unfinished-{bucket.partition(':')[0]}")
    folder.write_text("whole", "x")
    assert folder.unfinished_uploads() == {}
    if bucket.startswith("gs"):
        return
    client = folder._store._client
    for name in ("a/part", "b"):
        client.create_multipart_upload(Bucket="test-bucket", Key=folder._key(name))
    found = folder.unfinished_uploads()
    assert sorted(found) == ["a/part", "b"]
    assert sorted(folder.folder("a").unfinished_uploads()) == ["part"]
    folder.abort({"b": found["b"]})
    folder.abort({"b": found["b"]})
    assert sorted(folder.unfinished_uploads()) == ["a/part"]
    folder.abort(folder.unfinished_uploads())
    assert folder.unfinished_uploads() == {}
    assert folder.read_text("whole") == "x"


def test_parts_go_to_their_places(bucket, tmp_path, monkeypatch):
    for module in ("gcs", "s3"):
        monkeypatch.setattr(f"kfp_tabular.components.common.storage.{module}.CHUNK_BYTES", 1000)
    content = os.urandom(10_000)
    (tmp_path / "object").write_bytes(content)
    folder = Folder(f"{bucket}/parts")
    folder.upload({"object": tmp_path / "object"})
    found = folder.list()
    folder.make_room(found, tmp_path / "into")
    path = tmp_path / "into" / "object"
    spans = [(0, 1), (1500, 4600), (9_999, 10_000)]
    folder.download_parts([Part(found["object"], path, *span) for span in spans])
    expected = bytearray(10_000)
    for start, end in spans:
        expected[start:end] = content[start:end]
    assert path.read_bytes() == expected


def test_an_object_that_changes_is_not_mixed(s3, tmp_path):
    folder = Folder(f"{s3}/changing")
    folder.write_text("object", "first")
    before = folder.list()
    folder.write_text("object", "other")
    with pytest.raises(OSError, match="changing/object: the object changed while it was read"):
        folder.download(before, tmp_path)


def test_an_object_that_goes_while_it_is_read_is_not_there(bucket, monkeypatch):
    folder = Folder(f"{bucket}/going")
    folder.write_text("a", "text")
    fetch = folder._store.download

    def too_late(wanted):
        folder.remove(["a"])
        fetch(wanted)

    monkeypatch.setattr(folder._store, "download", too_late)
    assert folder.read_text("a") is None


def test_a_local_path_is_not_a_folder_of_a_store():
    with pytest.raises(ValueError, match="not in an object store"):
        Folder("/data")
    with pytest.raises(UserError, match="Did you mean 'gs'"):
        Folder("gcs://bucket/data")
