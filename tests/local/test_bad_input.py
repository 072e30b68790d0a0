"""Bad input through the command line: one clear line, exit code 2, nothing published."""

import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("kfp-tabular")
GOOD = "amount,kind,label\n" + "".join(f"{i % 17},{'ab'[i % 2]},{i % 2}\n" for i in range(400))


def kfp_tabular(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)


def _error(done: "subprocess.CompletedProcess[str]") -> str:
    """Check the form of an error and return its line."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [text for text in done.stderr.splitlines() if "kfp-tabular: error:" in text]
    return line


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("", [], "is empty"),
        ("amount,kind,label\n", [], "no rows"),
        (GOOD, ["--label", "lable"], "Did you mean 'label'"),
        (GOOD, ["--exclude", "label"], "excluded"),
        (GOOD, ["--exclude", "amont"], "Did you mean 'amount'"),
        (GOOD.replace(",1\n", ",0\n"), [], "nothing to learn"),
        ("a,a,label\n1,2,0\n", [], "more than one column"),
        (GOOD + "1,2\n" * 50, [], "rejected"),
        (GOOD, ["--param", "epoch=1"], "Did you mean 'epochs'"),
        (GOOD, ["--param", "epochs"], "KEY=VALUE"),
        (GOOD, ["--param", "fail_on=sometimes"], "fail_on"),
        (GOOD, ["--param", "slice_columns=knid"], "slice_columns: the examples have no column"),
        (GOOD, ["--param", 'split_fractions={"train":1,"test":0.0000001}'], "split"),
    ],
)
def test_bad_data_or_options(
    content: str, options: Sequence[str], message: str, tmp_path: Path
) -> None:
    data = tmp_path / "data.csv"
    data.write_text(content)
    label = [] if "--label" in options else ["--label", "label"]

    done = kfp_tabular("run", "--data", data, *label, *options, "--output", tmp_path / "out")

    assert message in _error(done)
    assert not (tmp_path / "out" / "models").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    done = kfp_tabular("run", "--data", tmp_path / "no.csv", "--label", "x", "--output", tmp_path)

    assert "no.csv" in _error(done)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["status"] == "failed"
    assert summary["tasks"][0]["status"] == "failed"
    assert {task["status"] for task in summary["tasks"][1:]} == {"skipped"}


def test_an_unknown_key_in_the_configuration_names_the_closest(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("parameter: {}\n")

    done = kfp_tabular(
        "compile", "--pipeline", "training", "--config", config, "--output", tmp_path / "p.yaml"
    )

    assert "Did you mean 'parameters'" in _error(done)
    assert not (tmp_path / "p.yaml").exists()


def test_a_truncated_gzip_file_is_named(tmp_path: Path) -> None:
    data = tmp_path / "data.csv.gz"
    data.write_bytes(gzip.compress(GOOD.encode())[:-20])

    done = kfp_tabular("run", "--data", data, "--label", "label", "--output", tmp_path / "out")

    assert "data.csv.gz" in _error(done)


def test_a_model_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path) in _error(kfp_tabular("serve", "--model", tmp_path, "--port", 18080))


@pytest.mark.parametrize("arguments", [[], ["run"], ["run", "--data", "x"], ["fly"]])
def test_wrong_usage(arguments: Sequence[str]) -> None:
    assert kfp_tabular(*arguments).returncode == 2


@pytest.mark.parametrize("command", ["compile", "config-schema", "render"])
def test_an_output_that_cannot_be_written_is_named(tmp_path: Path, command: str) -> None:
    kind = ["tfjob"] if command == "render" else []

    done = kfp_tabular(command, *kind, "--output", tmp_path)

    assert f"{tmp_path}: cannot be written: Is a directory." in _error(done)
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_runs_folder_is_named(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.write_text("mine")

    done = kfp_tabular("run", "--data", "x.csv", "--label", "x", "--output", output)

    assert f"--output {output}: not a writable folder" in _error(done)
    assert output.read_text() == "mine"


@pytest.mark.parametrize("argument", ["model_repository", "study_directory"])
def test_a_place_that_cannot_be_written_is_named_before_anything_runs(
    tmp_path: Path, argument: str
) -> None:
    data, place = tmp_path / "data.csv", tmp_path / "place"
    data.write_text(GOOD)
    place.write_text("a file")

    done = kfp_tabular(
        "run",
        *("--data", data, "--label", "label", "--output", tmp_path / "out"),
        *("--param", f"{argument}={place}/models"),
    )

    assert f"{argument}: {place} is a file, not a directory." in _error(done)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["--data", "x.csv"], ["--data", "", "--label", "x"], ["--param", "nosuch=1"]]
)
def test_a_run_that_cannot_start_leaves_no_folder(tmp_path: Path, arguments: Sequence[str]) -> None:
    _error(kfp_tabular("run", *arguments, "--output", tmp_path / "out"))

    assert not (tmp_path / "out").exists()
