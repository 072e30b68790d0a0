"""What failed in a run that has ended, and why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kfp_tabular.pipelines.kubeflow import failure_reasons
from kfp_tabular.pipelines.kubeflow.failure_reasons import FailureReason
from kfp_tabular.pipelines.kubeflow.pod_logs import PodLog
from kfp_tabular.pipelines.kubeflow.task_states import ROOT, RunTasks, TaskState
from kfp_tabular.pipelines.kubeflow.workflow_nodes import Role

ReadLog = Callable[[str], PodLog]
"""Reads the log of a pod by its name."""

# So many logs are read, each within bounds of its own; of further failures, none.
_MOST_LOGS = 20
# Of a loop, so many iterations are asked.
_MOST_PODS = 3
_ROLES: Sequence[Role] = ("executor", "driver")
_ELSEWHERE: Mapping[Role, str] = {
    "executor": "See the task's executor-logs on the run's page, or 'kubectl describe pod' if it "
    "never started.",
    "driver": "See the run's page.",
}


@dataclass(frozen=True)
class TaskFailure:
    """The failure of a task.

    Attributes:
        task: The task, condition or loop; `root` for the start of the run.
        reason: One line.
        is_user_error: Whether the input or the configuration is at fault.
    """

    task: str
    reason: str
    is_user_error: bool = False

    def __str__(self) -> str:
        return f"{'the run did not start' if self.task == ROOT else self.task}: {self.reason}"


class FailureSearch:
    """Finds what failed in a run that has ended.

    Args:
        tasks: The run's tasks.
        read: Reads the log of a pod.
    """

    def __init__(self, tasks: RunTasks, read: ReadLog) -> None:
        self._tasks = tasks
        self._read_log = read
        self._logs = 0

    def reported(self) -> tuple[TaskFailure, ...]:
        """Return the failures that the server reports, in the order in which they happened."""
        states = self._tasks.failed_groups() | self._tasks.states(ended=True)
        failed = [(name, state) for name, state in states.items() if state.state == "failed"]
        failed.sort(key=lambda item: item[1].ended.timestamp() if item[1].ended else 0.0)
        return tuple(self._failure(name, state) for name, state in failed)

    def unreported(self) -> tuple[TaskFailure, ...]:
        """Return the failures of tasks whose end the server does not know, from their pods' logs.

        Argo derives a pod's name from its task's, so it is known without the server.
        """
        states = self._tasks.states(ended=True)
        unknown = (name for name, state in states.items() if state.state == "unknown")
        found = ((name, self._unreported_reason(name)) for name in unknown)
        return tuple(
            TaskFailure(name, reason.text, reason.is_user_error) for name, reason in found if reason
        )

    def _failure(self, name: str, state: TaskState) -> TaskFailure:
        logs = {}
        pods = self._tasks.failed_pods(name, state.role)
        for pod in pods[:_MOST_PODS]:
            # Earlier attempts may have failed for other reasons; the last one ended the task.
            logs[pod] = self._read(pod)
            reason = failure_reasons.find_reason(logs[pod].lines)
            if reason is not None:
                return TaskFailure(name, reason.text, reason.is_user_error)
        text = state.error or _without_reason(state.role, logs)
        if len(pods) > _MOST_PODS:
            text += f" Of its {len(pods)} failed pods, the logs of {_MOST_PODS} were looked at."
        return TaskFailure(name, text)

    def _unreported_reason(self, name: str) -> FailureReason | None:
        for role in _ROLES:
            pods = self._tasks.nodes.expected_pods(self._tasks.groups[name], name, role)
            log = self._last_readable(pods)
            if log is not None:
                return failure_reasons.find_reason(log.lines, only_if_failed=True)
        return None

    def _last_readable(self, pods: Iterable[str]) -> PodLog | None:
        last = None
        for pod in pods:
            log = self._read(pod)
            if not log.lines:
                break
            last = log
        return last

    def _read(self, pod: str) -> PodLog:
        if self._logs >= _MOST_LOGS:
            return PodLog(problem=f"was not read: at most {_MOST_LOGS} logs are.")
        self._logs += 1
        return self._read_log(pod)


def _without_reason(role: Role, logs: Mapping[str, PodLog]) -> str:
    subject = "failed" if role == "executor" else "its driver failed"
    for pod, log in logs.items():
        where = f"{subject}, and the log of its pod, {pod},"
        if log.problem:
            return f"{where} {log.problem} {_ELSEWHERE[role]}"
        last = next((line for line in reversed(log.lines) if line.strip()), "")
        ends = f"it ends with: {failure_reasons.shown(last, 300)}" if last else "it is empty."
        return f"{where} gives no reason; {ends}"
    return f"{subject}; the server names no pod."
