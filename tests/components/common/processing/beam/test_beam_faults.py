"""What ends a job of Beam early: no worker goes on, and nothing is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE
from tests.beam_services import Services

_PATIENCE = 300

DRIVER = """
import json, sys, time
from pathlib import Path
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.pieces import Piece

def main(folder, document):
    def wait(piece):
        Path(folder, f"piece-{piece.start}").touch()
        while not Path(folder, "go").exists():
            time.sleep(0.05)

    with engines.opened(document) as opened:
        list(opened.engine.map([Piece(folder, "bytes", at, at + 1) for at in range(9)], wait))

main(sys.argv[1], json.loads(sys.argv[2]))
"""


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_sigterm_ends_the_job_and_its_workers(beam_services: Services, tmp_path: Path) -> None:
    until(lambda: not beam_services.workers)
    document = json.dumps(beam_services.document(processes=True))
    with (tmp_path / "driver.log").open("wb") as log:
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(tmp_path), document], stdout=log, stderr=log
        )
    try:
        until(lambda: any(tmp_path.glob("piece-*")) or driver.poll() is not None)
        assert driver.poll() is None, (tmp_path / "driver.log").read_text()
        (worker,) = beam_services.workers
        started = len(list(tmp_path.glob("piece-*")))

        driver.send_signal(signal.SIGTERM)

        assert driver.wait(_PATIENCE) == TERMINATED_EXIT_CODE
        # The worker is at a piece; it starts no other one, and its process ends.
        assert list((beam_services.folder / "exchange").iterdir()) == []
        (tmp_path / "go").touch()
        until(lambda: worker not in beam_services.workers)
        assert len(list(tmp_path.glob("piece-*"))) == started
    finally:
        (tmp_path / "go").touch()
        driver.kill()
        driver.wait()


def test_sigterm_on_the_runner_of_the_task(tmp_path: Path) -> None:
    with (tmp_path / "driver.log").open("wb") as log:
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(tmp_path), '{"engine": "beam"}'],
            stdout=log,
            stderr=log,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    try:
        until(lambda: any(tmp_path.glob("piece-*")) or driver.poll() is not None)
        driver.send_signal(signal.SIGTERM)

        assert driver.wait(_PATIENCE) == TERMINATED_EXIT_CODE, (tmp_path / "driver.log").read_text()
        assert [path.name for path in tmp_path.glob("piece-*")] == ["piece-0"]
        assert not any(tmp_path.glob("kfp-tabular-*"))
    finally:
        driver.kill()
        driver.wait()


def test_a_worker_that_is_killed_fails_the_job_with_its_reason(
    beam_services: Services, tmp_path: Path
) -> None:
    until(lambda: not beam_services.workers)
    document = json.dumps(beam_services.document(processes=True))
    with (tmp_path / "driver.log").open("wb") as log:
        driver = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(tmp_path), document], stdout=log, stderr=log
        )
    try:
        until(lambda: any(tmp_path.glob("piece-*")) or driver.poll() is not None)
        (worker,) = beam_services.workers
        os.kill(worker, signal.SIGKILL)

        assert driver.wait(_PATIENCE) == 1
        assert "RuntimeError: Beam: " in (tmp_path / "driver.log").read_text()
        assert list((beam_services.folder / "exchange").iterdir()) == []
    finally:
        (tmp_path / "go").touch()
        driver.kill()
        driver.wait()
