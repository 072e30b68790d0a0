"""The cache's folder: whole entries or none, whatever happens around them."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.lineage import digest_file
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.local.cache import store
from kfp_tabular.pipelines.local.cache.store import CacheStore, NotCacheableError

KEY = "ab" * 32


def outputs(run: Path, text: str = "0.93") -> Path:
    """A task's folder as KFP's executor leaves it."""
    task = run / "artifacts" / "x" / "train"
    (task / "model" / "assets").mkdir(parents=True)
    (task / "model" / "empty").mkdir()
    (task / "model" / "assets" / "weights").write_text(text)
    (task / "report").write_text("<p>fine</p>")
    (task / "place").write_text(str(task / "model"))
    document = {
        "parameterValues": {"place": str(task / "model"), "auc": 0.93},
        "artifacts": {"model": {"artifacts": [{"uri": str(task / "model"), "metadata": {"n": 1}}]}},
    }
    (task / "executor_output.json").write_text(json.dumps(document))
    (run / "train.log").write_text("step 1\n")
    return task


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): digest_file(path) if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def cache(tmp_path: Path) -> CacheStore:
    return CacheStore(tmp_path / "cache", 10**6)


def save(cache: CacheStore, run: Path, key: str = KEY, text: str = "0.93") -> Path:
    task = outputs(run, text)
    cache.save(key, "train", task, run / "train.log", 3.0)
    return task


def test_restored_outputs_are_those_that_were_kept(cache: CacheStore, tmp_path: Path) -> None:
    first = save(cache, tmp_path / "é first")
    target = tmp_path / "second" / "train"
    (target / "stale").mkdir(parents=True)

    entry = cache.restore(KEY, target, tmp_path / "second" / "train.log")

    assert entry is not None
    assert (entry.task, entry.seconds) == ("train", 3.0)
    written = {"executor_output.json", "place"}
    before, after = tree(first), tree(target)
    assert before.keys() == after.keys()
    assert {name: before[name] for name in before.keys() - written} == {
        name: after[name] for name in after.keys() - written
    }
    document = json.loads((target / "executor_output.json").read_text())
    assert document["parameterValues"] == {"place": str(target / "model"), "auc": 0.93}
    assert document["artifacts"]["model"]["artifacts"][0]["uri"] == str(target / "model")
    assert (target / "place").read_text() == str(target / "model")
    assert (tmp_path / "second" / "train.log").read_text() == "step 1\n"


def test_no_run_changes_another_or_the_cache(cache: CacheStore, tmp_path: Path) -> None:
    first = save(cache, tmp_path / "first")
    (first / "model" / "assets" / "weights").write_text("spoilt")
    for name in ("second", "third"):
        target = tmp_path / name / "train"
        target.parent.mkdir()
        assert cache.restore(KEY, target, tmp_path / f"{name}.log") is not None
        assert (target / "model" / "assets" / "weights").read_text() == "0.93"
        with (target / "model" / "assets" / "weights").open("r+") as stream:
            stream.write("9")


@pytest.mark.parametrize("damage", ["changed", "missing", "no entry", "cut entry"])
def test_a_damaged_entry_is_no_entry(cache: CacheStore, tmp_path: Path, damage: str) -> None:
    save(cache, tmp_path / "first")
    place = cache.folder / "entries" / KEY[:2] / KEY
    weights = place / "outputs" / "model" / "assets" / "weights"
    if damage == "changed":
        weights.write_text("0.94")
    elif damage == "missing":
        weights.unlink()
    elif damage == "no entry":
        (place / "entry.json").unlink()
    else:
        (place / "entry.json").write_text('{"format"')
    target = tmp_path / "second"

    assert cache.restore(KEY, target, tmp_path / "log") is None

    assert not target.exists()
    assert not list(tmp_path.glob(".second*"))


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../../../../outside": "0"}},
        {"files": {"../log.txt": hashlib.sha256(b"step 1\n").hexdigest()}},
        {"files": {"/outside": "0"}},
        {"folders": ["../../outside"]},
        {"files": []},
        {"files": None},
        {"folders": 3},
        {"made": "yesterday"},
        {"made": 1e300},
        {"bytes": "many"},
        {"folder": None},
        {"format": 0},
    ],
)
def test_an_entry_that_save_does_not_write_is_no_entry(
    cache: CacheStore, tmp_path: Path, change: dict[str, object]
) -> None:
    save(cache, tmp_path / "first")
    file = cache.folder / "entries" / KEY[:2] / KEY / "entry.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    before = tree(tmp_path / "first")

    assert cache.restore(KEY, tmp_path / "second", tmp_path / "log") is None

    assert cache.size().entries == 0
    assert not (tmp_path / "second").exists()
    assert tree(tmp_path / "first") == before
    assert not list(tmp_path.rglob("outside"))
    # The next run that has the outputs keeps them anew.
    cache.save(KEY, "train", tmp_path / "first/artifacts/x/train", tmp_path / "first/train.log", 1)
    assert cache.restore(KEY, tmp_path / "second", tmp_path / "log") is not None


def test_an_entry_that_cannot_be_read_makes_room(cache: CacheStore, tmp_path: Path) -> None:
    save(cache, tmp_path / "first")
    place = cache.folder / "entries" / KEY[:2] / KEY
    (place / "entry.json").write_text("{}")
    cache.make_room()
    assert not place.exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_file_is_not_read_from_elsewhere(cache: CacheStore, tmp_path: Path, kind: str) -> None:
    save(cache, tmp_path / "first")
    weights = cache.folder / "entries" / KEY[:2] / KEY / "outputs" / "model" / "assets" / "weights"
    moved = weights.rename(tmp_path / "moved")
    if kind == "link":
        weights.symlink_to(moved)
    elif kind == "pipe":
        os.mkfifo(weights)
    else:
        weights.mkdir()
    assert cache.restore(KEY, tmp_path / "second", tmp_path / "log") is None
    assert moved.read_text() == "0.93"
    assert cache.size().entries == 0


def test_a_parameter_is_only_changed_in_its_folder(cache: CacheStore, tmp_path: Path) -> None:
    task = outputs(tmp_path / "first")
    document = json.loads((task / "executor_output.json").read_text())
    document["parameterValues"]["../secret"] = "x"
    (task / "executor_output.json").write_text(json.dumps(document))
    cache.save(KEY, "train", task, tmp_path / "first" / "train.log", 1.0)
    (tmp_path / "secret").write_text(str(task))
    assert cache.restore(KEY, tmp_path / "second", tmp_path / "log") is not None
    assert (tmp_path / "secret").read_text() == str(task)


@pytest.mark.parametrize("gone", ["log", "time"])
def test_outputs_are_there_or_not(
    cache: CacheStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    save(cache, tmp_path / "first")
    target = tmp_path / "second"
    if gone == "log":  # removed by another run in the meantime
        (cache.folder / "entries" / KEY[:2] / KEY / "log.txt").unlink()
        assert cache.restore(KEY, target, tmp_path / "log") is None
        assert not target.exists()
    else:  # a cache that only others may write to

        def refuse(path: Path) -> None:
            raise PermissionError(f"{path}: read-only")

        monkeypatch.setattr(store.os, "utime", refuse)
        assert cache.restore(KEY, target, tmp_path / "log") is not None
        assert (target / "report").is_file()


def test_another_run_kept_the_same_at_the_last_moment(
    cache: CacheStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(cache, tmp_path / "first")
    loaded, found = store._load, iter([None])
    monkeypatch.setattr(store, "_load", lambda place: next(found, loaded(place)))
    save(cache, tmp_path / "second", text="0.94")
    assert cache.restore(KEY, tmp_path / "third", tmp_path / "log") is not None
    assert (tmp_path / "third" / "model" / "assets" / "weights").read_text() == "0.93"
    assert not list((cache.folder / "partial").iterdir())


def test_only_the_user_reads_the_cache(cache: CacheStore, tmp_path: Path) -> None:
    save(cache, tmp_path / "first")
    assert cache.folder.stat().st_mode & 0o077 == 0


def test_the_entry_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = CacheStore(tmp_path / "cache", 2_600)
    keys = [f"{number:02d}" * 32 for number in range(3)]
    for number, key in enumerate(keys):
        save(cache, tmp_path / str(number), key, "x" * 600)
        os.utime(cache.folder / "entries" / key[:2] / key / "entry.json", (number, number))
    assert cache.restore(keys[0], tmp_path / "used", tmp_path / "log") is not None

    cache.make_room()

    kept = {path.name for path in (cache.folder / "entries").glob("*/*")}
    assert kept == {keys[0], keys[2]}
    assert cache.size().bytes <= 2_600
    assert cache.clear().entries == 2
    assert cache.size() == store.CacheSize(0, 0)


@pytest.mark.parametrize(
    "obstacle", ["path", "quoted path", "own output", "link", "link to a file", "pipe", "large"]
)
def test_outputs_that_do_not_travel_are_not_kept(
    cache: CacheStore, tmp_path: Path, obstacle: str
) -> None:
    task = outputs(tmp_path / "a run")
    if obstacle == "path":
        (task / "report").write_text(f"<a href='{task.parent}/ingest/x'>")
    elif obstacle == "quoted path":
        (task / "report").write_text(f"<a href='{task.parent.as_uri()}/ingest/x'>")
    elif obstacle == "own output":
        document = {"parameterValues": {"other": str(task.parent / "ingest")}, "artifacts": {}}
        (task / "executor_output.json").write_text(json.dumps(document))
    elif obstacle == "link":
        (task / "latest").symlink_to(task / "model")
    elif obstacle == "link to a file":
        (task / "model" / "latest").symlink_to(task / "report")
    elif obstacle == "pipe":
        os.mkfifo(task / "model" / "pipe")
    else:
        (task / "big").write_bytes(b"x" * 10**6)

    with pytest.raises(NotCacheableError):
        cache.save(KEY, "train", task, tmp_path / "a run" / "train.log", 1.0)

    assert cache.size().entries == 0
    assert not list((cache.folder / "partial").iterdir())


def test_two_runs_at_once(cache: CacheStore, tmp_path: Path) -> None:
    runs = [outputs(tmp_path / str(number)) for number in range(4)]

    def work(number: int) -> None:
        for _ in range(10):
            log = tmp_path / str(number) / "train.log"
            cache.save(KEY, "train", runs[number], log, 1.0)
            target = tmp_path / f"restored-{number}"
            entry = cache.restore(KEY, target, tmp_path / f"{number}.log")
            if entry is not None:
                assert (target / "model" / "assets" / "weights").read_text() == "0.93"
            if number == 0:
                cache.clear()
            cache.make_room()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, number) for number in range(4)]:
            done.result()


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KFP_TABULAR_CACHE", raising=False)
    assert store.default_folder() == tmp_path / "kfp-tabular" / "tasks"
    monkeypatch.setenv("KFP_TABULAR_CACHE", "off")
    assert store.default_folder() is None
    monkeypatch.setenv("KFP_TABULAR_CACHE", str(tmp_path / "mine"))
    assert store.default_folder() == tmp_path / "mine"


@pytest.mark.parametrize("value", ["much", "0", "-1", "nan", "inf"])
def test_a_wrong_size_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("KFP_TABULAR_CACHE_GB", value)
    with pytest.raises(UserError, match="KFP_TABULAR_CACHE_GB"):
        store.limit_bytes()


@given(name=st.text(max_size=20), before=st.text(min_size=1, max_size=5))
def test_only_paths_within_the_folder_move(name: str, before: str) -> None:
    folder = f"/runs/{before}"
    assert store._in_folder(f"{folder}/{name}", folder, "/b") == f"/b/{name}"
    if not name.startswith("/") and name:
        assert store._in_folder(f"{folder}{name}", folder, "/b") == f"{folder}{name}"
