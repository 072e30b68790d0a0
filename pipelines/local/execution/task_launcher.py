"""Runs the tasks of a compiled spec, each with a log file, and keeps their results."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.errors import (
    USER_ERROR_EXIT_CODE,
    USER_ERROR_PREFIX,
    find_user_error,
)
from kfp_tabular.components.common.process.child_process import stop
from kfp_tabular.pipelines import task_findings
from kfp_tabular.pipelines.local.execution.task_runner import (
    Starter,
    TaskCall,
    TaskProcess,
    executor_input,
)
from kfp_tabular.pipelines.progress import TaskStatus

_GRACE_SECONDS = 10.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskResult:
    """The result of a task.

    Attributes:
        name: The task's name, as in the spec.
        image: The image it ran in.
        started: Seconds since the epoch.
        seconds: Wall time, interpreter start included.
        exit_code: 0 if it succeeded; negative if a signal ended it.
        log: The file with its output.
        folder: The folder of its outputs.
        error: One line with the reason of its failure; empty if it succeeded or was stopped.
        stopped: Whether it was ended because the run was.
        cached: Whether it did not run, as its outputs were there from before.
        parameters: The pipeline's parameter by argument of the task.
    """

    name: str
    image: str
    started: float
    seconds: float
    exit_code: int
    log: Path
    folder: Path
    error: str = ""
    stopped: bool = False
    cached: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def succeeded(self) -> bool:
        """Whether the task succeeded."""
        return self.exit_code == 0

    @property
    def status(self) -> TaskStatus:
        """Its status in the summary of the run."""
        if self.succeeded:
            return "cached" if self.cached else "succeeded"
        return "stopped" if self.stopped else "failed"

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The findings in its outputs, errors first; their options are the pipeline's."""
        return tuple(
            replace(finding, option=self.parameters.get(finding.option, finding.option))
            for finding in task_findings.read(self.folder)
        )

    @property
    def user_error(self) -> bool:
        """Whether it failed for bad input or configuration."""
        return self.exit_code == USER_ERROR_EXIT_CODE and bool(self.error)


@dataclass(frozen=True)
class Refusal:
    """Why a task cannot do its work, known before it starts.

    Attributes:
        task: The task's name, as in the spec.
        image: The image it would run in.
        message: One line for the user.
    """

    task: str
    image: str
    message: str


Gate = Callable[[TaskResult], Refusal | None]
"""Is asked after each task that succeeded; a refusal ends the run as a failure of that task."""


class TaskListener(Protocol):
    """Is told about tasks as they run, in the thread that runs the task."""

    def started(self, name: str) -> None:
        """A task has started."""

    def printed(self, name: str, line: str) -> None:
        """A task has printed a line."""

    def finished(self, result: TaskResult) -> None:
        """A task has ended."""


class TaskReuse(Protocol):
    """Keeps the outputs of tasks, and puts them in place of tasks that would write the same."""

    def reuse(self, call: TaskCall, log: Path) -> bool:
        """Put a task's outputs into its folder, if they are known; return whether they are there.

        Args:
            call: The task that is about to start.
            log: The file for its log.
        """

    def keep(self, call: TaskCall, result: TaskResult) -> None:
        """Keep the outputs of a task that succeeded."""


class TaskLauncher:
    """Runs tasks to their end.

    Args:
        starter: Starts them.
        logs: The folder for logs; it exists.
        listener: Is told what happens.
        gate: Is asked whether the run may go on.
        memory: Knows the outputs of tasks that ran before; None runs every task.
        parameters: By task, the pipeline's parameter by argument.
    """

    def __init__(
        self,
        starter: Starter,
        logs: Path,
        listener: TaskListener,
        gate: Gate | None = None,
        memory: TaskReuse | None = None,
        parameters: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._parameters = parameters or {}
        self.results: list[TaskResult] = []
        self._gate = gate
        self._memory = memory
        self._starter = starter
        self._logs = logs
        self._listener = listener
        self._running: set[TaskProcess] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, image: str, command: Sequence[str], environment: Mapping[str, str]) -> TaskResult:
        """Run a task's command to its end.

        Args:
            image: The image that the spec names.
            command: The command with every placeholder resolved.
            environment: Variables that the spec sets.

        Returns:
            The result; where the gate refuses another task now, the failure of that one.
        """
        inputs = executor_input(command)
        folder = Path(inputs["outputs"]["outputFile"]).parent
        name = folder.name
        log = self._logs / f"{name}.log"
        call = TaskCall(
            name=name,
            image=image,
            command=command,
            environment=environment,
            folder=folder,
            parameters=inputs.get("inputs", {}).get("parameterValues", {}),
        )
        self._listener.started(name)
        started, clock = time.time(), time.monotonic()
        interruption: KeyboardInterrupt | None = None
        cached = False
        try:
            cached = self._memory is not None and self._memory.reuse(call, log)
            code, error = (0, "") if cached else self._execute(call, log)
        except KeyboardInterrupt as raised:
            self.stop()
            interruption, code, error = raised, -signal.SIGTERM, ""
        stopped = self._stopped and code != 0
        result = TaskResult(
            name=name,
            image=image,
            started=started,
            seconds=time.monotonic() - clock,
            exit_code=code,
            log=log,
            folder=folder,
            error="" if stopped else error,
            stopped=stopped,
            cached=cached,
            parameters=self._parameters.get(name, {}),
        )
        self.results.append(result)
        if self._memory is not None and result.succeeded:
            self._memory.keep(call, result)
        self._listener.finished(result)
        if interruption is not None:
            raise interruption
        refusal = self._gate(result) if self._gate and result.succeeded else None
        return result if refusal is None else self._refuse(refusal, folder.parent)

    def _refuse(self, refusal: Refusal, artifacts: Path) -> TaskResult:
        """Record the failure of a task that is not started."""
        self._listener.started(refusal.task)
        log = self._logs / f"{refusal.task}.log"
        log.write_text(f"{USER_ERROR_PREFIX}{refusal.message}\n", encoding="utf-8")
        result = TaskResult(
            name=refusal.task,
            image=refusal.image,
            started=time.time(),
            seconds=0.0,
            exit_code=USER_ERROR_EXIT_CODE,
            log=log,
            folder=artifacts / refusal.task,
            error=refusal.message,
        )
        self.results.append(result)
        self._listener.finished(result)
        return result

    def stop(self) -> None:
        """End running tasks: SIGTERM, and SIGKILL for those that take over ten seconds."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for task in stop(running, _GRACE_SECONDS):
            _logger.warning(
                "task process %d did not stop within %.0f s and was killed",
                task.pid,
                _GRACE_SECONDS,
            )
        for task in running:
            task.ended()

    def _execute(self, call: TaskCall, log: Path) -> tuple[int, str]:
        last, error = "", ""
        with log.open("w", encoding="utf-8") as stream:
            with self._lock:
                if self._stopped:
                    return -signal.SIGTERM, "stopped before it started"
                task = self._starter.start(call)
                self._running.add(task)
            for line in task.lines():
                stream.write(f"{line}\n")
                stream.flush()
                text = line.strip()
                last = text or last
                error = find_user_error([text]) or error
                self._listener.printed(call.name, text)
        code = task.wait()
        with self._lock:
            self._running.discard(task)
        task.ended()
        if code == 0:
            return 0, ""
        return code, error or f"{last or 'no output'} (exit code {code})"
