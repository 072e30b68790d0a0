"""`kfp-tabular prune`: shards that no reader takes."""

import dataclasses
import os
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    PieceWriter,
    ShardDestination,
    gather,
    record,
)
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, upload
from kfp_tabular.pipelines.artifacts import abandoned_shards
from kfp_tabular.pipelines.cli.command import cli
from tests.servers.stores import gcs, s3  # noqa: F401 - fixtures

TABLE = pa.table({"fare": [1.5, 2.5, None]})


def prune(*arguments):
    done = CliRunner().invoke(cli, ["prune", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def written(destination, number=0):
    with PieceWriter(destination, number, TABLE.schema) as writer:
        writer.write("train", TABLE)
    return writer.shards


def made(directory, destination):
    directory.mkdir(parents=True, exist_ok=True)
    gathered = gather(destination, TABLE.schema, ["train", "eval"], [written(destination)])
    record(
        directory, gathered.schema, gathered.shards, inputs={}, shards_uri=destination.shards_uri
    )
    return Examples(directory)


def files_below(path):
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())


def aged(path, days=8):
    then = time.time() - days * 86_400
    for entry in (path, *path.rglob("*")):
        os.utime(entry, (then, then))


def test_shards_that_the_manifest_does_not_name(tmp_path):
    path = tmp_path / "examples"
    examples = made(path, ShardDestination.of(path))
    kept = files_below(path)
    written(ShardDestination.of(path), number=7)
    (path / ".shard-0123456789ab.partial").write_bytes(bytes(100))
    (path / "note.txt").write_text("mine")
    assert "to remove; add --yes" in prune(path)
    assert len(files_below(path)) == len(kept) + 3
    assert "removed 0.0 MB" in prune(path, "--yes")
    assert files_below(path) == sorted([*kept, "note.txt"])
    assert examples.rows() == Examples(path).rows() == {"eval": 0, "train": 3}
    assert "nothing to remove" in prune(path, "--yes")


def test_what_a_killed_task_left_beside_its_output(tmp_path):
    path = tmp_path / "examples"
    made(path, ShardDestination.of(path))
    old, new, other = (
        tmp_path / name
        for name in (
            ".examples.partial-0123abcd",
            ".examples.partial-4567abcd",
            ".others.partial-0123abcd",
        )
    )
    for directory in (old, new, other):
        written(ShardDestination.of(directory))
    aged(old)
    aged(other)
    assert "../.examples.partial-0123abcd" in prune(path, "--yes")
    assert (old.exists(), new.exists(), other.exists()) == (False, True, True)


@pytest.fixture(params=["file", "gs", "minio"])
def root(request, tmp_path):
    if request.param == "file":
        return str(tmp_path / "shards")
    store = request.getfixturevalue("gcs" if request.param == "gs" else "s3")
    return f"{store.replace('s3', request.param)}/{request.node.name.partition('[')[0]}"


def renamed(destination, days):
    """Return an attempt as it would be if it had begun some days ago."""
    then = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - days * 86_400))
    parts = destination.root.rpartition("attempt-")
    root = f"{parts[0]}attempt-{then}-{parts[2].rpartition('-')[2]}"
    return ShardDestination(root, root)


def test_attempts_without_a_manifest(root, tmp_path):
    old = renamed(ShardDestination.attempt_below(root), 8)
    new = renamed(ShardDestination.attempt_below(root), 6)
    finished = renamed(ShardDestination.attempt_below(root), 9)
    written(old)
    written(new)
    upload(Path(__file__), f"{old.root}/_rejected/part-00000.parquet")
    if root.startswith("minio"):
        # What a process leaves that is killed while it uploads a large shard.
        folder = Folder(old.root)
        folder._store._client.create_multipart_upload(
            Bucket="test-bucket", Key=folder._key("split=train/part-00009.parquet")
        )
    made(tmp_path / "artifact", finished)
    upload(Path(__file__), f"{root}/mine.txt")

    listed = prune(root)
    assert [line.split()[0] for line in listed.splitlines()[:-1]] == [old.root.rpartition("/")[2]]
    prune(root, "--yes")
    assert "nothing to remove" in prune(root)
    if not root.startswith("/"):
        assert Folder(old.root).list() == Folder(old.root).unfinished_uploads() == {}
    assert new.root.rpartition("/")[2] in prune(root, "--older-than", "5")
    assert Examples(tmp_path / "artifact").rows() == {"eval": 0, "train": 3}
    assert f"kfp-tabular prune {root}" in prune(tmp_path / "artifact")


PREDICTED = (
    "split=predictions/part-00000.parquet",
    "_csv/part-00000.csv",
    "_pieces/part-00000.arrow",
    "_rejected/part-00000.parquet",
)


def test_predictions_that_were_given_up(root, tmp_path):
    """No attempt goes on with them for a week, which the time of the last file shows."""
    given_up, finished = (f"predictions-0123456789abcde{at}-{at}" for at in (1, 2))
    for name in PREDICTED:
        upload(Path(__file__), f"{root}/{given_up}/{name}")
        upload(Path(__file__), f"{root}/{finished}/{name}")
    upload(Path(__file__), f"{root}/{finished}/_manifest.json")
    upload(Path(__file__), f"{root}/{given_up}/mine.txt")
    upload(Path(__file__), f"{root}/predictions-mine/split=a/part-00000.parquet")
    assert "nothing to remove" in prune(root)
    listed = prune(root, "--older-than", "0")
    assert [line.split()[0] for line in listed.splitlines()[:-1]] == [given_up]
    prune(root, "--older-than", "0", "--yes")
    assert "nothing to remove" in prune(root, "--older-than", "0")
    if root.startswith("/"):
        assert files_below(Path(root, given_up)) == ["mine.txt"]
        assert len(files_below(Path(root, finished))) == len(PREDICTED) + 1
        # A resumed attempt has old files and a new one.
        for name in PREDICTED:
            upload(Path(__file__), f"{root}/{given_up}/{name}")
        aged(Path(root, given_up), days=8)
        (Path(root, given_up) / "_pieces" / "part-00001.arrow").write_bytes(b"")
        assert "nothing to remove" in prune(root)
        aged(Path(root, given_up), days=8)
        assert given_up in prune(root)


def test_an_upload_that_runs_keeps_predictions(s3, tmp_path, monkeypatch):  # noqa: F811
    root = f"{s3.replace('s3', 'minio')}/running"
    name = "predictions-0123456789abcdef-1"
    upload(Path(__file__), f"{root}/{name}/{PREDICTED[0]}")
    part = f"{name}/split=predictions/part-00001.parquet"
    folder = Folder(root)
    folder._store._client.create_multipart_upload(Bucket="test-bucket", Key=folder._key(part))
    (found,) = folder.unfinished_uploads().values()
    assert found.started is not None
    # The test's store says that all began in 2010.
    running = {part: dataclasses.replace(found, started=time.time())}
    monkeypatch.setattr(Folder, "unfinished_uploads", lambda _: running)
    old = dict.fromkeys(Folder(root).list(), time.time() - 8 * 86_400)
    files = abandoned_shards.ArtifactFiles.find(root)
    monkeypatch.setattr(
        abandoned_shards.ArtifactFiles, "find", lambda _: dataclasses.replace(files, modified=old)
    )
    assert not abandoned_shards.find(root, timedelta(days=7)).names
    running[part] = found
    assert list(abandoned_shards.find(root, timedelta(days=7)).names) == [f"{name}/{PREDICTED[0]}"]


def test_a_finished_attempt_is_an_artifact_itself(tmp_path):
    destination = ShardDestination.attempt_below(str(tmp_path / "shards"))
    expected = made(tmp_path / "artifact", destination)
    found = Examples(Path(destination.root))
    assert found.manifest.digest == expected.manifest.digest
    assert list(found.batches("train")) == list(expected.batches("train"))


def test_another_folder_is_refused(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UserError, match="neither examples with a manifest nor folders"):
        prune(tmp_path)
