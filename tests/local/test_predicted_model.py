"""What `--model` of `kfp-tabular predict` names, and what it refuses in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.registry import VersionDraft, open_registry
from kfp_tabular.pipelines.local.batch_prediction import model_uri

PROGRAM = Path(sys.executable).with_name("kfp-tabular")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a registry with the model `homes`; its file is the embedded store."""
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/.kfp-tabular/mlflow.db"
    register(uri, "homes")
    return uri


def register(uri: str, name: str) -> None:
    registry = open_registry(uri)
    assert registry is not None
    Path(name).mkdir()
    registry.add(name, VersionDraft("sha256:0a", f"/models/{name}", Path(name)))


def test_a_registered_model_is_named_as_in_mlflow_or_by_its_alias(store: str) -> None:
    assert model_uri("models:/homes/3") == "models:/homes/3"
    assert model_uri("homes@champion") == "models:/homes@champion"
    assert model_uri("champion", store) == "models:/homes@champion"
    assert model_uri("s3://models/homes@2") == "s3://models/homes@2"


def test_a_folder_wins_over_an_alias(store: str) -> None:
    Path("champion").mkdir()
    Path("champion", "model.json").touch()
    assert model_uri("champion", store) == str(Path("champion").absolute())


def test_an_alias_of_several_models_is_refused(store: str) -> None:
    register(store, "taxi")
    with pytest.raises(UserError, match=r"several models \(homes, taxi\).*models:/homes@previous"):
        model_uri("previous", store)


def test_an_alias_without_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no registered models"):
        model_uri("champion", f"sqlite:///{tmp_path}/empty/mlflow.db")
    with pytest.raises(UserError, match="no registry is in use"):
        model_uri("champion", "none")


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("models:/homes", "models:/homes: expected models:/NAME@champion"),
        ("champoin", "--model champoin: not found. Give a run's folder"),
        ("champion", "mlflow.db has no registered models"),
    ],
)
def test_a_wrong_name_is_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, line: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "data.csv").write_text("a\n1\n")
    done = subprocess.run(
        [str(PROGRAM), "predict", "--model", model, "--data", "data.csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["models", "predict"])
def test_a_registry_that_is_away_is_one_line(tmp_path: Path, command: str) -> None:
    (tmp_path / "data.csv").write_text("a\n1\n")
    given = ["list"] if command == "models" else ["--model", "m@champion", "--data", "data.csv"]
    done = subprocess.run(
        [str(PROGRAM), command, *given, "--tracking-uri", "http://127.0.0.1:9"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert "http://127.0.0.1:9: no answer: " in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
