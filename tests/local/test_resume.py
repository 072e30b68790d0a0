"""A stopped, killed or failed run goes on."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.local import resumable
from tests.local import small_runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_runs.prepare(tmp_path)
    return tmp_path


def resume(folder: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(small_runs.PROGRAM), "run", "--resume", "out", *map(str, arguments)],
        cwd=folder,
        env=small_runs.environment(folder, {"KFP_TABULAR_CACHE": "off"}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def interrupt(folder: Path, number: signal.Signals = signal.SIGTERM) -> None:
    """Run until the second task waits, and end the run with a signal."""
    output = folder / "out"
    words = small_runs.command(folder, "--output", output, "--param", "mode=wait")
    with subprocess.Popen(
        words,
        cwd=folder,
        env=small_runs.environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        log = output / "logs" / "double.log"
        while not (log.is_file() and "waiting" in log.read_text()):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_finished_tasks_are_not_repeated(folder: Path, number: signal.Signals) -> None:
    interrupt(folder, number)
    artifacts = next((folder / "out" / "artifacts").iterdir())
    (folder / "go").touch()

    done = resume(folder)

    assert done.returncode == 0, done.stderr
    assert small_runs.statuses(folder / "out") == {"count": "cached", "double": "succeeded"}
    assert small_runs.journal(folder) == ["count", "double", "double"]
    assert list((folder / "out" / "artifacts").iterdir()) == [artifacts]
    assert (artifacts / "double" / "note").read_text() == "# 4 lines"
    again = resume(folder)
    assert again.returncode == 2
    assert "this run succeeded" in again.stderr


def test_a_stopped_run_says_how_to_go_on(folder: Path) -> None:
    failed = small_runs.run(folder, "--output", "out", "--param", "mode=fail")
    assert failed.returncode == 1
    assert "to go on: kfp-tabular run --resume out" in failed.stderr

    source = folder / "small.py"
    source.write_text(source.read_text().replace('raise ValueError("broken")', "pass"))
    done = resume(folder, "--param", "mode=fail")

    assert done.returncode == 0, done.stderr
    assert small_runs.statuses(folder / "out") == {"count": "cached", "double": "succeeded"}


def test_changed_data_are_said(folder: Path) -> None:
    interrupt(folder)
    (folder / "go").touch()
    (folder / "data.txt").write_text("a\n")

    done = resume(folder)

    assert done.returncode == 0, done.stderr
    line = "count: the data that its arguments name changed since it finished, so it runs again"
    assert line in done.stderr
    assert small_runs.journal(folder) == ["count", "double", "count", "double"]
    (finding,) = small_runs.summary(folder / "out")["findings"]
    assert (finding["task"], finding["code"]) == ("count", "changed-since")


def test_outputs_that_were_touched_are_made_again(folder: Path) -> None:
    interrupt(folder)
    (folder / "go").touch()
    next((folder / "out").glob("artifacts/*/count/table/deep/lines.txt")).write_text("77")

    done = resume(folder)

    assert done.returncode == 0, done.stderr
    assert "count: its outputs changed since it finished" in done.stderr
    assert (next((folder / "out").glob("artifacts/*/double/note"))).read_text() == "# 4 lines"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--param", "mode=other"), '\'mode\' is "wait" in that run, not "other"'),
        (("--output", "else"), "--output: --resume goes on in the folder of the run"),
        (("--overwrite",), "--overwrite: --resume goes on in the folder of the run"),
        (("--pipeline", "validation"), "--pipeline validation: the run in"),
        (("--runner", "docker"), "--runner docker: the run in"),
        (("--param", "source_urj=x"), "source_urj"),
    ],
)
def test_what_differs_is_named(
    folder: Path, arguments: tuple[str, ...], message: str, recorded: Path
) -> None:
    os.link(recorded / "run.json", recorded / "same.json")
    refused = resume(folder, *arguments)
    assert refused.returncode == 2
    (line,) = [text for text in refused.stderr.splitlines() if "error" in text.lower()]
    assert message in line


@pytest.fixture
def recorded(folder: Path) -> Path:
    """The folder of a run that failed."""
    failed = small_runs.run(
        folder, "--output", "out", "--param", "mode=wait", "--param", "source_uri="
    )
    assert failed.returncode == 1
    return folder / "out"


def test_a_run_stays_where_it_is(recorded: Path) -> None:
    """Outputs name their files: those of a moved run may be another run's by now."""
    moved = recorded.rename(recorded.with_name("moved"))
    with pytest.raises(UserError, match=r"was started in .*/out, and its files refer"):
        resumable.check(moved)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../elsewhere"},
        {"name": ".."},
        {"name": "../small-2026-01-02-03-04-05-678901"},
        {"name": 3},
        {"arguments": []},
        {"tasks": {"count": {"key": "k", "fingerprint": [], "outputs": ""}}},
        {"format": 2},
    ],
)
def test_a_manipulated_record_is_refused(recorded: Path, change: dict[str, object]) -> None:
    file = recorded / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UserError, match=r"run\.json cannot be read"):
        resumable.check(recorded)


def test_artifacts_that_are_elsewhere_are_not_touched(recorded: Path, tmp_path: Path) -> None:
    (artifacts,) = (recorded / "artifacts").iterdir()
    artifacts.rename(tmp_path / "elsewhere")
    artifacts.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link"):
        resumable.check(recorded)


def test_only_a_run_can_be_resumed(folder: Path) -> None:
    assert "there is no such folder" in resume(folder).stderr
    (folder / "out").mkdir()
    refused = resume(folder)
    assert refused.returncode == 2
    assert "it is not the folder of a run" in refused.stderr
