"""`kfp-tabular prune`: shards that no reader takes."""

import os
import time
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
