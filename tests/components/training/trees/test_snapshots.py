"""Tests of the snapshots that a killed training resumes from."""

import os

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.trees.snapshots import Snapshots


@pytest.fixture
def made(tmp_path):
    scratch = tmp_path / "scratch"
    kept = Snapshots(tmp_path / "kept", scratch, "one training")
    scratch.write_bytes(b"trees" * 1000)
    assert kept.keep()
    return kept, scratch, tmp_path / "kept"


def test_a_snapshot_is_kept_once(made):
    kept, scratch, _ = made
    assert not kept.keep()
    scratch.with_name("next").write_bytes(b"more trees")
    scratch.with_name("next").replace(scratch)
    assert kept.keep()
    scratch.unlink()
    assert kept.restore() and scratch.read_bytes() == b"more trees"
    assert not kept.keep()


def test_nothing_is_restored_where_there_is_nothing(tmp_path):
    kept = Snapshots(tmp_path, tmp_path / "scratch", "one training")
    assert not kept.restore() and not kept.keep()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: b"", "not a snapshot"),
        (lambda content: content[:-1], "is damaged"),
        (lambda content: content + b"x", "is damaged"),
        (lambda content: content[: len(content) // 2], "is damaged"),
        (lambda content: content[:-9] + b"X" + content[-8:], "is damaged"),
        (lambda content: content.partition(b"\n")[2], "not a snapshot"),
        (lambda content: b"[]\n" + content, "not a snapshot"),
        (lambda content: b"\xff" * 9000, "not a snapshot"),
    ],
)
def test_a_damaged_snapshot_is_said_and_not_used(made, caplog, damage, message):
    kept, scratch, directory = made
    (file,) = directory.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    scratch.unlink()
    assert not kept.restore()
    assert message in caplog.text and "start over" in caplog.text
    assert not scratch.exists()


def test_that_of_another_training_is_said_and_not_used(made, caplog):
    _, scratch, directory = made
    scratch.unlink()
    assert not Snapshots(directory, scratch, "another training").restore()
    assert "other data or parameters" in caplog.text


def test_a_snapshot_that_was_not_written_whole_is_not_seen(made):
    kept, scratch, directory = made
    (file,) = directory.iterdir()
    # A process killed while it writes leaves the file of before, and a part of the new one.
    (directory / f".{file.name}.partial").write_bytes(file.read_bytes()[:100])
    scratch.unlink()
    assert kept.restore()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_is_not_writable(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="checkpoint_uri"):
        Snapshots(tmp_path, tmp_path / "scratch", "one training")
