"""The interface between a run and what starts its tasks: processes here, or containers."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kfp_tabular.components.common.process.child_process import ChildProcess


@dataclass(frozen=True)
class TaskCall:
    """A task to start.

    Attributes:
        name: The task's name, as in the spec.
        image: The image that the spec names.
        command: The command with every placeholder resolved.
        environment: Variables that the spec sets.
        folder: The folder for the task's outputs.
        parameters: The values of its input parameters.
    """

    name: str
    image: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class LocalRunRequest:
    """The information about a run that a task runner gets before the first task.

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


class TaskProcess(ChildProcess):
    """A task that runs."""

    def ended(self) -> None:
        """Clean up after the task; called when its process has ended."""


class Starter(Protocol):
    """Starts the tasks of one run."""

    def start(self, call: TaskCall) -> TaskProcess:
        """Start a task."""


class TaskRunner(Protocol):
    """Starts tasks in environments of one kind: virtual environments or containers."""

    def check(self, images: Sequence[str]) -> None:
        """Check that the images' tasks can run here.

        Raises:
            UserError: For the first image whose tasks cannot.
        """

    def opened(self, request: LocalRunRequest) -> AbstractContextManager[Starter]:
        """Return what starts a run's tasks, for the duration of the run."""
