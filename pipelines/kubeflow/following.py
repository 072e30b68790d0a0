"""Following a run to its end."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from kfp_tabular.components.common.artifacts import findings
from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.pipelines.kubeflow.connection import Server
from kfp_tabular.pipelines.kubeflow.failures import FailureSearch, TaskFailure
from kfp_tabular.pipelines.kubeflow.pod_logs import PodLog
from kfp_tabular.pipelines.kubeflow.run_watcher import RunWatcher
from kfp_tabular.pipelines.kubeflow.task_states import RunTasks, TaskState
from kfp_tabular.pipelines.progress import KubeflowTaskStatus

SUCCEEDED = "SUCCEEDED"
ENDED = (SUCCEEDED, "FAILED", "SKIPPED", "CANCELED")

_POLL_SECONDS = 5.0
# The server stores the end of a run before the ends of its tasks.
_LOOKS_AFTER_END = 3
# A run whose Workflow was deleted stays RUNNING for good; after this time without a change, its
# pods are looked for.
_SILENT_SECONDS = 900.0

# Between this machine and the server, and a poll.
_CLOCK_DIFFERENCE = timedelta(seconds=30)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KubeflowTaskOutcome:
    """The end of a task.

    Attributes:
        name: The task.
        status: Its status.
        seconds: Its duration.
        error: The reason of its failure, where it is known already.
        findings: The errors and warnings among its findings, from its pod's log.
    """

    name: str
    status: KubeflowTaskStatus
    seconds: float
    error: str = ""
    findings: tuple[Finding, ...] = ()


class RunListener(Protocol):
    """Is told about the tasks of a run."""

    def started(self, name: str) -> None:
        """A task has started."""

    def finished(self, result: KubeflowTaskOutcome) -> None:
        """A task has ended."""


@dataclass(frozen=True)
class RunOutcome:
    """The end of a run.

    Attributes:
        state: `succeeded`, `failed`, `skipped` or `stopped`.
        failures: The tasks that failed, in the order in which they did.
        error: The server's message about the run; Kubeflow Pipelines 2.17 sends none.
        stopped: The tasks that were running when the run was stopped.
        unknown: The tasks whose end the server does not know.
        workflow: The name of the run's Workflow, if it is known.
    """

    state: str
    failures: tuple[TaskFailure, ...] = ()
    error: str = ""
    stopped: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    workflow: str = ""

    @property
    def is_user_error(self) -> bool:
        """Whether the run failed for its input or configuration, so that a retry fails as well."""
        return self.state == "failed" and any(failure.is_user_error for failure in self.failures)


class RunTimeoutError(RuntimeError):
    """The run did not end in the time given."""


def follow(
    server: Server,
    run_id: str,
    tasks: Collection[str] | Mapping[str, Sequence[str]],
    listener: RunListener,
    timeout: float = 0,
) -> RunOutcome:
    """Wait for a run to end, report its tasks as they start and end, and find out what failed.

    The server may be unreachable for ten minutes. A token may expire and be replaced in its file.

    Args:
        server: The server of the run.
        run_id: The run.
        tasks: The pipeline's tasks; as a mapping, to the conditions and loops around each, the
            outermost first. The server also lists drivers and groups as tasks.
        listener: Is told about the tasks.
        timeout: Seconds to wait at most; 0 for no limit.

    Raises:
        UserError: If the server denies access, or does not know the run.
        RunTimeoutError: After the timeout.
    """
    groups = tasks if isinstance(tasks, Mapping) else dict.fromkeys(tasks, ())
    watcher = RunWatcher(server, run_id)
    deadline = time.monotonic() + timeout if timeout else float("inf")
    reporter, silence = _Reporter(listener, watcher), _Silence(watcher)
    looks, stopping = 0, None
    while True:
        run = watcher.look()
        if run.state == "CANCELING" and stopping is None:
            stopping = datetime.now(UTC) - _CLOCK_DIFFERENCE
        found = RunTasks(run, groups, stopping)
        ended = run.state in ENDED
        states = found.states(ended=ended)
        looks += ended
        if ended and (looks >= _LOOKS_AFTER_END or found.has_all_ends):
            return _outcome(found, states, watcher, reporter)
        if not ended:
            reporter.report(found, states)
            silence.observe(found, states)
        if time.monotonic() >= deadline:
            text = silence.describe(found)
            raise RunTimeoutError(
                f"run {run_id} has not ended after {timeout:.0f} s; "
                f"{f'{text}' if text else 'it continues.'}"
            )
        time.sleep(_POLL_SECONDS)


class _Reporter:
    """Tells a listener about the changes of tasks."""

    def __init__(self, listener: RunListener, watcher: RunWatcher) -> None:
        self._listener = listener
        self._watcher = watcher
        self._seen: dict[str, str] = {}

    def report(self, tasks: RunTasks, states: Mapping[str, TaskState]) -> None:
        for name, state in states.items():
            if self._seen.get(name) == state.state:
                continue
            self._seen[name] = state.state
            if state.state == "running":
                self._listener.started(name)
            elif state.state != "waiting":
                found = self._findings(tasks, name) if state.state == "succeeded" else ()
                self._listener.finished(
                    KubeflowTaskOutcome(name, state.state, state.seconds, state.error, found)
                )

    def _findings(self, tasks: RunTasks, name: str) -> tuple[Finding, ...]:
        """Return the errors and warnings in the log of a task's pod, where it can be read."""
        pods = tasks.nodes.last_pods(name)
        log = self._watcher.log(pods[-1]) if pods else PodLog()
        found = findings.find_in_log(log.lines)
        return tuple(finding for finding in found if finding.severity != "note")


class _Silence:
    """Notices that a run has not changed for long, and finds out whether its pods exist.

    The server lists the run of a deleted Workflow as running for good.
    """

    def __init__(self, watcher: RunWatcher) -> None:
        self._watcher = watcher
        self._last: Mapping[str, TaskState] = {}
        self._since = time.monotonic()

    def observe(self, tasks: RunTasks, states: Mapping[str, TaskState]) -> None:
        """Compare the states with the last ones; after a long silence, log what is known."""
        now = time.monotonic()
        if states != self._last:
            self._last, self._since = states, now
        elif now - self._since >= _SILENT_SECONDS:
            self._since = now
            text = self.describe(tasks)
            if text:
                _logger.warning(
                    "nothing has changed for %.0f minutes: %s", _SILENT_SECONDS / 60, text
                )

    def describe(self, tasks: RunTasks) -> str:
        """Return which pods are waited for in vain; empty if they work, or none is known."""
        for name, role in tasks.active().items():
            pods = tasks.nodes.pods(name, role)
            if not pods:
                continue
            log = self._watcher.log(pods[-1])
            if log.lines:
                continue
            who = f"the driver of {name}" if role == "driver" else name
            workflow = f"'kubectl get workflow {tasks.nodes.workflow}'"
            return (
                f"{who} is listed as running, but the log of its pod, {pods[-1]}, "
                f"{log.problem or 'is empty.'} The pod has not started, or is gone. If {workflow} "
                "does not find the Workflow, it was deleted, and the run will never end."
            )
        return ""


def _outcome(
    tasks: RunTasks, states: Mapping[str, TaskState], watcher: RunWatcher, reporter: _Reporter
) -> RunOutcome:
    """Find out what failed in a run that has ended, and report its last tasks."""
    run = tasks.run
    search = FailureSearch(tasks, watcher.log)
    stopped = run.state == "CANCELED" or (run.state != SUCCEEDED and tasks.stopped_at is not None)
    failures = search.reported()
    if run.state == "FAILED" and not stopped:
        unreported = search.unreported()
        failures += unreported
        states = dict(states) | {failure.task: TaskState("failed") for failure in unreported}
    reporter.report(tasks, states)
    return RunOutcome(
        "stopped" if stopped else run.state.lower(),
        failures,
        getattr(run.error, "message", "") or "",
        tuple(name for name, state in states.items() if state.state == "stopped"),
        tuple(name for name, state in states.items() if state.state == "unknown"),
        tasks.nodes.workflow,
    )
