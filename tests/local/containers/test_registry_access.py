"""What a container sees of the tracking store and of registered models."""

from pathlib import Path

import pytest

from kfp_tabular.components.common.registry import VersionDraft, open_registry, promotion
from kfp_tabular.pipelines.local.containers import container_runner, registry_access
from kfp_tabular.pipelines.local.containers.container_runner import ContainerRunner
from kfp_tabular.pipelines.local.containers.engine import Container, Engine, Mount
from kfp_tabular.pipelines.local.execution.task_runner import LocalRunRequest, TaskCall

LOGIN = {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "secret", "HOME": "/root"}


def test_the_embedded_store_is_seen_and_written(tmp_path: Path) -> None:
    home = tmp_path / "home"

    found = registry_access.of_task({"tracking_uri": ""}, {"KFP_TABULAR_HOME": str(home)})

    assert found.mounts == (Mount(home, home, writable=True),)
    assert found.environment == {"KFP_TABULAR_HOME": str(home)}
    assert (found.folder, found.forwarded, found.is_remote) == (home, (), False)
    assert home.is_dir()


@pytest.mark.parametrize("where", ["argument", "variable"])
def test_the_folder_of_another_file_is_seen(tmp_path: Path, where: str) -> None:
    uri = f"sqlite:///{tmp_path}/team/runs.db"
    is_argument = where == "argument"

    found = registry_access.of_task(
        {"tracking_uri": uri if is_argument else ""},
        {} if is_argument else {"MLFLOW_TRACKING_URI": uri},
    )

    assert found.folder == tmp_path / "team"
    assert found.environment == ({} if is_argument else {"MLFLOW_TRACKING_URI": uri})


def test_a_server_needs_a_network_and_the_login() -> None:
    variables = {"MLFLOW_TRACKING_URI": "https://mlflow.example.com", **LOGIN}

    found = registry_access.of_task({"tracking_uri": ""}, variables)

    assert (found.folder, found.mounts, found.is_remote) == (None, (), True)
    assert found.forwarded == (
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_TRACKING_USERNAME",
    )


@pytest.mark.parametrize("parameters", [{}, {"tracking_uri": "none"}, {"data_uri": "/data"}])
def test_other_tasks_see_nothing_of_it(parameters: dict[str, str], tmp_path: Path) -> None:
    variables = {"KFP_TABULAR_HOME": str(tmp_path / "home"), **LOGIN}
    assert registry_access.of_task(parameters, variables) == registry_access.RegistryAccess()
    assert not (tmp_path / "home").exists()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The directory of the champion of `taxi`."""
    directory = tmp_path / "run-1" / "models" / "taxi" / "1"
    directory.mkdir(parents=True)
    registry = open_registry(f"sqlite:///{tmp_path}/home/mlflow.db")
    assert registry is not None
    (tmp_path / "documents").mkdir()
    draft = VersionDraft("sha256:0a", str(directory), tmp_path / "documents")
    with promotion.rollout(registry, registry.add("taxi", draft), None, {}):
        pass
    return directory


@pytest.mark.parametrize(
    "named",
    [
        {"baseline": "champion", "model_name": "taxi"},
        {"baseline_model_uri": "models:/taxi/1"},
        {"model": "models:/taxi@champion"},
    ],
)
def test_a_registered_model_is_seen_where_it_is(
    tmp_path: Path, model: Path, named: dict[str, str]
) -> None:
    variables = {"KFP_TABULAR_HOME": str(tmp_path / "home")}

    found = registry_access.of_task({"tracking_uri": "", **named}, variables)

    assert found.mounts[1:] == (Mount(model, model),)


@pytest.mark.parametrize("named", ["models:/taxi/7", "models:/bus@champion", "models:/taxi"])
@pytest.mark.usefixtures("model")
def test_what_is_not_registered_is_left_to_the_task_to_complain_of(
    tmp_path: Path, named: str
) -> None:
    variables = {"KFP_TABULAR_HOME": str(tmp_path / "home")}
    found = registry_access.of_task({"tracking_uri": "", "model": named}, variables)
    assert found.mounts[1:] == ()


def test_a_container_gets_it(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Container] = []
    owned: list[list[Path]] = []

    class Loan:
        def __init__(self, folders: list[Path], ways: object, user: str) -> None:
            self._folders = folders

        def give(self) -> None:
            owned.append(self._folders)

        def take_back(self) -> None:
            owned.append(self._folders)

    monkeypatch.setattr(container_runner, "Loan", Loan)
    monkeypatch.setattr(
        container_runner, "_ContainerProcess", lambda _engine, container, _loan: container
    )
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("KFP_TABULAR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(Engine, "user", lambda _self: container_runner.UNPRIVILEGED)
    run = tmp_path / "run-2"
    run.mkdir()
    request = LocalRunRequest([], {}, run, run / "logs")

    def call(name: str, **parameters: str) -> TaskCall:
        return TaskCall(name, "launcher:1", ["true"], {}, run / "artifacts" / name, parameters)

    with ContainerRunner(Engine("docker")).opened(request) as starter:
        for task in (
            call("ingest-data", data_uri=""),
            call("evaluate-model", tracking_uri="", baseline="champion", model_name="taxi"),
        ):
            started.append(starter.start(task))  # type: ignore[arg-type]

    first, second = started
    home = tmp_path / "home"
    assert "KFP_TABULAR_HOME" not in first.environment
    assert [mount.source for mount in first.mounts] == [run]
    assert second.environment["KFP_TABULAR_HOME"] == str(home)
    assert [mount.source for mount in second.mounts] == [run, home, model]
    assert [mount.writable for mount in second.mounts] == [True, True, False]
    assert second.network == "none"
    assert owned == [[home], [home]]
