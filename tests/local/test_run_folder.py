"""Who may write to a run's folder, and what is left there."""

import fcntl
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.local import run_folder
from kfp_tabular.pipelines.local.run_record import RunRecord
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

    (folder / "link").symlink_to(lines.parent)
    for named in (lines, f"{folder}/here/../link/lines.txt", lines.as_uri()):
        refused = small_runs.run(
            folder, "--output", output, "--overwrite", "--param", f"source_uri={named}"
        )

        assert refused.returncode == 2
        assert "source_uri" in refused.stderr
        assert lines.is_file()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The folder of a run, as one leaves it."""
    output = tmp_path / "out"
    for file in (
        *("artifacts/small-2026-01-02-03-04-05-678901/count/table/lines.txt", ".run.lock"),
        *("pages/count.note.html", "logs/count.log", "logs/kfp.log", "report.html"),
    ):
        (output / file).parent.mkdir(parents=True, exist_ok=True)
        (output / file).write_text("ours")
    (output / "pipeline.yaml").write_text(
        "pipelineInfo: {name: small}\n"
        "components: {comp-count: {executorLabel: count}}\n"
        "deploymentSpec: {executors: {count: {container: {image: a}}}}\n"
        "root: {dag: {tasks: {count: {componentRef: {name: comp-count}}}}}\n"
    )
    record(output).save(output)
    return output


def record(output: Path) -> RunRecord:
    return RunRecord(
        *("small", "", "venv"),
        name="small-2026-01-02-03-04-05-678901",
        folder=str(output),
        arguments={},
    )


def test_all_of_a_run_is_removed(output: Path) -> None:
    run_folder.clear(output)
    assert [path.name for path in output.iterdir()] == [".run.lock"]


def test_nothing_else_is_removed(output: Path, tmp_path: Path) -> None:
    """Of a folder of artifacts that several runs share, or that is elsewhere."""
    shared = (output / "artifacts").rename(tmp_path / "shared")
    (output / "artifacts").symlink_to(shared)
    of_another = shared / "small-2026-02-02-03-04-05-678901"
    of_another.mkdir()
    theirs = [output / "pages" / "mine.html", output / "logs" / "mine.log", output / "notes"]
    for file in theirs:
        file.write_text("mine")

    run_folder.clear(output)

    assert list(shared.iterdir()) == [of_another]
    assert [file.read_text() for file in theirs] == ["mine"] * 3
    left = {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()}
    assert left == {".run.lock", "pages/mine.html", "logs/mine.log", "notes"}


def test_a_manipulated_spec_leads_nowhere_else(output: Path, tmp_path: Path) -> None:
    (tmp_path / "count.log").write_text("mine")
    spec = output / "pipeline.yaml"
    spec.write_text(spec.read_text().replace("tasks: {count:", "tasks: {../../count:"))
    run_folder.clear(output)
    assert (tmp_path / "count.log").is_file()


@pytest.mark.parametrize("text", ["{", "[]", "pipelineInfo: {}"])
def test_a_spec_that_cannot_be_read_is_named(output: Path, text: str) -> None:
    (output / "pipeline.yaml").write_text(text)
    with pytest.raises(UserError, match=r"pipeline\.yaml of the run there cannot be read"):
        run_folder.clear(output)
    assert (output / "report.html").is_file()


@pytest.mark.parametrize(
    "pattern", ["{out}/artifacts/*/count/table/*.txt", "{out}/art*/**", "{link}/*/count/**"]
)
def test_patterns_and_nested_arguments_name_inputs_too(
    output: Path, tmp_path: Path, pattern: str
) -> None:
    (tmp_path / "link").symlink_to(output / "artifacts")
    named = pattern.format(out=output, link=tmp_path / "link")
    with pytest.raises(UserError, match=r"options\.tables\.0: .* this run would replace"):
        run_folder.check_inputs(output, {"options": {"tables": [named]}})
    run_folder.check_inputs(output, {"data_uri": f"{output}/*.csv", "label": "\0", "task": ""})


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


def test_looking_does_not_keep_a_run_from_starting(tmp_path: Path) -> None:
    with run_folder.locked(tmp_path):
        pass
    with (tmp_path / run_folder.LOCK_FILE).open() as looking, ThreadPoolExecutor(1) as pool:
        fcntl.flock(looking, fcntl.LOCK_SH)
        started = pool.submit(run_folder.locked(tmp_path).__enter__)
        fcntl.flock(looking, fcntl.LOCK_UN)
        started.result()


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
