"""Interpreters that the runs of these tests share are loaded once and end with the session."""

import os
import subprocess
import time
from pathlib import Path

from kfp_tabular.pipelines.environments.location import default_folder
from kfp_tabular.pipelines.local.virtual_environments import fork_server
from tests import shared_interpreters

OWN_INTERPRETERS = True


def answered(python: Path, address: Path, search: str = "") -> "subprocess.Popen[bytes]":
    """Ask for an interpreter as a run does, and wait until it is there."""
    call = [str(python), "-m", fork_server.__name__, "--socket", str(address), "--preload", "json"]
    environment = {**os.environ, "PYTHONPATH": search}
    process = subprocess.Popen(
        call, stdin=subprocess.PIPE, env=environment, cwd=address.parent, start_new_session=True
    )
    while not address.exists():
        assert process.poll() is None
        time.sleep(0.02)
    return process


def test_a_second_run_gets_the_interpreter_of_the_first(tmp_path: Path) -> None:
    folder, runs = tmp_path / "shared", tmp_path / "runs"
    folder.mkdir()
    runs.mkdir()
    (tmp_path / "own" / "kfp_tabular").mkdir(parents=True)
    with shared_interpreters.environments(default_folder().resolve(), folder) as venvs:
        python = venvs / "launcher" / "bin" / "python3"
        first = answered(python, runs / "first")
        first.kill()
        second = answered(python, runs / "second")
        assert (runs / "first").resolve() == (runs / "second").resolve() != runs / "second"
        # Modules that this run brings along would take the place of those that are loaded.
        own_code = str(tmp_path / "own")
        own = answered(python, runs / "own", own_code)
        assert not (runs / "own").is_symlink()
        for process in (second, own):
            assert process.stdin
            process.stdin.close()
    for process in (first, second, own):
        process.wait(60)
    lock = folder / "launcher" / "lock"
    subprocess.run(["flock", "--timeout", "60", lock, "true"], check=True)


def test_other_calls_are_those_of_the_environment(tmp_path: Path) -> None:
    real = default_folder().resolve()
    with shared_interpreters.environments(real, tmp_path) as venvs:
        done = subprocess.run(
            [venvs / "launcher" / "bin" / "python", "-c", "import sys; print(sys.prefix)"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == f"{real / 'launcher'}\n"
