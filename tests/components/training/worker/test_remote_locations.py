"""Locations in an object store: parts of examples, checkpoints, outputs."""

import os
import tempfile
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    remote_examples,
    shard_file,
)
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, upload
from kfp_tabular.components.training.candidates import tree_candidate
from kfp_tabular.components.training.input import parquet_reader
from kfp_tabular.components.training.input.packed_rows import ColumnLayout
from kfp_tabular.components.training.input.shuffling import TrainingInput
from kfp_tabular.components.training.loop import checkpoint_storage
from kfp_tabular.components.training.trees import fit as tree_fit
from kfp_tabular.components.training.worker import outputs, training_process, workspace
from kfp_tabular.components.training.worker_settings import WorkerArguments
from tests.servers import busy_store
from tests.servers.stores import s3  # noqa: F401 - a fixture

LAYOUT = ColumnLayout("y", ("x",), ())
BINARY = Task("binary", "y", ("0", "1"))


@pytest.fixture(scope="module")
def examples(made, s3, tmp_path_factory):  # noqa: F811
    """Examples of two files with several row groups each, on disk and in a bucket."""
    folder = tmp_path_factory.mktemp("remote") / "examples"
    random = np.random.default_rng(0)
    columns = {"x": random.normal(size=60_000), "y": np.arange(60_000) % 2}
    made.write_examples(folder, {"train": columns, "eval": columns}, 12_000)
    upload(folder, f"{s3}/remote/examples")
    return folder, f"{s3}/remote/examples"


@pytest.fixture
def requests(monkeypatch):
    """The ranges that are read, as (file, bytes)."""
    fetched = []
    read = Folder.read

    def recorded(self, stored, start, end):
        fetched.append((stored.key, end - start))
        return read(self, stored, start, end)

    monkeypatch.setattr(Folder, "read", recorded)
    monkeypatch.setattr(shard_file, "_WHOLE_BYTES", 1000)
    return fetched


def rows(share):
    return np.concatenate(
        [batch.column("x").to_numpy() for _, batch in parquet_reader.batches(share, ["x"])]
    )


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_stream_their_share_and_read_the_same(examples, requests, tmp_path, workers):
    folder, uri = examples
    whole = Examples(folder).require("train")
    total = sum(shard.bytes for shard in whole)
    found, fetched = [], 0
    for worker in range(workers):
        order = WorkerArguments(uri, str(folder))
        with workspace.opened(order) as opened:
            staged = opened.settings.transformed_examples
            assert [path.name for path in staged.rglob("*")] == ["_manifest.json"]
            assert Examples(staged).rows() == Examples(folder).rows()
            assert lineage.read(staged) == lineage.read(folder)
            share = parquet_reader.worker_share(Examples(staged).require("train"), worker, workers)
            # The row groups are in the manifest: nothing was read to share them out.
            assert len(requests) == fetched
            found.append(rows(share))
        fetched = len(requests)
        assert {Path(key).parent.name for key, _ in requests} == {"split=train"}
    # Each worker reads its row groups and the ends of its files; one is shared at each border.
    read = sum(size for _, size in requests)
    assert read < total * (1 + 0.35 * workers)
    np.testing.assert_array_equal(np.concatenate(found), rows(parquet_reader.worker_share(whole)))


def test_the_stream_of_training_is_that_of_local_files(examples, requests, tmp_path):
    folder, uri = examples
    remote_examples.stage(Folder(uri), tmp_path / "staged")
    streams = []
    for place in (folder, tmp_path / "staged"):
        reader = parquet_reader.Reader(LAYOUT, BINARY)
        share = parquet_reader.worker_share(Examples(place).require("train"), 1, 2)
        with TrainingInput(reader, share, seed=5, buffer_rows=7000) as stream:
            streams.append(stream.take(70_000))
    for name in ("numeric", "label"):
        first, second = (getattr(stream, name) for stream in streams)
        np.testing.assert_array_equal(first, second)


@pytest.fixture
def watched(s3):  # noqa: F811
    """Two proxies before the store, one for each worker."""
    with ExitStack() as stack:
        target = os.environ["AWS_ENDPOINT_URL"]
        yield [stack.enter_context(busy_store.running(target, seconds=0)) for _ in range(2)]


def test_two_workers_see_each_row_once_per_epoch(
    made,
    s3,  # noqa: F811
    watched,
    tmp_path,
    monkeypatch,
):
    """Rows of many row groups are mixed in the shuffle window, and nothing is copied to a disk."""
    rows_, window = 48_000, 8_000
    columns = {"x": np.arange(rows_, dtype=np.float64), "y": np.arange(rows_) % 2}
    made.write_examples(tmp_path / "examples", {"train": columns}, 1_600)
    upload(tmp_path / "examples", f"{s3}/remote/epochs")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    # As if no shard fitted a request.
    monkeypatch.setattr(shard_file, "_WHOLE_BYTES", 0)
    streams = []
    for worker, proxy in enumerate(watched):
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        staged = tmp_path / "staged" / str(worker)
        remote_examples.stage(Folder(f"{s3}/remote/epochs"), staged)
        share = parquet_reader.worker_share(Examples(staged).require("train"), worker, 2)
        reader = parquet_reader.Reader(LAYOUT, BINARY)
        streams.append(TrainingInput(reader, share, seed=1, worker=worker, buffer_rows=window))
    orders = []
    for _ in range(3):
        epoch = [stream.take(rows_ // 2).numeric.ravel().astype(int) for stream in streams]
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch)), np.arange(rows_))
        orders.append(np.concatenate(epoch))
        # A batch has rows of most row groups that are in the window.
        assert len(np.unique(epoch[0][:64] // 1_600)) >= 4
    for stream in streams:
        stream.__exit__(None, None, None)
    assert not np.array_equal(orders[0], orders[1])
    found = [path.name for path in tmp_path.glob("staged/**/*") if path.is_file()]
    assert found == ["_manifest.json"] * 2
    assert list((tmp_path / "scratch").iterdir()) == []
    # Each row group once per epoch, by one of the workers; at most one buffer is read ahead.
    for number, group in enumerate(_row_groups(tmp_path / "examples")):
        times = [_times_read(proxy, *group) for proxy in watched]
        other = times.pop(0 if number >= 15 else 1)
        assert other == 0, (number, times, other)
        assert 3 <= times[0] <= 4, (number, times, other)


def _row_groups(examples):
    """Yield the shard of each row group, where its numbers start, and the size of the shard."""
    for shard in Examples(examples).require("train"):
        metadata = pq.read_metadata(shard.uri)
        for group in range(metadata.num_row_groups):
            ((start, _),) = shard_file.extents(metadata.row_group(group), ["x"])
            yield Path(shard.uri).name, start, shard.bytes


def _times_read(proxy, shard, start, size):
    """Return how often a range was asked for, but for the footers, which Arrow reads with more."""
    ranges = [
        range(*map(int, part.removeprefix("bytes=").split("-")))
        for path, part in proxy.reads
        if path.partition("?")[0].endswith(f"/{shard}")
    ]
    return sum(start in asked and asked.stop < size - 1 for asked in ranges)


def test_examples_without_a_manifest_are_fetched_whole(made, s3, tmp_path):  # noqa: F811
    columns = {"x": np.arange(5000.0), "y": np.arange(5000) % 2}
    made.write_examples(tmp_path / "there", {"train": columns}, 5000)
    (tmp_path / "there" / "_manifest.json").unlink()
    upload(tmp_path / "there", f"{s3}/remote/foreign")
    with workspace.opened(WorkerArguments(f"{s3}/remote/foreign", str(tmp_path))) as opened:
        staged = opened.settings.transformed_examples
        assert lineage.read(staged) == lineage.read(tmp_path / "there")
        assert Examples(staged).rows() == {"train": 5000}


@pytest.mark.parametrize("damage", ["not a Parquet file", "row group 0 is damaged"])
def test_a_damaged_shard_is_named_by_its_uri(examples, s3, tmp_path, damage):  # noqa: F811
    folder, _ = examples
    uri = f"{s3}/remote/broken"
    upload(folder, uri)
    shard = Examples(folder).require("train")[0]
    name = Path(shard.uri).relative_to(folder).as_posix()
    content = bytearray(Path(shard.uri).read_bytes())
    # Of the first pages, or all.
    content[4:1000] = bytes(996)
    (tmp_path / "zeros").write_bytes(content if "row group" in damage else bytes(shard.bytes))
    upload(tmp_path / "zeros", f"{uri}/{name}")
    with (
        pytest.raises(UserError, match=rf"^{uri}/{name}: {damage}"),
        workspace.opened(WorkerArguments(uri, str(tmp_path))) as opened,
    ):
        examples_there = Examples(opened.settings.transformed_examples)
        rows(parquet_reader.worker_share(examples_there.require("train")))


@pytest.mark.parametrize("name", ["transformed_examples", "transform_graph"])
def test_what_is_not_there_is_named(s3, tmp_path, name):  # noqa: F811
    places = {"transformed_examples": str(tmp_path), "transform_graph": str(tmp_path)}
    order = WorkerArguments(**{**places, name: f"{s3}/remote/nothing"})
    with pytest.raises(UserError, match="remote/nothing: not found"), workspace.opened(order):
        pass


def test_scratch_space_of_killed_processes_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "kfp-tabular-worker-left"
    (left / "examples").mkdir(parents=True)
    (tmp_path / "kfp-tabular-other").mkdir()
    order = WorkerArguments(str(tmp_path), str(tmp_path))
    with workspace.opened(order), workspace.opened(order):
        assert not left.exists()
        assert len(list(tmp_path.glob("kfp-tabular-worker-*"))) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["kfp-tabular-other"]


class Storage:
    """Remote storage with something to put there."""

    def __init__(self, folder: Folder, local: Path) -> None:
        self.storage = checkpoint_storage.RemoteStorage(folder, local)
        self._local = local

    def put(self, step: int, content: str = "weights") -> None:
        for suffix in ("index", "data-00000-of-00001"):
            (self._local / f"ckpt-{step}.{suffix}").write_text(f"{content} {step}")
        self.storage.put(step)


@pytest.fixture
def storage(s3, tmp_path, request):  # noqa: F811
    (tmp_path / "local").mkdir()
    folder = Folder(f"{s3}/remote/{request.node.name.partition('[')[0]}")
    return folder, Storage(folder, tmp_path / "local")


def test_the_newest_checkpoints_are_kept(storage, tmp_path):
    folder, here = storage
    assert here.storage.newest() == 0
    for step in (9, 20, 100):
        here.put(step)
        here.storage.flush()
    assert here.storage.newest() == 100
    assert sorted(folder.list()) == sorted(
        f"ckpt-{step}.{suffix}"
        for step in (20, 100)
        for suffix in ("index", "data-00000-of-00001", "json")
    )
    (tmp_path / "other").mkdir()
    other = checkpoint_storage.RemoteStorage(folder, tmp_path / "other")
    prefix = other.fetch(other.newest())
    assert Path(f"{prefix}.index").read_text() == "weights 100"
    assert other.fetch(9) is None
    here.storage.remove()
    assert not folder.list()


def test_an_incomplete_checkpoint_is_ignored(storage):
    folder, here = storage
    here.put(10)
    here.storage.flush()
    here.put(20)
    here.storage.flush()
    folder.remove(["ckpt-20.data-00000-of-00001"])
    assert here.storage.newest() == 10
    folder.write_text("ckpt-20.data-00000-of-00001", "of another size than in the marker")
    assert here.storage.newest() == 10
    folder.remove(["ckpt-10.json"])
    assert here.storage.newest() == 0


def test_checkpoints_saved_faster_than_they_are_uploaded(storage, monkeypatch):
    """The newest is never lost; older ones may be skipped."""
    _, here = storage
    slow = threading.Event()
    upload_files = Folder.upload
    monkeypatch.setattr(
        Folder, "upload", lambda self, files: (slow.wait(10), upload_files(self, files))
    )
    for step in (1, 2, 3, 4):
        here.put(step)
    slow.set()
    here.storage.flush()
    assert here.storage.newest() == 4
    assert not list(here._local.glob("upload-*"))


def test_a_denied_upload_is_a_user_error(storage, monkeypatch):
    _, here = storage

    def denied(self, files):
        raise UserError("s3://bucket: access denied")

    monkeypatch.setattr(Folder, "upload", denied)
    here.put(1)
    with pytest.raises(UserError, match="access denied"):
        here.storage.flush()


def test_the_next_upload_replaces_one_that_failed(storage, monkeypatch, caplog):
    _, here = storage
    upload_files, failures = Folder.upload, [OSError("connection reset")]

    def sometimes(self, files):
        if failures:
            raise failures.pop()
        upload_files(self, files)

    monkeypatch.setattr(Folder, "upload", sometimes)
    here.put(1)
    here.storage.flush()
    assert here.storage.newest() == 0
    assert "step 1 was not uploaded: connection reset" in caplog.text
    here.put(2)
    here.storage.flush()
    assert here.storage.newest() == 2


def test_a_model_appears_whole(s3, tmp_path, monkeypatch):  # noqa: F811
    """Its marker is removed before anything changes, and written last."""
    target = Folder(f"{s3}/remote/model")
    for name in ("saved_model.pb", "variables/variables.index", "_lineage.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("first")
    outputs.publish(tmp_path, target, "_lineage.json")
    assert set(target.list()) == {"saved_model.pb", "variables/variables.index", "_lineage.json"}
    (tmp_path / "saved_model.pb").write_text("second")
    seen = []
    upload_files = Folder.upload

    def watched(self, files):
        upload_files(self, files)
        seen.append((sorted(files), target.read_text("_lineage.json")))

    monkeypatch.setattr(Folder, "upload", watched)
    outputs.publish(tmp_path, target, "_lineage.json")
    assert seen == [
        (["saved_model.pb", "variables/variables.index"], None),
        (["_lineage.json"], "first"),
    ]
    assert target.read_text("saved_model.pb") == "second"


class Killed(BaseException):
    """Nothing handles it, as nothing handles SIGKILL."""


def test_killed_trees_resume_from_an_object_store(s3, inputs, tmp_path, monkeypatch, caplog):  # noqa: F811
    caplog.set_level("INFO")
    settings = inputs["binary"].settings(
        tmp_path, output=None, model_type="trees", tree_count=60, checkpoint_seconds=0.0
    )
    whole = training_process.run(settings)
    settings = replace(settings, logs=tmp_path / "other", checkpoints=f"{s3}/remote/killed-trees")

    with monkeypatch.context() as patched:

        def fit(request):
            def after_iteration(tree, *losses):
                if tree == 31:
                    # A process that is killed uploads nothing any more.
                    patched.setattr(Folder, "upload", lambda *_: None)
                    raise Killed
                return request.after_iteration(tree, *losses)

            return tree_fit.fit(replace(request, after_iteration=after_iteration))

        patched.setattr(tree_candidate, "fit", fit)
        with pytest.raises(Killed):
            training_process.run(settings)
    caplog.clear()
    resumed = training_process.run(settings)
    assert "trees: resumed" in caplog.text and "step=20 " not in caplog.text
    assert resumed.history == whole.history
    assert not Folder(f"{s3}/remote/killed-trees").list()


def test_a_snapshot_that_is_not_uploaded_is_logged(s3, inputs, tmp_path, monkeypatch, caplog):  # noqa: F811
    upload_files, failures = Folder.upload, [OSError("connection reset")]

    def sometimes(self, files):
        if failures:
            raise failures.pop()
        upload_files(self, files)

    monkeypatch.setattr(Folder, "upload", sometimes)
    checkpoints = f"{s3}/remote/failed-snapshot"
    settings = inputs["binary"].settings(
        tmp_path, output=None, model_type="trees", tree_count=10, checkpoints=checkpoints
    )
    training_process.run(settings)
    assert "snapshot of the trees was not uploaded: connection reset" in caplog.text
