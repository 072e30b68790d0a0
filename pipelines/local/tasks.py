"""Runs one task of a compiled spec in the virtual environment of its image."""

import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE, USER_ERROR_PREFIX
from kfp_tabular.components.common.tensorflow import ENVIRONMENT
from kfp_tabular.pipelines.local.environments import image_name

_EXECUTOR_INPUT = "--executor_input"
_GRACE_SECONDS = 10.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskResult:
    """How a task ended.

    Attributes:
        name: The task's name, as in the spec.
        image: The image it ran in.
        started: Seconds since the epoch.
        seconds: Wall time, interpreter start included.
        exit_code: 0 where it succeeded; negative where a signal ended it.
        log: What it printed.
        folder: Where its outputs are.
        error: One line that says why it failed; empty where it did not.
    """

    name: str
    image: str
    started: float
    seconds: float
    exit_code: int
    log: Path
    folder: Path
    error: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the task did its work."""
        return self.exit_code == 0

    @property
    def user_error(self) -> bool:
        """Whether it failed for bad input or configuration."""
        return self.exit_code == USER_ERROR_EXIT_CODE and bool(self.error)


class Listener(Protocol):
    """Hears of tasks as they run. Called from the thread that runs the task."""

    def started(self, name: str) -> None:
        """A task has started."""

    def printed(self, name: str, line: str) -> None:
        """A task has printed a line."""

    def finished(self, result: TaskResult) -> None:
        """A task has ended."""


class Interpreters(Protocol):
    """Says which `python3` a task gets."""

    def bin(self, image: str) -> Path:
        """Gives the folder to put first on PATH, by the image's name."""


class TaskLauncher:
    """Runs tasks as processes, one log file each, and remembers how they ended.

    Args:
        interpreters: Gives each image's `python3`.
        logs: The folder for logs; it exists.
        listener: Is told what happens.
        search_path: A folder that tasks import user code from.
    """

    def __init__(
        self, interpreters: Interpreters, logs: Path, listener: Listener, search_path: Path
    ) -> None:
        self.results: list[TaskResult] = []
        self._interpreters = interpreters
        self._logs = logs
        self._listener = listener
        self._search_path = search_path
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, image: str, command: Sequence[str], environment: Mapping[str, str]) -> TaskResult:
        """Runs a task's command to its end.

        Args:
            image: The image that the spec names.
            command: The command with every placeholder resolved.
            environment: Variables that the spec sets.
        """
        folder = output_folder(command)
        name = folder.name
        log = self._logs / f"{name}.log"
        self._listener.started(name)
        started, clock = time.time(), time.monotonic()
        code, error = self._execute(name, image, command, environment, log)
        result = TaskResult(
            name=name,
            image=image,
            started=started,
            seconds=time.monotonic() - clock,
            exit_code=code,
            log=log,
            folder=folder,
            error=error,
        )
        self.results.append(result)
        self._listener.finished(result)
        return result

    def stop(self) -> None:
        """Ends running tasks: SIGTERM, and SIGKILL for those that take over ten seconds."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _logger.warning("a task did not stop in %.0f s and is killed", _GRACE_SECONDS)
                _signal_group(process, signal.SIGKILL)

    def _execute(
        self,
        name: str,
        image: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
    ) -> tuple[int, str]:
        folder = self._interpreters.bin(image_name(image))
        variables = {
            **os.environ,
            **ENVIRONMENT,
            "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(self._search_path), os.environ.get("PYTHONPATH")])
            ),
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        with self._lock:
            if self._stopped:
                return -signal.SIGTERM, "stopped before it started"
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=variables,
                start_new_session=True,
            )
            self._running.add(process)
        last, error = "", ""
        with process, log.open("w", encoding="utf-8") as stream:
            for line in process.stdout or ():
                stream.write(line)
                stream.flush()
                text = line.strip()
                last = text or last
                if USER_ERROR_PREFIX in text:
                    error = text.split(USER_ERROR_PREFIX, 1)[1]
                self._listener.printed(name, text)
        with self._lock:
            self._running.discard(process)
        code = process.returncode
        if code == 0:
            return 0, ""
        return code, error or f"{last or 'no output'} (exit code {code})"


def output_folder(command: Sequence[str]) -> Path:
    """Gives the folder of a task's outputs from its resolved command; it is named as the task.

    The local orchestrator writes the path of the task's output file, in that folder, into the
    executor input.

    Args:
        command: The command of a lightweight Python component.
    """
    arguments = list(command)
    executor_input = json.loads(arguments[arguments.index(_EXECUTOR_INPUT) + 1])
    return Path(executor_input["outputs"]["outputFile"]).parent


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)
