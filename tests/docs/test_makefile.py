"""`make test` runs the suites side by side, and tells how each of them ended."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.docs.test_forge import suites

STAND_IN = """#!/bin/sh
echo "1 $0 $*"
case "$*" in *{broken}*) exit 1 ;; esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the Makefile and environments whose Python fails for the tests in `broken`."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("author", "tensorflow", "tfdv", "serving", "launcher"):
        program = tmp_path / ".venvs" / name / "bin" / "python"
        program.parent.mkdir(parents=True)
        program.write_text(STAND_IN.format(broken="tests/broken"))
        program.chmod(0o755)
    return tmp_path


def make(clone: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    # What the make that runs this test was given is in the environment, too.
    given = ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "ALSO", "ARGS", "JOBS", "MEASURE")
    environment = {k: v for k, v in os.environ.items() if k not in given}
    return subprocess.run(
        ["make", "-o", "setup", *words],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_line_for_each_suite(clone: Path) -> None:
    done = make(clone, "test")

    assert done.returncode == 0, done.stderr
    for suite in suites():
        assert f"started: {suite}\n" in done.stdout
        assert f"passed: {suite}: 1 .venvs/" in done.stdout
        assert "-m pytest -q" in (clone / "build/tests" / f"{suite}.log").read_text()


@pytest.mark.parametrize("jobs", [1, 3, 6])
def test_a_suite_that_fails_fails_the_whole_once_the_others_have_ended(
    clone: Path, jobs: int
) -> None:
    # Environments of one suite each.
    for suite in ("serving", "tfdv"):
        (clone / ".venvs" / suite / "bin/python").write_text(STAND_IN.format(broken="pytest"))

    done = make(clone, "test", f"JOBS={jobs}")

    assert done.returncode != 0
    passed = {line.split()[1].strip(":") for line in done.stdout.splitlines() if "passed" in line}
    assert passed == suites() - {"serving", "tfdv"}
    # What a failing suite has printed is shown, with its name.
    assert "1 .venvs/serving/bin/python -m pytest" in done.stdout
    assert "FAILED: serving\n" in done.stdout
    assert "FAILED: serving tfdv; see build/tests\n" in done.stderr


def test_an_earlier_failure_is_forgotten(clone: Path) -> None:
    program = clone / ".venvs/tfdv/bin/python"
    sound = program.read_text()
    program.write_text(STAND_IN.format(broken="pytest"))
    assert make(clone, "test").returncode != 0
    program.write_text(sound)

    assert make(clone, "test").returncode == 0


def test_arguments_reach_every_suite_as_they_are(clone: Path) -> None:
    done = make(clone, "test", "ARGS=-k 'csv or a\"b' -x")

    assert done.returncode == 0, done.stderr
    assert done.stdout.count('-k csv or a"b -x\n') == len(suites())


def test_images_that_cannot_be_built_fail_the_whole(clone: Path) -> None:
    done = make(clone, "test", "ALSO=images", "ENGINE_FOUND=false")

    assert done.returncode != 0
    assert "FAILED: images; see build/tests\n" in done.stderr
    assert "passed: author: " in done.stdout
