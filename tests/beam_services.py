"""Beam's portable job service and a pool of external workers, each a process of its own."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.process.child_process import ChildProcess, stop

_LOOPBACK = "127.0.0.1"
_SECONDS = 120


@dataclass
class Services:
    """A running job service, with workers.

    Attributes:
        folder: Where its processes write.
        job_port: The port of the job service.
        pool_port: The port of the pool, which starts a process for each worker.
    """

    folder: Path
    job_port: int
    pool_port: int

    def document(self, **settings: Any) -> dict[str, Any]:
        """Return a `processing` document for these services."""
        return {
            "engine": "beam",
            "runner": "PortableRunner",
            "temp_location": str(self.folder / "exchange"),
            "options": {
                "job_endpoint": f"{_LOOPBACK}:{self.job_port}",
                "environment_type": "EXTERNAL",
                "environment_config": f"{_LOOPBACK}:{self.pool_port}",
            },
            **settings,
        }


@contextmanager
def running(folder: Path) -> Iterator[Services]:
    """Start the services, and stop them with everything that they started."""
    services = Services(folder, _free_port(), _free_port())
    # The pool starts `python`, with packages of this environment.
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path.cwd()),
        "TMPDIR": str(folder),
    }
    module = "apache_beam.runners"
    job = ChildProcess(
        [
            *(sys.executable, "-m", f"{module}.portability.local_job_service_main"),
            *("--port", str(services.job_port), "--staging_dir", str(folder / "staging")),
        ],
        environment,
        log=folder / "job-service.log",
    )
    pool = ChildProcess(
        [
            *(sys.executable, "-c", _POOL, str(services.pool_port)),
        ],
        environment,
        log=folder / "workers.log",
    )
    try:
        _wait_for(services.job_port, job, folder / "job-service.log")
        _wait_for(services.pool_port, pool, folder / "workers.log")
        yield services
    finally:
        stop([job, pool], grace_seconds=20)


_POOL = """
import signal, sys

# So that it ends its workers.
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
from apache_beam.runners.worker import worker_pool_main
worker_pool_main.main(["--service_port", sys.argv[1]])
"""


def _free_port() -> int:
    with socket.create_server((_LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


def _wait_for(port: int, process: ChildProcess, log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((_LOOPBACK, port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{log}: not ready:\n{log.read_text(errors='replace')[-3000:]}")
