"""The interface between a run and what starts its tasks: processes here, or containers."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Call:
    """A task to start.

    Attributes:
        name: The task's name, as in the spec.
        image: The image that the spec names.
        command: The command with every placeholder resolved.
        environment: Variables that the spec sets.
        folder: Where the task's outputs go.
        parameters: The values of its input parameters.
    """

    name: str
    image: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class RunRequest:
    """What a task runner learns of a run before its first task.

    Attributes:
        images: The images of the spec's tasks, in an order in which they may run.
        arguments: The pipeline's arguments.
        output: The run's folder; all outputs are written below it.
        logs: The folder for logs; it exists.
    """

    images: Sequence[str]
    arguments: Mapping[str, Any]
    output: Path
    logs: Path


class TaskProcess:
    """A task that runs: a process in a session of its own, and how to stop it.

    Args:
        command: What to run.
        environment: All of its variables.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=dict(environment),
            start_new_session=True,
        )

    def terminate(self) -> None:
        """Asks the task to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the task."""
        self._signal(signal.SIGKILL)

    def ended(self) -> None:
        """Cleans up after the task; called once, when its process is gone."""

    def _signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)


class Starter(Protocol):
    """Starts the tasks of one run."""

    def start(self, call: Call) -> TaskProcess:
        """Starts a task."""


class TaskRunner(Protocol):
    """Where tasks run."""

    def check(self, images: Sequence[str]) -> None:
        """Makes sure that the images' tasks can run here.

        Raises:
            UserError: Where one cannot; nothing has run then.
        """

    def opened(self, request: RunRequest) -> AbstractContextManager[Starter]:
        """Gives what starts a run's tasks, for the duration of the run."""
