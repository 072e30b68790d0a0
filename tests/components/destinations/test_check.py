"""The check of destinations, and the preparation of volumes, with the rights that a pod has."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.destinations import check, places, volume
from kfp_tabular.components.destinations.options import DestinationOptions
from tests.processes import refusal

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def run(folder: Path, **options: object) -> str:
    summary = folder / "summary.md"
    check.run(check.DestinationRequest(summary, DestinationOptions(**options)))
    return summary.read_text()


def test_each_place_is_checked_and_listed(folder: Path) -> None:
    page = run(
        folder,
        model_repository=f"{folder}/models/",
        model_name="taxi",
        checkpoint_uri=f"file://{folder}/checkpoints",
    )

    assert f"- `model_repository` {folder}/models/taxi: can be written" in page
    assert f"- `checkpoint_uri` file://{folder}/checkpoints: can be written" in page
    assert "study_directory" not in page
    assert [path.name for path in folder.iterdir()] == ["summary.md"]


def test_without_a_place_there_is_nothing_to_check(folder: Path) -> None:
    assert "No place was named." in run(folder)


def test_the_first_place_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "file").write_text("")

    with pytest.raises(UserError, match=r"^study_directory: .*/file is a file, not a directory"):
        run(folder, study_directory=f"{folder}/file", checkpoint_uri=str(folder))


def test_the_root_directory_is_a_place() -> None:
    """Not one below the directory that the task happens to run in."""
    given = {"model_repository": "/", "model_name": "taxi"}

    assert places.of_argument("model_repository", given) == "/taxi"


def test_what_is_outside_of_a_volume_stays_as_it_is(folder: Path) -> None:
    mount, outside = folder / "models", folder / "outside"
    mount.mkdir(mode=0o755)
    (outside / "taxi").mkdir(parents=True)
    (outside / "taxi" / "file").touch()
    (mount / "link").symlink_to(outside)
    for path in (folder, outside, outside / "taxi", mount):
        path.chmod(0o755)

    places = [mount / "link" / "taxi", mount / ".." / "outside" / "taxi"]
    changed = volume.prepare(mount, places)

    assert changed == [mount]
    for path in (folder, outside, outside / "taxi"):
        assert path.stat().st_mode & 0o7777 == 0o755


@as_root
def test_a_volume_of_root_is_opened_to_the_group(folder: Path) -> None:
    mount = folder / "models"
    (mount / "team" / "taxi" / "1").mkdir(parents=True)
    (mount / "team" / "taxi" / ".lock").touch()
    (mount / "team" / "taxi" / "1" / "saved_model.pb").touch()
    (mount / "other").mkdir()
    repository = {"model_repository": f"{mount}/team", "model_name": "taxi"}
    trial = f"{mount}/team/taxi"
    for path in [mount, *mount.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = refusal(lambda: run_only(trial), user=10001, group=0)

    page = run(folder, **repository, prepare=[str(mount)])
    again = run(folder, **repository, prepare=[str(mount)])

    assert before.startswith(f"model_repository: cannot write to {trial}: Permission denied.")
    assert refusal(lambda: run_only(trial), user=10001, group=0) == ""
    assert refusal(lambda: run_only(trial), user=10001, group=10001) != ""
    assert f"volume {mount}: made writable for group 0: {mount}, {mount}/team, {trial}" in page
    assert f"volume {mount}: writable for its group already" in again
    modes = {path.name: path.stat().st_mode & 0o7777 for path in mount.rglob("*")}
    assert modes == {
        "team": 0o2775,
        "taxi": 0o2775,
        ".lock": 0o664,
        "1": 0o755,
        "saved_model.pb": 0o644,
        "other": 0o755,
    }


def run_only(path: str) -> None:
    from kfp_tabular.components.common.storage import writability

    writability.check(path, "model_repository")


@as_root
def test_a_volume_of_another_user_is_named(folder: Path) -> None:
    mount = folder / "models"
    mount.mkdir()
    os.chown(mount, 4711, 4711)

    message = refusal(lambda: volume.prepare(mount), user=54321, group=54321)

    assert message.startswith(f"prepare: {mount} belongs to uid 4711, gid 4711 with mode 0755, and")
    assert "fsGroup" in message


def test_a_link_does_not_lead_out_of_the_volume(folder: Path) -> None:
    mount, outside = folder / "models", folder / "outside"
    mount.mkdir()
    outside.mkdir()
    outside.chmod(0o755)
    (mount / "taxi").symlink_to(outside)

    volume.prepare(mount, [mount / "taxi"])

    assert outside.stat().st_mode & 0o7777 == 0o755


def test_a_volume_that_is_not_mounted_is_named(folder: Path) -> None:
    with pytest.raises(UserError, match="no volume is mounted there"):
        run(folder, prepare=[f"{folder}/models"])


@pytest.mark.parametrize("paths", [["models"], ["/a", "/a"], ["/"]])
def test_what_is_no_mount_path_is_refused(folder: Path, paths: list[str]) -> None:
    with pytest.raises(UserError, match="prepare"):
        run(folder, prepare=paths)
