"""Runs that use what earlier runs have done, through the command line."""

import os
import subprocess
from pathlib import Path

import pytest

from kfp_tabular.components.common.artifacts import lineage
from tests.local import small_runs

DONE = {"count": "succeeded", "double": "succeeded"}
CACHED = {"count": "cached", "double": "cached"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_runs.prepare(tmp_path)
    return tmp_path


def run(folder: Path, name: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    done = small_runs.run(folder, "--output", folder / name, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def artifacts(output: Path) -> dict[str, str]:
    tasks = next((output / "artifacts").iterdir())
    return {
        name: digest
        for name, digest in lineage.digest_files(tasks).items()
        if not name.endswith("executor_output.json")
    }


def test_the_same_again_is_cached_and_equal(folder: Path) -> None:
    run(folder, "first")
    again = run(folder, "second")
    plain = run(folder, "third", "--no-cache")

    assert small_runs.statuses(folder / "first") == DONE
    assert small_runs.statuses(folder / "second") == CACHED
    assert small_runs.statuses(folder / "third") == DONE
    assert small_runs.journal(folder) == ["count", "double"] * 2
    assert "cached" in again.stderr
    assert "cached" not in plain.stderr
    assert ">cached<" in (folder / "second" / "report.html").read_text()
    assert "cached: these outputs" in (folder / "second" / "logs" / "count.log").read_text()
    assert artifacts(folder / "first") == artifacts(folder / "second")
    assert artifacts(folder / "third") == artifacts(folder / "second")


def test_what_a_change_reaches_runs_again(folder: Path) -> None:
    run(folder, "first")
    # One byte, of the same size: the number of lines stays, so what reads it is cached.
    stat = (folder / "data.txt").stat()
    (folder / "data.txt").write_text("a\nc\n")
    os.utime(folder / "data.txt", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    run(folder, "second")
    assert small_runs.statuses(folder / "second") == {"count": "succeeded", "double": "cached"}

    (folder / "data.txt").write_text("a\nc\nd\n")
    run(folder, "third")
    assert small_runs.statuses(folder / "third") == DONE

    run(folder, "fourth", "--param", "mode=other")
    assert small_runs.statuses(folder / "fourth") == {"count": "cached", "double": "succeeded"}


def test_a_changed_component_runs_again(folder: Path) -> None:
    run(folder, "first")
    source = folder / "small.py"
    source.write_text(source.read_text().replace("# {2 * lines} lines", "# {2 * lines} rows"))

    run(folder, "second")

    assert small_runs.statuses(folder / "second") == {"count": "cached", "double": "succeeded"}
    assert "# 4 rows" in next((folder / "second").glob("artifacts/*/double/note")).read_text()


def test_a_task_that_the_pipeline_excludes_is_not_cached(folder: Path) -> None:
    source = folder / "small.py"
    source.write_text(
        source.read_text().replace("mode=mode)", "mode=mode).set_caching_options(False)")
    )
    run(folder, "first")
    run(folder, "second")
    assert small_runs.statuses(folder / "second") == {"count": "cached", "double": "succeeded"}


def test_a_cache_that_cannot_be_written_is_said(folder: Path) -> None:
    (folder / "cache").write_text("a file")
    done = run(folder, "first")
    assert done.stderr.count("no cache: ") == 1
    assert small_runs.statuses(folder / "first") == DONE


def test_two_runs_at_the_same_time(folder: Path) -> None:
    processes = [
        subprocess.Popen(
            small_runs.command(folder, "--output", folder / str(number)),
            cwd=folder,
            env=small_runs.environment(folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(2)
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    run(folder, "third")
    assert small_runs.statuses(folder / "third") == CACHED
    assert artifacts(folder / "0") == artifacts(folder / "1") == artifacts(folder / "third")


def test_the_command_shows_and_clears_the_cache(folder: Path) -> None:
    def cache(*arguments: str, **more: str) -> str:
        done = subprocess.run(
            [str(small_runs.PROGRAM), "cache", *arguments],
            env={**small_runs.environment(folder), **more},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert cache() == f"{folder}/cache: 0 tasks, 0.00 GB of 10 GB\n"
    run(folder, "first")
    assert cache() == f"{folder}/cache: 2 tasks, 0.00 GB of 10 GB\n"
    assert cache("--clear") == f"{folder}/cache: removed 2 tasks, 0.00 GB\n"
    assert cache(KFP_TABULAR_CACHE_GB="20") == f"{folder}/cache: 0 tasks, 0.00 GB of 20 GB\n"
    assert cache(KFP_TABULAR_CACHE="off") == "off, by KFP_TABULAR_CACHE\n"
