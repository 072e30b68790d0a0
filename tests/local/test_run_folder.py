"""Who may write to a run's folder, and what is left there."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.local import run_folder
from tests.local import small_runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_runs.prepare(tmp_path)
    return tmp_path


def test_results_are_only_replaced_on_demand(folder: Path) -> None:
    output = folder / "runs" / "first"
    assert small_runs.run(folder, "--output", output).returncode == 0
    report = (output / "report.html").read_bytes()
    (output / "notes.txt").write_text("mine")
    (output / "artifacts" / "mine").mkdir()
    (output / "logs" / "mine.log").write_text("mine")

    refused = small_runs.run(folder, "--output", output)

    assert refused.returncode == 2
    (line,) = [text for text in refused.stderr.splitlines() if "error" in text]
    assert f"--output {output}: it holds the results of an earlier run." in line
    assert "add --overwrite" in line
    assert (output / "report.html").read_bytes() == report

    (folder / "data.txt").write_text("a\nb\nc\n")
    again = small_runs.run(folder, "--output", output, "--overwrite")

    assert again.returncode == 0, again.stderr
    assert "# 6 lines" in next(output.glob("artifacts/small-*/double/note")).read_text()
    assert len(list(output.glob("artifacts/*"))) == 2
    assert (output / "notes.txt").read_text() == "mine"
    assert (output / "logs" / "mine.log").read_text() == "mine"


def test_a_run_without_results_is_replaced(folder: Path) -> None:
    output = folder / "out"
    (folder / "data.txt").unlink()
    assert small_runs.run(folder, "--output", output).returncode == 1
    small_runs.prepare(folder)

    again = small_runs.run(folder, "--output", output)

    assert again.returncode == 0, again.stderr


def test_inputs_of_a_run_are_not_removed_for_another(folder: Path) -> None:
    output = folder / "out"
    assert small_runs.run(folder, "--output", output).returncode == 0
    lines = next(output.glob("artifacts/*/count/table/deep/lines.txt"))

    refused = small_runs.run(
        folder, "--output", output, "--overwrite", "--param", f"source_uri={lines}"
    )

    assert refused.returncode == 2
    assert "source_uri" in refused.stderr
    assert lines.is_file()


@pytest.mark.parametrize("name", ["report.html", "summary.json", "pipeline.yaml", "pages"])
def test_files_of_others_are_never_replaced(folder: Path, name: str) -> None:
    output = folder / "site"
    output.mkdir()
    (output / name).write_text("mine")

    refused = small_runs.run(folder, "--output", output, "--overwrite")

    assert refused.returncode == 2
    assert f"it has a '{name}' that is not of a run" in refused.stderr
    assert [path.name for path in output.iterdir()] == [name]


def test_a_folder_with_other_files_can_hold_a_run(folder: Path) -> None:
    done = small_runs.run(folder, "--output", folder)

    assert done.returncode == 0, done.stderr
    assert (folder / "data.txt").is_file()


def test_only_one_run_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    with run_folder.locked(tmp_path):
        assert run_folder.is_running(tmp_path)
        with pytest.raises(UserError, match="another run is writing there"):
            run_folder.locked(tmp_path).__enter__()
    assert not run_folder.is_running(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_has_a_report(folder: Path, number: signal.Signals) -> None:
    output = folder / "out"
    process = start_waiting(folder, output)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert f"report: {output}/report.html" in errors
    assert small_runs.summary(output)["status"] == "stopped"
    assert small_runs.statuses(output) == {"count": "succeeded", "double": "stopped"}
    page = (output / "report.html").read_text()
    assert "Run stopped" in page
    assert "stopped" in page


def start_waiting(folder: Path, output: Path, *arguments: object) -> "subprocess.Popen[str]":
    """Start a run and return it once its second task waits."""
    words = small_runs.command(folder, "--output", output, "--param", "mode=wait", *arguments)
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=small_runs.environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = output / "logs" / "double.log"
    while not (log.is_file() and "waiting" in log.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    return process


def test_the_report_is_opened(folder: Path) -> None:
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >{folder}/opened\n')
    browser.chmod(0o755)
    output = folder / "out"

    done = small_runs.run(folder, "--output", output, "--open", more={"BROWSER": str(browser)})

    assert done.returncode == 0, done.stderr
    assert (folder / "opened").read_text() == f"file://{output}/report.html\n"

    browser.write_text("#!/bin/sh\nexit 1\n")
    none = small_runs.run(
        folder, "--output", folder / "other", "--open", more={"BROWSER": str(browser)}
    )
    assert none.returncode == 0
    assert "--open: no browser was found" in none.stderr
