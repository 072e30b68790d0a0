"""A standalone Spark cluster on this machine: a master and workers, each a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.child_process import ChildProcess, stop
from kfp_tabular.components.common.processing.spark import installation
from kfp_tabular.pipelines.environments.location import Environments, default_folder

_LOOPBACK = "127.0.0.1"
_SECONDS = 120


def require() -> None:
    """Skip the test where Spark cannot run here."""
    try:
        installation.require(Environments(default_folder()).spark_home())
    except UserError as error:
        pytest.skip(f"no Spark here: {error}")


@dataclass
class Cluster:
    """A running cluster.

    Attributes:
        folder: Where its processes write.
        master: Its address, `spark://127.0.0.1:...`.
        cores: The cores of each worker.
        workers: Its workers; each starts an executor per application.
    """

    folder: Path
    master: str
    cores: int = 1
    workers: list[ChildProcess] = field(default_factory=list)

    def document(self, **settings: Any) -> dict[str, Any]:
        """Return a `processing` document for this cluster."""
        conf = {"spark.driver.host": _LOOPBACK, "spark.driver.bindAddress": _LOOPBACK}
        return {
            "engine": "spark",
            "master": self.master,
            "executor_memory": "512m",
            "conf": {**conf, **settings.pop("conf", {})},
            **settings,
        }

    def add_workers(self, count: int) -> None:
        """Start workers, and wait until the master has them."""
        before = len(self.workers)
        for number in range(before, before + count):
            self.workers.append(self._start_worker(number))
        for number, worker in enumerate(self.workers[before:], before):
            _wait_for(r"Successfully registered with master", self._log(number), worker)

    def _log(self, number: int) -> Path:
        return self.folder / f"worker-{number}.log"

    def _start_worker(self, number: int) -> ChildProcess:
        options = ["--host", _LOOPBACK, "--cores", str(self.cores), "--memory", "600m"]
        options += ["--webui-port", "0"]
        folder = self.folder / f"worker-{number}"
        arguments = [*options, "--work-dir", str(folder), self.master]
        return _start("worker.Worker", arguments, self._log(number), self.folder)

    def executors(self, worker: ChildProcess) -> list[int]:
        """Return the process ids of a worker's executors."""
        return [
            pid
            for pid, parent in _parents().items()
            if parent == worker.pid and "CoarseGrainedExecutorBackend" in _command(pid)
        ]


def kill_driver(
    cluster: Cluster, script: str, arguments: Sequence[str], is_time: Callable[[], bool]
) -> None:
    """Run a script as a driver in a process of its own, and kill it in the middle.

    Returns when its executors have ended.

    Args:
        cluster: Where it has executors.
        script: Python.
        arguments: Its arguments.
        is_time: Whether to kill it.
    """
    command = [sys.executable, "-c", script, *arguments]
    driver = subprocess.Popen(command, cwd=Path(__file__).parents[1])
    try:
        while not is_time():
            assert driver.poll() is None
            time.sleep(0.05)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        while any(cluster.executors(worker) for worker in cluster.workers):
            time.sleep(0.1)
    finally:
        driver.kill()
        driver.wait()


@contextmanager
def running(folder: Path, workers: int = 2, cores: int = 1) -> Iterator[Cluster]:
    """Start a cluster, and stop it with everything that it started."""
    log = folder / "master.log"
    master = _start(
        "master.Master", ["--host", _LOOPBACK, "--port", "0", "--webui-port", "0"], log, folder
    )
    cluster = None
    try:
        address = _wait_for(r"Starting Spark master at (spark://\S+)", log, master)
        cluster = Cluster(folder, address, cores)
        cluster.add_workers(workers)
        yield cluster
    finally:
        stop([*(cluster.workers if cluster else []), master], grace_seconds=20)


def leftover(folder: Path) -> list[str]:
    """Return the commands of processes that a cluster in a folder, or its drivers, left behind."""
    for _ in range(100):
        found = [
            _command(pid)
            for pid in _parents()
            if str(folder) in _environment(pid) and pid != os.getpid()
        ]
        if not found:
            break
        time.sleep(0.1)
    return found


def _start(name: str, arguments: list[str], log: Path, folder: Path) -> ChildProcess:
    home = installation.spark_home()
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": _LOOPBACK,
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_SCALA_VERSION": "2.13",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
    }
    command = [str(home / "bin" / "spark-class"), f"org.apache.spark.deploy.{name}", *arguments]
    return ChildProcess(command, environment, log=log)


def _wait_for(pattern: str, log: Path, process: ChildProcess) -> str:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(errors="replace")
        if match := re.search(pattern, text):
            return match[match.lastindex or 0]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"{log}: no {pattern!r}:\n{log.read_text(errors='replace')[-3000:]}")


def _parents() -> dict[int, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _environment(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""
