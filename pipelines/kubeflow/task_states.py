"""The states of a run's tasks, from the nodes that the server lists."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from kfp_tabular.pipelines.kubeflow.workflow_nodes import Role, WorkflowNodes
from kfp_tabular.pipelines.progress import KubeflowTaskStatus

State = KubeflowTaskStatus | Literal["waiting", "running"]

ROOT = "root"

_EXECUTOR = "executor"
_DRIVER = "-driver"
_ACTIVE = ("PENDING", "RUNNING", "CANCELING", "PAUSED")
_STOPPED = "CANCELED"
_STOPPING = "CANCELING"
# A pod takes longer than this, so a task that was shorter had no pod.
_NO_POD_SECONDS = 1.0


@dataclass(frozen=True)
class TaskState:
    """The state of a task.

    Attributes:
        state: Its state. `unknown` if the run ended, and the server lists no end of the task.
        seconds: Its duration, if it has ended.
        role: Whose pods tell the reason of a failure: the task's own, or those of its driver.
        error: The server's message about its failure; Kubeflow Pipelines 2.17 sends none.
        ended: When it ended.
    """

    state: State
    seconds: float = 0.0
    role: Role = "executor"
    error: str = ""
    ended: datetime | None = None


@dataclass(frozen=True)
class RunTasks:
    """The tasks of a run, as the server lists them at one time.

    Args:
        run: The server's answer.
        groups: The conditions and loops around each of the pipeline's tasks, outermost first.
        seen_stopping: When the run was first seen to be asked to stop, if it was: the server may
            leave it out of the run's history.
    """

    run: Any
    groups: Mapping[str, Sequence[str]]
    seen_stopping: datetime | None = None
    _entries: Mapping[str, Sequence[Any]] = field(init=False, repr=False)
    nodes: WorkflowNodes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        details = getattr(self.run.run_details, "task_details", None) or ()
        entries: dict[str, list[Any]] = {}
        for entry in details:
            # The launcher adds entries without a name, for the cache.
            if entry.display_name:
                entries.setdefault(entry.display_name, []).append(entry)
        children = {
            child.pod_name
            for entry in details
            for child in entry.child_tasks or ()
            if child.pod_name
        }
        object.__setattr__(self, "_entries", entries)
        object.__setattr__(self, "nodes", WorkflowNodes(entries, children))

    @property
    def stopped_at(self) -> datetime | None:
        """When the run was asked to stop; None if it was not."""
        times = [
            entry.update_time
            for entry in self.run.state_history or ()
            if entry.state == _STOPPING and entry.update_time
        ]
        return min(times) if times else self.seen_stopping

    @property
    def has_all_ends(self) -> bool:
        """Whether the server saw the end of the Workflow, and so of every task that it lists."""
        roots = self._entries.get(ROOT, ())
        return bool(roots) and not any(entry.state in _ACTIVE for entry in roots)

    def states(self, *, ended: bool) -> dict[str, TaskState]:
        """Return the state of each of the pipeline's tasks.

        Args:
            ended: Whether the run has ended.
        """
        return {name: self._state(name, ended=ended) for name in self.groups}

    def failed_groups(self) -> dict[str, TaskState]:
        """Return what is no task and whose driver failed: conditions, loops, the run's root."""
        names = (name.removesuffix(_DRIVER) for name in self._entries if name.endswith(_DRIVER))
        found = {name: self._driver(name) for name in names if name not in self.groups}
        return {name: state for name, state in found.items() if state is not None}

    def failed_pods(self, name: str, role: Role) -> tuple[str, ...]:
        """Return the names of the pods that ended a task, the latest first.

        In a loop, those of iterations that failed, if the server tells.
        """
        pods = self.nodes.last_pods(name, role)
        node = _EXECUTOR if role == "executor" else f"{name}{_DRIVER}"
        failed = {
            child.pod_name
            for entry in self._entries.get(node, ())
            if entry.state == "FAILED"
            for child in entry.child_tasks or ()
        }
        return tuple(reversed([pod for pod in pods if pod in failed] or pods))

    def active(self) -> dict[str, Role]:
        """Return the tasks, conditions and loops that a pod works for, or is about to."""
        groups = dict.fromkeys(group for groups in self.groups.values() for group in groups)
        found: dict[str, Role] = {}
        for name in (ROOT, *groups, *self.groups):
            if self._any(f"{name}{_DRIVER}", _ACTIVE):
                found[name] = "driver"
            if name in self.groups and self._any(name, _ACTIVE):
                found[name] = "executor"
        return found

    def _state(self, name: str, *, ended: bool) -> TaskState:
        found = self._of_nodes(name, ended=ended) or self._driver(name)
        if found is not None:
            return found
        if self._within(name, ("SKIPPED",)):
            return TaskState("skipped")
        if not ended:
            return TaskState("waiting")
        # Argo omits what depends on a failed task: such a node has no state.
        omitted = name in self._entries or self._within(name, (None, ""))
        return TaskState("not run" if omitted or self.has_all_ends else "unknown")

    def _of_nodes(self, name: str, *, ended: bool) -> TaskState | None:
        """Return the state that the task's own nodes have; a loop has one for each iteration."""
        entries = self._entries.get(name, ())
        by_state = {entry.state: entry for entry in entries}
        if "FAILED" in by_state:
            return self._failure(by_state["FAILED"], "executor")
        if any(state in _ACTIVE for state in by_state):
            return TaskState("unknown" if ended else "running")
        if _STOPPED in by_state:
            return TaskState("stopped")
        succeeded = [entry for entry in entries if entry.state == "SUCCEEDED"]
        if succeeded:
            state: State = "cached" if self._is_cached(name, succeeded) else "succeeded"
            return TaskState(state, sum(map(_seconds, succeeded)))
        return TaskState("skipped") if "SKIPPED" in by_state else None

    def _driver(self, name: str) -> TaskState | None:
        failed = [
            entry for entry in self._entries.get(f"{name}{_DRIVER}", ()) if entry.state == "FAILED"
        ]
        return self._failure(failed[-1], "driver") if failed else None

    def _failure(self, entry: Any, role: Role) -> TaskState:
        stopped_at, ended = self.stopped_at, entry.end_time
        stopped = stopped_at is not None and (ended is None or ended >= stopped_at)
        return TaskState(
            "stopped" if stopped else "failed",
            _seconds(entry),
            role,
            getattr(entry.error, "message", "") or "",
            ended,
        )

    def _is_cached(self, name: str, entries: Iterable[Any]) -> bool:
        """Whether the executors of a task were skipped, so that its outputs are earlier ones."""
        skipped = [entry for entry in self._entries.get(_EXECUTOR, ()) if entry.state == "SKIPPED"]
        if not skipped:
            return False
        if self.nodes.retried:
            return not self.nodes.pods(name)
        # A skipped node and a pod have the same path here, so their times tell.
        return all(
            _seconds(entry) <= _NO_POD_SECONDS
            and any(each.start_time == entry.start_time for each in skipped)
            for entry in entries
        )

    def _any(self, name: str, states: Sequence[str | None]) -> bool:
        return any(entry.state in states for entry in self._entries.get(name, ()))

    def _within(self, name: str, states: Sequence[str | None]) -> bool:
        return any(self._any(group, states) for group in self.groups.get(name, ()))


def _seconds(entry: Any) -> float:
    # A node that never ran has the epoch as its time, or no time at all.
    start, end = entry.start_time or entry.create_time, entry.end_time
    if start is None or end is None or end < start:
        return 0.0
    return float((end - start).total_seconds())
