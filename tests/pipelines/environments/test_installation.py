"""Environments are made from the package's locks, whole or not at all."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.cli.setup import setup_command
from kfp_tabular.pipelines.environments import installation, location


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The installer's command lines, which make folders and install nothing."""
    made: list[list[str]] = []

    def call(*command: str | Path) -> str:
        words = [str(word) for word in command]
        made.append(words)
        if "venv" in words:
            Path(words[-1], "bin").mkdir(parents=True)
        return str(Path(words[0]).parents[1])

    monkeypatch.setattr(installation, "_call", call)
    return made


def _synced(calls: Sequence[Sequence[str]]) -> list[str]:
    return [Path(words[-1]).parent.name for words in calls if "sync" in words]


def test_every_environment_has_its_lock_in_the_package() -> None:
    for name in installation.NAMES:
        plan = installation.plan(name)
        assert "--hash=sha256:" in plan.lock.read_text()
        assert plan.python.exists()


def test_what_is_ready_is_left_alone(tmp_path: Path, calls: list[list[str]]) -> None:
    assert installation.install(tmp_path) == list(installation.NAMES)
    assert _synced(calls) == list(installation.NAMES)
    calls.clear()

    assert installation.install(tmp_path) == []
    assert calls == []


def test_a_changed_lock_makes_the_environment_anew(tmp_path: Path, calls: list[list[str]]) -> None:
    installation.install(tmp_path, ["launcher"])
    (tmp_path / "launcher" / ".made-from").write_text('{"lock": "of an earlier version"}')
    (tmp_path / "launcher" / "left-over").touch()

    assert installation.install(tmp_path, ["launcher"]) == ["launcher"]
    assert not (tmp_path / "launcher" / "left-over").exists()


def test_a_changed_package_alone_is_put_in_place(tmp_path: Path, calls: list[list[str]]) -> None:
    installation.install(tmp_path, ["launcher"])
    stamp = tmp_path / "launcher" / ".made-from"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "package": "an earlier one"}))
    (tmp_path / "launcher" / "left-over").touch()
    calls.clear()

    assert installation.install(tmp_path, ["launcher"]) == ["launcher"]
    assert (tmp_path / "launcher" / "left-over").exists()
    assert _synced(calls) == []


def test_an_interrupted_environment_does_not_look_finished(
    tmp_path: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = installation._call

    def interrupted(*command: str | Path) -> str:
        if "sync" in command:
            raise KeyboardInterrupt
        return done(*command)

    monkeypatch.setattr(installation, "_call", interrupted)
    with pytest.raises(KeyboardInterrupt):
        installation.install(tmp_path, ["serving"])
    monkeypatch.setattr(installation, "_call", done)

    assert installation.install(tmp_path, ["serving"]) == ["serving"]


def test_an_unknown_name_is_an_error_that_names_the_closest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'tensorflw'.*tensorflow"):
        installation.install(tmp_path, ["tensorflw"])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UserError, match="file/venvs: cannot be made: Not a directory"):
        installation.install(tmp_path / "file" / "venvs", ["tfdv"])


def test_a_full_disk_is_an_error_before_anything_is_fetched(
    tmp_path: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(installation.GIGABYTES, "launcher", 1e9)
    with pytest.raises(UserError, match="GB free, and launcher need"):
        installation.install(tmp_path, ["launcher"])
    assert calls == []


def test_a_host_with_an_old_glibc_needs_python_3_11_for_tfdv(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installation.platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    monkeypatch.setattr(installation.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match=r"python3\.11 is not on PATH"):
        installation.plan("tfdv")


def test_a_host_with_a_new_glibc_gets_the_current_tfdv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.platform, "libc_ver", lambda: ("glibc", "2.41"))
    assert installation.plan("tfdv").lock.name == "requirements.txt"


def test_an_installer_that_fails_is_shown_with_its_last_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "_installer", lambda folder: Path("/bin/false"))

    done = CliRunner().invoke(setup_command, ["launcher", "--folder", str(tmp_path)])

    assert done.exit_code == 1
    assert "false failed with code 1" in done.output


def test_another_folder_is_named_for_the_shell(tmp_path: Path, calls: list[list[str]]) -> None:
    done = CliRunner().invoke(setup_command, ["launcher", "--folder", str(tmp_path / "here")])

    assert done.exit_code == 0, done.output
    assert f"export {location.VARIABLE}={tmp_path / 'here'}" in done.output


def test_outside_of_a_clone_environments_are_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(location.VARIABLE, raising=False)
    monkeypatch.setattr(location, "SOURCES", tmp_path / "site-packages")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))

    assert location.default_folder() == tmp_path / "share" / "kfp-tabular" / "venvs"
    with pytest.raises(UserError, match="kfp-tabular setup"):
        location.Environments.find()
