"""The wheel works where there is no clone: it compiles, renders and makes environments."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UV = ROOT / ".venvs" / "uv" / "bin" / "uv"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` leaves in site-packages, in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["--build-constraints", str(ROOT / "components" / "images" / "build.txt")]
    subprocess.run(
        [UV, "build", "-q", "--wheel", *build, "--require-hashes", "--out-dir", folder, ROOT],
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def _command(installed: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    # -P: the folder that a command runs in is not where modules come from.
    program = "from kfp_tabular.pipelines.cli import main; main()"
    environment = {key: value for key, value in os.environ.items() if key != "KFP_TABULAR_VENVS"}
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(installed), "XDG_DATA_HOME": str(folder / "data")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_compiles_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    done = _command(
        installed, tmp_path, "compile", "--pipeline", "training", "--output", "spec.yaml"
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "spec.yaml").read_text() == (
        ROOT / "tests" / "compile" / "golden" / "training.yaml"
    ).read_text()


def test_it_renders_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("parameters: {label: churned, data_uri: 'gs://b/d.csv'}\n")

    done = _command(installed, tmp_path, "render", "inference-service", "--config", "c.yaml")

    assert done.returncode == 0, done.stderr
    assert "kind: InferenceService" in done.stdout


def test_without_environments_it_names_the_command_that_makes_them(
    installed: Path, tmp_path: Path
) -> None:
    done = _command(installed, tmp_path, "serve", "--model", "model")

    assert done.returncode == 2
    assert "Run 'kfp-tabular setup'" in done.stderr


def test_it_makes_an_environment_that_holds_the_package(installed: Path, tmp_path: Path) -> None:
    done = _command(installed, tmp_path, "setup", "launcher")

    assert done.returncode == 0, done.stderr
    venv = tmp_path / "data" / "kfp-tabular" / "venvs" / "launcher"
    program = "import kfp_tabular.components as c, kfp, kubernetes; print(*c.__path__)"
    ran = subprocess.run(
        [venv / "bin" / "python", "-P", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip().startswith(str(venv))
    assert "everything is ready" in _command(installed, tmp_path, "setup", "launcher").stdout
