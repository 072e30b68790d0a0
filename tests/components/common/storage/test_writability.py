"""Whether a place can be written is known before the work for it: by trying, as another user."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, writability
from kfp_tabular.components.deployment.local import model_repository
from tests.processes import USER, refusal


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def closed(path: Path) -> Path:
    """Make a folder that only its owner may write; not even that one where tests are not root."""
    path.mkdir()
    path.chmod(0o755 if os.getuid() == 0 else 0o555)
    return path


def content(path: Path) -> list[str]:
    return sorted(str(entry.relative_to(path)) for entry in path.rglob("*"))


@pytest.mark.parametrize("below", ["", "taxi", "taxi/deep/er"])
def test_a_directory_of_another_user_is_named_with_all_that_decides(
    folder: Path, below: str
) -> None:
    volume = closed(folder / "models")

    message = refusal(lambda: writability.check(str(volume / below), "model_repository"))

    found = volume.stat()
    assert message.startswith(f"model_repository: cannot write to {volume}: Permission denied.")
    assert f"(uid {found.st_uid})" in message or f"to uid {found.st_uid}" in message
    mode = "drwxr-xr-x (0755)" if os.getuid() == 0 else "dr-xr-xr-x (0555)"
    assert f"with mode {mode}" in message
    user = USER if os.getuid() == 0 else os.getuid()
    assert f"this process runs as uid {user} with gid " in message
    for way_out in ("fsGroup", "prepare: true", f"chown {user}:"):
        assert way_out in message
    assert "\n" not in message
    assert content(volume) == []


@pytest.mark.parametrize("mode", [0o700, 0o770, 0o2770, 0o500])
@pytest.mark.parametrize("below", ["", "taxi"])
def test_a_directory_that_is_closed_to_others_is_named(folder: Path, mode: int, below: str) -> None:
    """Where the probe cannot be made, it cannot be looked up either."""
    if os.getuid() != 0:
        pytest.skip("only root has folders that are closed to this user")
    volume = folder / "models"
    volume.mkdir()
    volume.chmod(mode)

    message = refusal(lambda: writability.check(str(volume / below), "x"))

    assert message.startswith(f"x: cannot write to {volume}: Permission denied. It belongs to ")


def test_a_path_that_no_directory_can_have_is_refused(folder: Path) -> None:
    (folder / "gone").symlink_to("nowhere")
    (folder / "circle").symlink_to("circle")
    cases = {
        "gone": f"{folder}/gone is a link to nowhere, which does not exist.",
        "gone/taxi": f"{folder}/gone is a link to nowhere, which does not exist.",
        "circle": "not a path that can be used: Too many levels of symbolic links.",
        "a" * 300: "not a path that can be used: File name too long.",
        "a\0b": "not a path that can be used: embedded null byte.",
    }

    for below, problem in cases.items():
        with pytest.raises(UserError) as caught:
            writability.check(f"{folder}/{below}", "x")
        assert str(caught.value) == f"x: {problem}"
    assert content(folder) == ["circle", "gone"]


def test_a_directory_that_cannot_be_entered_is_named(folder: Path) -> None:
    private = folder / "private"
    (private / "models").mkdir(parents=True)
    private.chmod(0o700 if os.getuid() == 0 else 0o000)
    try:
        message = refusal(lambda: writability.check(str(private / "models" / "a"), "x"))
    finally:
        private.chmod(0o700)

    assert message.startswith(f"x: cannot write to {private}: Permission denied.")


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_what_can_be_written_passes_and_stays_as_it_is(folder: Path, mode: int) -> None:
    volume = folder / "models"
    volume.mkdir()
    volume.chmod(mode)

    assert refusal(lambda: writability.check(str(volume / "a" / "b"), "x")) == ""
    assert refusal(lambda: writability.check(f"file://{volume}", "x")) == ""
    assert content(volume) == []


def test_a_directory_of_the_process_group_can_be_written(folder: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a folder to another group")
    volume = folder / "models"
    volume.mkdir()
    os.chown(volume, 0, USER)
    volume.chmod(0o2775)

    assert refusal(lambda: writability.check(str(volume), "x")) == ""


def test_a_file_is_no_directory(folder: Path) -> None:
    (folder / "file").write_text("")

    for path in (folder / "file", folder / "file" / "below"):
        with pytest.raises(UserError, match=f"^x: {re.escape(str(folder))}/file is a file, not"):
            writability.check(str(path), "x")


def test_a_full_disk_is_no_matter_of_owners() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with (
        pytest.raises(OSError, match="No space left") as full,
        Path("/dev/full").open("wb") as file,
    ):
        file.write(b"0")
        file.flush()

    message = str(writability.denied(Path("/models"), "x", full.value))

    assert message.startswith("x: cannot write to /models: No space left on device. Free space")
    assert "belongs to" not in message


def test_the_lock_of_an_earlier_publisher_is_named(folder: Path) -> None:
    repository = folder / "models"
    (repository / "taxi").mkdir(parents=True)
    (repository / "taxi").chmod(0o777)
    lock = repository / "taxi" / ".lock"
    lock.touch()
    lock.chmod(0o644 if os.getuid() == 0 else 0o444)

    message = refusal(lambda: model_repository.check_writable(repository, "taxi"))

    assert message.startswith(f"model_repository: cannot write to {lock}: Permission denied. It")


def test_publishing_names_what_it_may_not_touch(folder: Path) -> None:
    repository, model = folder / "models", folder / "model"
    model.mkdir()
    (model / "saved_model.pb").write_text("graph")
    hidden = repository / "taxi" / "1" / "saved_model.pb"
    hidden.parent.mkdir(parents=True)
    (repository / "taxi").chmod(0o777)
    hidden.write_text("earlier")
    hidden.chmod(0o000)

    message = refusal(lambda: model_repository.publish(model, repository, "taxi"))

    assert message.startswith(f"model_repository: cannot write to {hidden}: Permission denied. It")


@pytest.mark.parametrize("key", ["/models", "/models/", ""])
def test_a_bucket_that_can_be_written_stays_empty(s3: str, key: str) -> None:
    uri = s3 + key
    before = Folder(s3).list()

    writability.check(uri, "model_repository")

    assert Folder(s3).list() == before
    client = boto3.client("s3")
    bucket = s3.removeprefix("s3://").split("/")[0]
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert not client.list_object_versions(Bucket=bucket, Prefix="models/.kfp").get("DeleteMarkers")


def test_a_bucket_of_google_that_can_be_written_stays_empty(gcs: str) -> None:
    before = Folder(gcs).list()

    writability.check(f"{gcs}/models", "model_repository")

    assert Folder(gcs).list() == before


@pytest.mark.parametrize("kind", ["s3", "gcs"])
def test_a_bucket_that_does_not_exist_is_named(kind: str, request: pytest.FixtureRequest) -> None:
    uri = request.getfixturevalue(kind)
    scheme = uri.partition("://")[0]

    with pytest.raises(UserError, match=rf"^x: cannot write there: {scheme}://missing-bucket/a"):
        writability.check(f"{scheme}://missing-bucket/a", "x")
