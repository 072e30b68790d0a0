"""Processes of a job on this machine, as an operator would start them."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

WORKER = "kfp_tabular.components.training.worker"


def free_ports(count: int) -> list[int]:
    listeners = [socket.socket() for _ in range(count)]
    for listener in listeners:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


class Job:
    """A TFJob's processes; each can be killed and started again under its address.

    Args:
        folder: Directory for the logs.
        flags: The worker program's flags.
        roles: Number of processes by role.
    """

    def __init__(self, folder: Path, flags: Sequence[str], **roles: int) -> None:
        self._folder = folder
        self._flags = list(flags)
        ports = iter(free_ports(sum(roles.values())))
        self._cluster = {
            role: [f"127.0.0.1:{next(ports)}" for _ in range(count)]
            for role, count in roles.items()
        }
        self.tasks = [(role, index) for role, count in roles.items() for index in range(count)]
        self._processes: dict[tuple[str, int], subprocess.Popen[bytes]] = {}

    def start(self, *tasks: tuple[str, int], **variables: str) -> None:
        """Start some processes; all if none is named."""
        for role, index in tasks or self.tasks:
            config = {"cluster": self._cluster, "task": {"type": role, "index": index}}
            with self.log_file(role, index).open("ab") as log:
                self._processes[role, index] = subprocess.Popen(
                    [sys.executable, "-m", WORKER, *self._flags],
                    env={**os.environ, "TF_CONFIG": json.dumps(config), **variables},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )

    def log_file(self, role: str, index: int) -> Path:
        return self._folder / f"{role}-{index}.log"

    def log(self, role: str, index: int = 0) -> str:
        return self.log_file(role, index).read_text(errors="replace")

    def signal(self, number: int, *tasks: tuple[str, int]) -> None:
        for task in tasks or self.tasks:
            self._processes[task].send_signal(number)

    def wait(self, *tasks: tuple[str, int], seconds: float = 400.0) -> list[int]:
        """Wait for some processes and return their exit codes."""
        deadline = time.monotonic() + seconds
        return [
            self._processes[task].wait(max(0.0, deadline - time.monotonic()))
            for task in tasks or self.tasks
        ]

    def until(self, words: str, role: str, index: int = 0, seconds: float = 400.0) -> None:
        """Wait until a process has logged some words."""
        deadline = time.monotonic() + seconds
        while words not in self.log(role, index):
            code = self._processes[role, index].poll()
            assert code is None, f"ended with {code}: {self.log(role, index)[-3000:]}"
            assert time.monotonic() < deadline, self.log(role, index)[-3000:]
            time.sleep(0.05)

    def end(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()


@contextmanager
def job(folder: Path, flags: Sequence[str], **roles: int) -> Iterator[Job]:
    """Yield a job whose processes do not outlive the block."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Job(folder, flags, **roles)
    try:
        yield made
    finally:
        made.end()
