import os
import shutil
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.deployment.local import model_repository
from kfp_tabular.components.deployment.local.model_repository import publish, versions


@pytest.fixture
def make_model(tmp_path):
    def make(content, size=0):
        path = tmp_path / f"model {content}"
        (path / "variables").mkdir(parents=True, exist_ok=True)
        (path / "saved_model.pb").write_text(content)
        (path / "variables" / "data").write_bytes(b"\0" * size)
        (path / "_lineage.json").write_text("{}")
        return path

    return make


def hidden(directory):
    return {entry.name for entry in directory.iterdir() if entry.name.startswith(".")}


def test_versions_count_up_and_keep_what_they_held(tmp_path, make_model):
    root = tmp_path / "deep" / "repository"
    for number, content in enumerate(["a", "b", "a"], start=1):
        published = publish(make_model(content), root, "taxi")
        assert (published.version, published.is_new) == (number, True)
        assert published.path == root / "taxi" / str(number)
    assert [
        (root / "taxi" / str(number) / "saved_model.pb").read_text() for number in (1, 2, 3)
    ] == ["a", "b", "a"]
    assert (root / "taxi" / "1" / "_lineage.json").is_file()
    assert hidden(root / "taxi") == {".lock"}


def test_publishing_the_newest_version_again_changes_nothing(tmp_path, make_model):
    first = publish(make_model("a"), tmp_path / "r", "taxi")
    again = publish(make_model("a"), tmp_path / "r", "taxi")
    assert (again.path, again.version, again.is_new) == (first.path, 1, False)
    assert list(versions(tmp_path / "r" / "taxi")) == [1]


def test_what_else_lies_there_is_left_alone(tmp_path, make_model):
    directory = tmp_path / "r" / "taxi"
    for name in ("7", "010", "notes", "8.old"):
        (directory / name).mkdir(parents=True)
        (directory / name / "file").write_text(name)
    published = publish(make_model("a"), tmp_path / "r", "taxi")
    assert published.version == 11
    for name in ("7", "010", "notes", "8.old"):
        assert (directory / name / "file").read_text() == name


def test_what_a_killed_publisher_left_is_cleared(tmp_path, make_model):
    leftover = tmp_path / "r" / "taxi" / ".partial-1234"
    leftover.mkdir(parents=True)
    (leftover / "saved_model.pb").write_text("half")
    publish(make_model("a"), tmp_path / "r", "taxi")
    assert hidden(tmp_path / "r" / "taxi") == {".lock"}


def test_publishers_at_the_same_time_never_collide(tmp_path, make_model):
    models = [make_model(str(number)) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        published = list(pool.map(lambda model: publish(model, tmp_path / "r", "taxi"), models))
    assert sorted(entry.version for entry in published) == list(range(1, 9))
    for model, entry in zip(models, published, strict=True):
        assert (entry.path / "saved_model.pb").read_text() == (model / "saved_model.pb").read_text()


def test_a_number_taken_in_between_is_passed_over(tmp_path, make_model, monkeypatch):
    # As on a file system that does not keep locks between machines.
    directory = tmp_path / "r" / "taxi"
    real, calls = versions, []

    def stale(path):
        calls.append(path)
        found = real(path)
        if len(calls) == 2:
            (directory / "1").mkdir()
            (directory / "1" / "saved_model.pb").write_text("theirs")
        return found

    monkeypatch.setattr(model_repository, "versions", stale)
    assert publish(make_model("ours"), tmp_path / "r", "taxi").version == 2
    assert (directory / "1" / "saved_model.pb").read_text() == "theirs"


def test_a_kill_while_copying_leaves_no_version(tmp_path, make_model):
    model = make_model("large", size=1_000_000)
    script = f"""
        import shutil, sys, time
        from pathlib import Path
        from kfp_tabular.components.deployment.local import model_repository
        real = shutil.copytree
        def slow(source, target):
            shutil.copytree = real
            real(source, target)
            print("copied", flush=True)
            time.sleep(60)
        shutil.copytree = slow
        model_repository.publish(Path({str(model)!r}), Path({str(tmp_path / "r")!r}), "taxi")
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"copied\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not versions(tmp_path / "r" / "taxi")
    assert publish(model, tmp_path / "r", "taxi").version == 1
    assert hidden(tmp_path / "r" / "taxi") == {".lock"}


def test_a_copy_that_differs_is_not_published(tmp_path, make_model, monkeypatch):
    def damaging(source, target):
        monkeypatch.undo()
        shutil.copytree(source, target)
        (target / "saved_model.pb").write_text("damaged")

    monkeypatch.setattr(shutil, "copytree", damaging)
    with pytest.raises(OSError, match="differs from it"):
        publish(make_model("a"), tmp_path / "r", "taxi")
    assert hidden(tmp_path / "r" / "taxi") == {".lock"}
    assert not versions(tmp_path / "r" / "taxi")


def test_a_file_in_the_way_is_named(tmp_path, make_model):
    (tmp_path / "r").write_text("a file")
    with pytest.raises(UserError, match="is a file, not a directory"):
        publish(make_model("a"), tmp_path / "r", "taxi")
