"""Beam's portable job service and pools of external workers, each a process of its own."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfp_tabular.components.common.process.child_process import ChildProcess, stop

_LOOPBACK = "127.0.0.1"
_SECONDS = 300


@dataclass
class Services:
    """A running job service, with workers.

    Attributes:
        folder: Where its processes write.
        job_port: The port of the job service.
        pool_port: The port of a pool that starts a process for each worker, as Beam's own does.
        threads_port: The port of a pool whose workers are threads of it: a job starts at once.
        pool_id: The process of the first pool.
    """

    folder: Path
    job_port: int
    pool_port: int
    threads_port: int
    pool_id: int

    def document(self, *, processes: bool = False, **settings: Any) -> dict[str, Any]:
        """Return a `processing` document for these services.

        Args:
            processes: Whether each job has a process of its own.
            settings: Other settings.
        """
        port = self.pool_port if processes else self.threads_port
        return {
            "engine": "beam",
            "runner": "PortableRunner",
            "temp_location": str(self.folder / "exchange"),
            "options": {
                "job_endpoint": f"{_LOOPBACK}:{self.job_port}",
                "environment_type": "EXTERNAL",
                "environment_config": f"{_LOOPBACK}:{port}",
            },
            **settings,
        }

    @property
    def workers(self) -> list[int]:
        """The processes of the first pool's workers that run."""
        children = Path(f"/proc/{self.pool_id}/task").glob("*/children")
        found = [int(child) for path in children for child in path.read_text().split()]
        return [child for child in found if _is_running(child)]


@contextmanager
def running(folder: Path, python: str = sys.executable) -> Iterator[Services]:
    """Start the services, and stop them with everything that they started.

    Args:
        folder: Where their processes write.
        python: The interpreter; its Beam must be that of the task.
    """
    # The pool starts `python`, with packages of this environment.
    environment = {
        **os.environ,
        "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path.cwd()),
        "TMPDIR": str(folder),
    }
    names = ("jobs", "pool", "threads")
    commands = [
        [
            *("-m", "apache_beam.runners.portability.local_job_service_main"),
            *("--port_file", str(folder / "jobs.port"), "--staging_dir", str(folder / "staging")),
        ],
        ["-c", _POOL, str(folder / "pool.port"), "processes"],
        ["-c", _POOL, str(folder / "threads.port"), "threads"],
    ]
    started = [
        ChildProcess([python, *command], environment, log=folder / f"{name}.log")
        for name, command in zip(names, commands, strict=True)
    ]
    try:
        ports = [
            _port(folder / f"{name}.port", process, folder / f"{name}.log")
            for name, process in zip(names, started, strict=True)
        ]
        yield Services(folder, *ports, pool_id=started[1].pid)
    finally:
        stop(started, grace_seconds=20)


# What `worker_pool_main` does, but with a port that is free for certain.
_POOL = """
import signal, sys
from pathlib import Path

# So that it ends its workers.
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
address, server = BeamFnExternalWorkerPoolServicer.start(use_process=sys.argv[2] == "processes")
partial = Path(sys.argv[1] + ".partial")
partial.write_text(address.rpartition(":")[2])
partial.rename(sys.argv[1])
server.wait_for_termination()
"""


def _is_running(process: int) -> bool:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    # Beam's pool does not collect the processes that have ended.
    return stat.rpartition(")")[2].split()[0] != "Z"


def _port(file: Path, process: ChildProcess, log: Path) -> int:
    """Return the port that a service has written to a file."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if file.exists() and (text := file.read_text()):
            return int(text)
        time.sleep(0.1)
    raise AssertionError(f"{log}: not ready:\n{log.read_text(errors='replace')[-3000:]}")
