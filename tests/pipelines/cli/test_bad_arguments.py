"""Arguments that cannot be used end a command with one line and code 2."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kfp_tabular.pipelines.cli import cli, command

MAIN = "from kfp_tabular.pipelines.cli import main; main()"


def small_files() -> None:
    """Let the process write files of a thousand bytes, as on a disk that is nearly full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def test_a_full_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "config-schema", "--output", str(tmp_path / "schema.json")],
        capture_output=True,
        text=True,
        preexec_fn=small_files,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"kfp-tabular: error: --output {tmp_path}/schema.json: cannot be written: File too large."
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--label", os.fsdecode(b"caf\xe9")], "argument 3, 'caf\\xe9', is not valid UTF-8"),
        (["run", "--data", "d.csv", "--label", ""], "--label: the value is empty"),
        (["config-schema", "--output", "loop"], "symbolic links"),
        (["config-schema", "--output", "x" * 300], "File name too long"),
        (["config-schema", "--output", "file/below"], "Not a directory"),
        (["run", "--data", "d.csv", "--label", "b", "--output", "loop"], "--output loop: symbolic"),
        (["params", "--pipeline", f"{'x' * 300}.py:f"], "file name too long"),
    ],
)
def test_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    monkeypatch.setattr(sys, "argv", ["kfp-tabular", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("kfp-tabular: error: ")
    assert words in line


MODEL_TYPES = [
    (["model_type=trees", "workers=2"], "train-model: model_type: 'trees' trains in one process"),
    (["model_type=blend", "workers=2"], "train-model: model_type: 'blend' trains in one process"),
    (["model_type=trees", "model_fn=my:model"], "cannot be combined with model_fn"),
    (['hyperparameters={"model_type": "trees"}', "workers=2"], "not with 2 workers"),
    (
        [
            "model_type=trees",
            "training_backend=tfjob",
            'training_job={"workers": 2, "parameter_servers": 1}',
        ],
        "train-model: model_type: 'trees' trains in one process",
    ),
    (
        [
            "model_type=trees",
            "max_trials=2",
            "tuning_backend=katib",
            'trial_job={"workers": 2}',
        ],
        "tune-hyperparameters: model_type: 'trees' trains in one process",
    ),
]


@pytest.mark.parametrize("how", ["run", "submit", "compile"])
@pytest.mark.parametrize(("parameters", "words"), MODEL_TYPES)
def test_a_model_type_that_cannot_be_trained_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: str,
    parameters: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("age,left\n30,0\n40,1\n")
    given = [part for value in parameters for part in ("--param", value)]
    arguments = ["run", "--data", "people.csv", "--label", "left", "--output", "runs/x", *given]
    if how == "submit":
        server = ["--host", "http://127.0.0.1:9"]
        arguments = ["submit", "--data", "gs://b/a.csv", "--label", "left", *server, *given]
    if how == "compile":
        lines = [f"  {value.replace('=', ': ', 1)}" for value in parameters]
        (tmp_path / "config.yaml").write_text("\n".join(["parameters:", *lines]))
        arguments = ["compile", "--config", "config.yaml", "--output", "pipeline.yaml"]
    monkeypatch.setattr(sys, "argv", ["kfp-tabular", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("kfp-tabular: error: ")
    assert words in line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["compile", "--output", ""],
        ["config-schema", "--output", ""],
        ["sample-data", "--output", ""],
        ["run", "--output", ""],
        ["demo", "--output", ""],
        ["run", "--config", ""],
        ["serve", "--model", ""],
        ["render", "tfjob", "--output", ""],
    ],
)
def test_empty_paths(arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert "the value is empty; give a path" in done.output
