"""Answers about runs in the form in which Kubeflow Pipelines 2.17 gives them, in small."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

EPOCH = "1970-01-01T00:00:00Z"
STARTED = datetime(2030, 1, 1)
WORKFLOW = "churn-x7bq2"

DRIVER_LOG = """\
I1129 17:29:54.103881      20 main.go:96] Setting log level to: '1'
F1129 17:29:58.914203      20 main.go:106] KFP driver: driver.Container(pipelineName=churn, \
task="transform-features") failed: failed to resolve inputs: two tasks have the same task name \
"validate-data", id1=12 id2=13
time=2026-11-29T17:29:59.120Z level=INFO msg="sub-process exited" argo=true error="exit status 1"
Error: exit status 1
"""


def launcher_log(*lines: str, end: str = "exit status 2") -> str:
    """Return the log of a task's pod: Argo's and the launcher's lines around those of the task."""
    return "\n".join(
        [
            'time=2026-11-29T17:35:01.439Z level=INFO msg="capturing logs" argo=true',
            "I1129 17:35:01.824528      17 main.go:67] Setting log level to: '1'",
            *lines,
            f"E1129 17:35:09.79      17 launcher_v2.go:449] Component failed to execute "
            f"successfully: {end}",
            "I1129 17:35:10.09      17 launcher_v2.go:206] publish success.",
            f"F1129 17:35:10.13      17 main.go:59] failed to execute component: {end}",
            'time=2026-11-29T17:35:10.6Z level=INFO msg="sub-process exited" argo=true '
            'error="exit status 1"',
            "Error: exit status 1",
            "",
        ]
    )


def user_error_log(message: str) -> str:
    """Return the log of a task that found its input wrong."""
    line = f"[KFP Executor 2026-11-29 17:35:08,453 ERROR]: kfp-tabular: error: {message}"
    return launcher_log("[KFP Executor 2026-11-29 17:35:03,409 INFO]: Got executor_input:", line)


class RecordedRun:
    """A run's answer. Nodes are added in the order in which they happened.

    Args:
        state: The run's state.
        history: The states before it.
        retried: Whether Kubeflow's default retry strategy is in force, so that every node has
            attempts below it.
        root: The state of the pipeline's root; by default that of the run.
    """

    def __init__(
        self,
        state: str = "SUCCEEDED",
        *,
        history: Sequence[str] = ("PENDING", "RUNNING"),
        retried: bool = True,
        root: str | None = "",
    ) -> None:
        self.state = state
        self.history = [*history, state]
        self.retried = retried
        self.root_state = state if root == "" else root
        self.entries: list[dict[str, Any]] = []
        self.top: list[str] = []
        self.clock = STARTED

    def task(
        self,
        name: str,
        state: str | None = "SUCCEEDED",
        *,
        driver: str | None = "SUCCEEDED",
        executor: Sequence[str] = ("SUCCEEDED",),
        within: Sequence[str] = (),
        seconds: int = 10,
        listed: bool = True,
    ) -> "RecordedRun":
        """Add a task: its driver, itself, and the attempts of its executor.

        `executor` is empty for one that was skipped.
        """
        parent = self.path("root", *within)
        self._node(parent, f"{name}-driver", driver, [driver] if driver else [])
        if not listed:
            return self
        path = self._node(parent, name, state, [state] if state else [], seconds=seconds)
        if state:
            skipped = [] if executor else ["SKIPPED"]
            self._node(
                path,
                "executor",
                (*executor, *skipped)[-1],
                executor,
                seconds=seconds * bool(executor),
            )
        return self

    def group(self, name: str, state: str | None = "SUCCEEDED") -> "RecordedRun":
        """Add a condition."""
        self._node(self.path("root"), name, state, [state] if state else [])
        return self

    def omitted(self, *names: str) -> "RecordedRun":
        """Add tasks that Argo omitted since one before them failed."""
        for name in names:
            self._node(self.path("root"), f"{name}-driver", None, [], seconds=0)
            self._node(self.path("root"), name, None, [], seconds=0)
        return self

    def path(self, *names: str) -> str:
        """Return the path of a node's first attempt."""
        return ".".join(name + "(0)" * self.retried for name in (WORKFLOW, *names))

    def pod(self, task: str, attempt: int = 0, within: Sequence[str] = ()) -> str:
        """Return the name of a pod of a task; of a driver, if the name ends like one's."""
        last = [] if task.endswith("-driver") else [task]
        path = self.path("root", *within, *last)
        path += f".{'executor' if last else task}"
        return node_id(path + (f"({attempt})" if self.retried or attempt else ""))

    def answer(self) -> dict[str, Any]:
        """Return what the server sends, besides what the run was submitted with."""
        root = [node_id(f"{self.path()}.{name}") for name in ("root-driver", "root")]
        above = [
            self._entry(
                WORKFLOW, self.root_state, [node_id(self.path())] if self.retried else root
            ),
            self._entry("root-driver", "SUCCEEDED", []),
            self._entry("root", self.root_state, [node_id(self.path("root")), *self.top]),
        ]
        if self.retried:
            above.append(self._entry(f"{WORKFLOW}(0)", self.root_state, root))
        end = self.state not in ("RUNNING", "PENDING")
        return {
            "state": self.state,
            "finished_at": _time(self.clock) if end else EPOCH,
            "state_history": [
                {"state": state, "update_time": _time(STARTED + timedelta(seconds=number))}
                for number, state in enumerate(self.history)
            ],
            "run_details": {"task_details": [*above, *self.entries]},
        }

    def _node(
        self,
        parent: str,
        name: str,
        state: str | None,
        attempts: Sequence[str | None],
        *,
        seconds: int = 3,
    ) -> str:
        path = f"{parent}.{name}"
        self.top.append(node_id(path))
        if not self.retried:
            self._entry(name, state, [], seconds, add=True)
            return path
        paths = [f"{path}({number})" for number in range(len(attempts))]
        self._entry(name, state, [node_id(each) for each in paths], seconds, add=True)
        for number, each in enumerate(attempts):
            self._entry(f"{name}({number})", each, [], seconds, add=True)
        return f"{path}(0)"

    def _entry(
        self,
        name: str,
        state: str | None,
        children: Iterable[str],
        seconds: int = 0,
        *,
        add: bool = False,
    ) -> dict[str, Any]:
        start = self.clock
        if add and name.partition("(")[0] != "executor":
            self.clock += timedelta(seconds=seconds)
        ended = state not in ("RUNNING", "PENDING")
        entry: dict[str, Any] = {
            "display_name": name,
            "create_time": _time(STARTED),
            "start_time": _time(start),
            "end_time": _time(start + timedelta(seconds=seconds))
            if ended
            else "0001-01-01T00:00:00Z",
            **({"state": state} if state else {}),
            **({"child_tasks": [{"pod_name": each} for each in children]} if children else {}),
        }
        if add:
            self.entries.append(entry)
        return entry


def node_id(path: str) -> str:
    """Return Argo's id of a node of the Workflow: FNV-1a of its path, in 32 bits."""
    digest = 2166136261
    for byte in path.encode():
        digest = (digest ^ byte) * 16777619 % 2**32
    return f"{WORKFLOW}-{digest}"


def _time(moment: datetime) -> str:
    return f"{moment.isoformat()}Z"
