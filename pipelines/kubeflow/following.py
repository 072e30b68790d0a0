"""Following a run to its end."""

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.kubeflow.connection import Server, connect
from kfp_tabular.pipelines.progress import TaskStatus

if TYPE_CHECKING:
    import kfp

SUCCEEDED = "SUCCEEDED"
SKIPPED = "SKIPPED"
ENDED = (SUCCEEDED, "FAILED", SKIPPED, "CANCELED")

_STATUSES: Mapping[str, TaskStatus] = {SUCCEEDED: "succeeded", SKIPPED: "skipped"}

_POLL_SECONDS = 5.0
_UNREACHABLE_SECONDS = 600.0
_UNAUTHORIZED = 401
_TOO_MANY = 429
_SERVER_ERROR = 500

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KubeflowTaskOutcome:
    """The end of a task.

    Attributes:
        name: The task.
        status: `skipped` if the cache had its result, or its condition did not hold.
        seconds: Its duration.
        error: The server's message about its failure.
    """

    name: str
    status: TaskStatus
    seconds: float
    error: str = ""


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
        state: `SUCCEEDED`, `FAILED`, `SKIPPED` or `CANCELED`.
        error: The server's message about its failure, and the tasks that failed.
    """

    state: str
    error: str = ""


class RunTimeoutError(RuntimeError):
    """The run did not end in the time given. It continues."""


def follow(
    server: Server,
    run_id: str,
    names: Collection[str],
    listener: RunListener,
    timeout: float = 0,
) -> RunOutcome:
    """Wait for a run to end, and report its tasks as they start and end.

    The server may be unreachable for ten minutes. A token may expire and be replaced in its file.

    Args:
        server: The server of the run.
        run_id: The run.
        names: The pipeline's tasks. The server also lists drivers and groups as tasks.
        listener: Is told about the tasks.
        timeout: Seconds to wait at most; 0 for no limit.

    Raises:
        UserError: If the server denies access, or does not know the run.
        RunTimeoutError: After the timeout.
    """
    watcher = _Watcher(server, run_id)
    deadline = time.monotonic() + timeout if timeout else float("inf")
    seen: dict[str, str] = {}
    while True:
        run = watcher.look()
        failures = _tell(_tasks(run, names), seen, listener)
        if run.state in ENDED:
            reason = getattr(run.error, "message", "") or ""
            return RunOutcome(run.state, "; ".join(part for part in (reason, *failures) if part))
        if time.monotonic() >= deadline:
            raise RunTimeoutError(
                f"run {run_id} has not ended after {timeout:.0f} s; it continues."
            )
        time.sleep(_POLL_SECONDS)


class _Watcher:
    """Looks at a run, through a server that may be away for a while."""

    def __init__(self, server: Server, run_id: str) -> None:
        self._server = server
        self._run_id = run_id
        self._client: kfp.Client | None = connect(server)
        self._reached = time.monotonic()
        self._let_in = False

    def look(self) -> Any:
        import kfp_server_api
        import urllib3

        wait = 1.0
        while True:
            if self._client is None:
                self._client = connect(self._server)
            try:
                run = self._client.get_run(self._run_id)
            except kfp_server_api.ApiException as error:
                status = error.status or 0
                if status == _UNAUTHORIZED and self._let_in:
                    # The token has expired: its file, or the pod's volume, has the next one.
                    self._let_in, self._client = False, None
                    continue
                if 0 < status < _SERVER_ERROR and status != _TOO_MANY:
                    raise UserError(
                        f"{self._server.name}: run {self._run_id} cannot be read ({status}): "
                        f"{error.reason}."
                    ) from error
                reason = str(error.reason)
            except (urllib3.exceptions.HTTPError, TimeoutError) as error:
                reason = str(error)
            else:
                self._reached, self._let_in = time.monotonic(), True
                return run
            if time.monotonic() - self._reached > _UNREACHABLE_SECONDS:
                raise UserError(
                    f"{self._server.name} could not be reached for ten minutes: {reason}. The run "
                    "continues."
                )
            _logger.warning("%s: %s; trying again", self._server.name, reason)
            time.sleep(wait)
            wait = min(wait * 2, 30.0)


def _tasks(run: Any, names: Collection[str]) -> Mapping[str, Any]:
    details = getattr(run.run_details, "task_details", None) or ()
    return {entry.display_name: entry for entry in details if entry.display_name in names}


def _tell(tasks: Mapping[str, Any], seen: dict[str, str], listener: RunListener) -> list[str]:
    failures = []
    for name, entry in tasks.items():
        state = entry.state or ""
        if state == "FAILED":
            failures.append(f"{name}: {getattr(entry.error, 'message', '') or 'failed'}")
        if seen.get(name) == state:
            continue
        seen[name] = state
        if state == "RUNNING":
            listener.started(name)
        elif state in ENDED:
            listener.finished(
                KubeflowTaskOutcome(
                    name,
                    status=_STATUSES.get(state, "failed"),
                    seconds=_seconds(entry.start_time or entry.create_time, entry.end_time),
                    error=getattr(entry.error, "message", "") or "",
                )
            )
    return failures


def _seconds(start: datetime | None, end: datetime | None) -> float:
    # A task that never ran has the epoch as its time, or no time at all.
    if start is None or end is None or end < start:
        return 0.0
    return (end - start).total_seconds()
