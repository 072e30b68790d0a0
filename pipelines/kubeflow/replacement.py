"""Replaces schedules without losing their runs.

A schedule owns the Workflows of its runs. Deleting it deletes them, and the server then lists a
run that had not ended as running for good. So a schedule is switched off first, and deleted when
none of its runs is active.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.pipelines.kubeflow.connection import Server, connect, translated
from kfp_tabular.pipelines.kubeflow.following import ENDED, RunTimeoutError
from kfp_tabular.pipelines.kubeflow.run_watcher import RunWatcher

if TYPE_CHECKING:
    import kfp

RunningChoice = Literal["refuse", "wait", "stop", "leave"]

_PAGE = 50
_POLL_SECONDS = 5.0
# Pods get 30 seconds to end, and the server hears of it some seconds later.
_STOP_SECONDS = 600.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReplacementPolicy:
    """How schedules are replaced that have a run which has not ended.

    Attributes:
        running: `refuse` to replace anything, `wait` for the run, `stop` it, or `leave` it to its
            end: the old schedule then stays, switched off, until it is replaced again.
        timeout: Seconds to wait at most; 0 for no limit with `wait`.
    """

    running: RunningChoice = "refuse"
    timeout: float = 0


@dataclass(frozen=True)
class ExistingSchedule:
    """A schedule to replace.

    Attributes:
        identifier: Its id.
        is_enabled: Whether it is on.
    """

    identifier: str
    is_enabled: bool


@dataclass(frozen=True)
class ActiveRun:
    """A run that has not ended.

    Attributes:
        identifier: Its id.
        name: Its name.
        schedule: The id of its schedule.
    """

    identifier: str
    name: str
    schedule: str

    def __str__(self) -> str:
        return f"{self.name} ({self.identifier})"


class Replacement:
    """The replacement of schedules by a new one.

    Args:
        server: The server.
        experiment: The id of the schedules' experiment.
        existing: The schedules.
        policy: How they are replaced; None for the default.
        say: Is told what is waited for.

    Attributes:
        deleted: Ids of the schedules that were deleted.
        left: Ids of those that were only switched off.
    """

    def __init__(
        self,
        server: Server,
        experiment: str,
        existing: Sequence[ExistingSchedule],
        policy: ReplacementPolicy | None,
        say: Callable[[str], None],
    ) -> None:
        self._server = server
        self._experiment = experiment
        self._existing = tuple(existing)
        self._policy = policy or ReplacementPolicy()
        self._say = say
        self.deleted: tuple[str, ...] = ()
        self.left: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise `UserError` if a run that has not ended forbids the replacement."""
        if self._policy.running != "refuse":
            return
        active = self._active(connect(self._server)) if self._existing else ()
        if active:
            raise UserError(
                f"schedule {active[0].schedule} has a run that has not ended: {active[0]}. "
                "Deleting the schedule would kill it. Choose what to do with --running wait, stop "
                "or leave."
            )

    def carry_out(self, new: str, *, enable: bool) -> None:
        """Replace the schedules by the new one, which is off until then, or nothing.

        Args:
            new: The id of the new schedule.
            enable: Whether it is switched on.

        Raises:
            UserError: If the server refuses a request, or a run forbids the replacement.
            RunTimeoutError: If a run did not end in time.
        """
        if not self._existing:
            return
        try:
            busy = self._switch_off_and_settle()
        except BaseException:
            # Also where the person interrupts the wait: there is a schedule at any time.
            self._undo(new)
            raise
        # The wait may have outlasted the client's token.
        client = connect(self._server)
        with translated(self._server):
            if enable:
                client.enable_recurring_run(new)
            for schedule in self._existing:
                if schedule.identifier in busy:
                    self.left += (schedule.identifier,)
                else:
                    _delete(client, schedule.identifier)
                    self.deleted += (schedule.identifier,)

    def _switch_off_and_settle(self) -> set[str]:
        """Switch the old schedules off, and return those whose runs are left to their end."""
        client = connect(self._server)
        with translated(self._server):
            for schedule in self._existing:
                client.disable_recurring_run(schedule.identifier)
        # A run may have started before the schedule was off.
        self.check()
        active = self._active(client)
        if self._policy.running == "leave":
            return {run.schedule for run in active}
        if self._policy.running == "stop":
            with translated(self._server):
                for run in active:
                    self._say(f"stopping run {run} of schedule {run.schedule}")
                    client.terminate_run(run.identifier)
        self._wait(active)
        return set()

    def _wait(self, active: Sequence[ActiveRun]) -> None:
        limit = self._policy.timeout
        if self._policy.running == "stop":
            limit = min(limit or _STOP_SECONDS, _STOP_SECONDS)
        deadline = time.monotonic() + limit if limit else float("inf")
        for run in active:
            self._say(f"waiting for run {run} of schedule {run.schedule} to end")
            watcher = RunWatcher(self._server, run.identifier)
            while watcher.look().state not in ENDED:
                if time.monotonic() >= deadline:
                    raise RunTimeoutError(
                        f"run {run} has not ended after {limit:.0f} s. If its "
                        "Workflow is gone, it never will: choose --running leave."
                    )
                time.sleep(_POLL_SECONDS)

    def _undo(self, new: str) -> None:
        import kfp_server_api
        import urllib3

        was_on = [schedule.identifier for schedule in self._existing if schedule.is_enabled]
        try:
            client = connect(self._server)
            for identifier in was_on:
                client.enable_recurring_run(identifier)
            client.delete_recurring_run(new)
            self._say("nothing was replaced")
        except (kfp_server_api.ApiException, urllib3.exceptions.HTTPError, UserError) as error:
            _logger.warning(
                "%s could not be asked to undo the replacement (%s): schedules %s and %s may be "
                "off; switch one on.",
                self._server.name,
                str(error).splitlines()[0],
                ", ".join(was_on) or "(none)",
                new,
            )

    def _active(self, client: "kfp.Client") -> tuple[ActiveRun, ...]:
        with translated(self._server):
            return tuple(
                ActiveRun(run.run_id, run.display_name, schedule.identifier)
                for schedule in self._existing
                for run in _runs(client, self._experiment, schedule.identifier)
                if run.state not in ENDED
            )


def _runs(client: "kfp.Client", experiment: str, schedule: str) -> list[Any]:
    predicate = {"operation": "EQUALS", "key": "recurring_run_id", "stringValue": schedule}
    found: list[Any] = []
    token = ""
    while True:
        answer = client.list_runs(
            page_token=token,
            page_size=_PAGE,
            experiment_id=experiment,
            filter=json.dumps({"predicates": [predicate]}),
        )
        found += [run for run in answer.runs or () if run.recurring_run_id == schedule]
        token = answer.next_page_token or ""
        if not token:
            return found


def _delete(client: "kfp.Client", identifier: str) -> None:
    # Keeps the Workflows of runs that have ended, and with them their pods and logs, for as long as
    # they are kept otherwise. Servers before 2.17 delete them.
    client._recurring_run_api.recurring_run_service_delete_recurring_run(
        identifier, propagation_policy="ORPHAN"
    )
