"""The command lines that are given to an engine, and which engine that is."""

import stat
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.local.containers import engine
from kfp_tabular.pipelines.local.containers.engine import Container, Engine, Mount
from kfp_tabular.pipelines.local.containers.ownership import Loan, check_readable

CONTAINER = Container(
    name="kfp-tabular-a-1",
    image="registry:5000/team/tfdv@sha256:abc",
    command=["sh", "-ec", "echo 1", "x"],
    user="1000:1000",
    mounts=[Mount(Path("/out"), Path("/out"), writable=True), Mount(Path("/d"), Path("/d"))],
    environment={"A": "b c"},
    forwarded=["AWS_ACCESS_KEY_ID"],
)


def test_a_container_has_no_rights_and_a_root_it_cannot_write() -> None:
    command = Engine("docker").command(CONTAINER)

    assert command[:2] == ["docker", "run"]
    options = set(command[2 : command.index(CONTAINER.image)])
    assert {
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--network=none",
        "--user=1000:1000",
        "--rm",
        "--init",
        "--pull=never",
        "--mount=type=bind,source=/out,target=/out",
        "--mount=type=bind,source=/d,target=/d,readonly",
        "--env=A=b c",
        "--env=AWS_ACCESS_KEY_ID",
        "--entrypoint=sh",
    } <= options
    # The image's own entry point must not come before the task's command.
    assert command[command.index(CONTAINER.image) + 1 :] == ["-ec", "echo 1", "x"]


def test_values_of_credentials_are_on_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "secret-value")
    assert not any("secret-value" in part for part in Engine("docker").command(CONTAINER))


def test_rootless_podman_maps_the_caller_to_itself() -> None:
    assert "--userns=keep-id" in Engine("podman", podman=True, rootless=True).command(CONTAINER)
    assert "--userns=keep-id" not in Engine("podman", podman=True).command(CONTAINER)


@pytest.mark.parametrize(
    ("engine", "caller", "user"),
    [
        (Engine("docker"), 1000, "1000:1000"),
        (Engine("docker"), 0, engine.UNPRIVILEGED),
        (Engine("docker", rootless=True), 1000, "0:0"),
        (Engine("podman", podman=True, rootless=True), 1000, "1000:1000"),
        (Engine("podman", podman=True), 0, engine.UNPRIVILEGED),
    ],
)
def test_who_a_container_runs_as(
    engine: Engine, caller: int, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: caller)
    monkeypatch.setattr("os.getgid", lambda: caller)
    assert engine.user() == user


def test_paths_below_roots_home_can_be_reached() -> None:
    path = Path("/root/work/out")
    container = Container("n", "i:1", ["true"], "1:1", mounts=[Mount(path, path)])
    assert any(o.startswith("--tmpfs=/root:") for o in Engine("docker").command(container))


def test_a_path_that_an_engine_cannot_mount_is_named() -> None:
    path = Path("/data/a,b")
    container = Container("n", "i:1", ["true"], "1:1", mounts=[Mount(path, path)])
    with pytest.raises(UserError, match="a,b.*comma"):
        Engine("docker").command(container)


def _program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(engine.VARIABLE, raising=False)
    return tmp_path


def test_the_engine_that_answers_is_taken(programs: Path) -> None:
    _program(programs, "docker", "echo 'Cannot connect to the daemon' >&2; exit 1")
    _program(programs, "podman", """echo '{"host": {"security": {"rootless": true}}}'""")

    found = Engine.find()

    assert found == Engine(str(programs / "podman"), podman=True, rootless=True)


def test_rootless_docker_is_recognised(programs: Path) -> None:
    _program(programs, "docker", """echo '{"SecurityOptions": ["name=rootless"]}'""")
    assert Engine.find() == Engine(str(programs / "docker"), rootless=True)


def test_the_error_without_an_engine_lists_what_was_tried(programs: Path) -> None:
    _program(programs, "docker", "echo 'Cannot connect to the daemon' >&2; exit 1")

    with pytest.raises(UserError) as raised:
        Engine.find()

    for part in ("Cannot connect to the daemon", "podman is not installed", "--runner venv"):
        assert part in str(raised.value)


def test_a_docker_without_a_daemon_is_not_an_engine(programs: Path) -> None:
    # A docker client exits with 0 when its daemon does not answer and a format is given.
    _program(programs, "docker", """echo '{"ServerErrors": ["no daemon at unix:///x"]}'""")

    with pytest.raises(UserError, match="no daemon at unix"):
        Engine.find()


def test_the_error_for_a_missing_image_tells_how_to_get_it(programs: Path) -> None:
    _program(programs, "docker", "echo 'no such host' >&2; exit 1")

    with pytest.raises(UserError, match="registry.example/x:1.*no such host.*make images"):
        Engine(str(programs / "docker")).require("registry.example/x:1")


@pytest.mark.skipif("os.getuid() != 0", reason="only root can give files away")
def test_a_loan_is_given_back(tmp_path: Path) -> None:
    folder, way = tmp_path / "run/task", tmp_path / "run"
    way.mkdir(mode=0o700)
    (way / "other").write_text("")
    loan = Loan([folder], [way], "54321:54321")

    loan.give()
    (folder / "made").write_text("")
    (folder / "link").symlink_to(way / "other")
    assert (folder.stat().st_uid, way.stat().st_uid) == (54321, 54321)
    assert (way / "other").stat().st_uid == 0
    loan.take_back()

    assert {path.lstat().st_uid for path in [way, *way.rglob("*")]} == {0}


def test_what_a_container_may_not_read_is_named(tmp_path: Path) -> None:
    file, folder = tmp_path / "data.csv", tmp_path / "folder"
    file.write_text("")
    folder.mkdir()
    file.chmod(0o644)
    folder.chmod(0o755)
    check_readable([file, folder], "1:1")

    for path, mode in ((folder, 0o750), (file, 0o600)):
        path.chmod(mode)
        with pytest.raises(UserError, match=rf"{path}.*chmod"):
            check_readable([path], "1:1")


def test_an_image_is_identified_by_its_content(programs: Path) -> None:
    _program(
        programs,
        "docker",
        f'echo "$*" >{programs}/asked; case "$*" in *here*) echo sha256:ab;; *) exit 1;; esac',
    )
    docker = Engine(str(programs / "docker"))

    assert docker.identity("docker.io/team/here:1") == "sha256:ab"
    asked = (programs / "asked").read_text().split()
    assert asked == ["image", "inspect", "--format", "{{.Id}}", "docker.io/team/here:1"]
    # Nothing is known of an image that is not here, nor without an answer of the daemon.
    assert docker.identity("team/other:1") == ""
    _program(programs, "docker", "exit 0")
    assert docker.identity("team/here:1") == ""
