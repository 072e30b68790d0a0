"""The interface between a run and what starts its tasks: processes here, or containers."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kfp_tabular.components.common.process.child_process import ChildProcess
from kfp_tabular.pipelines.local.contents import Contents

EXECUTOR_INPUT = "--executor_input"
"""The option of a task's command whose value is KFP's ExecutorInput, as JSON."""


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

    @property
    def executor_input(self) -> Mapping[str, Any]:
        """The inputs and outputs that the command names."""
        return executor_input(self.command)


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


def executor_input(command: Sequence[str]) -> Mapping[str, Any]:
    """Return the input that the orchestrator passes to a lightweight Python component.

    It holds the path of the task's output file, in a folder named after the task.
    """
    arguments = list(command)
    found: dict[str, Any] = json.loads(arguments[arguments.index(EXECUTOR_INPUT) + 1])
    return found


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

    def fingerprint(self, image: str, contents: Contents) -> str:
        """Return a digest of what is installed where an image's tasks run; empty if unknown."""

    def opened(self, request: LocalRunRequest) -> AbstractContextManager[Starter]:
        """Return what starts a run's tasks, for the duration of the run."""
