"""The log of a container, each line once, however often the stream breaks."""

import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import (
    AbortedError,
    ApiError,
    ForbiddenError,
    NotFoundError,
    RejectedError,
)
from kfp_tabular.components.common.kubernetes.client.resource_kinds import POD, Object
from kfp_tabular.components.common.kubernetes.pods import pod_status

TAIL_LINES = 30

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_BEFORE_ALL = (datetime.min.replace(tzinfo=UTC), 0)

_logger = logging.getLogger(__name__)


class Cursor:
    """The position up to which a log was read.

    `sinceTime` has a resolution of one second, so a log that is requested again repeats lines.
    Lines with the same time are counted to tell them apart.

    Attributes:
        time: The time of the last line as written in the log; empty before the first line.
    """

    def __init__(self) -> None:
        self.time = ""
        self._last = _BEFORE_ALL
        self._count = 0

    def new(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the text of the lines that were not read before.

        Args:
            lines: The log with timestamps, from `time` or an earlier time on.

        Example:
            >>> cursor = Cursor()
            >>> first = "2026-11-23T10:00:00.5Z epoch 1"
            >>> list(cursor.new([first]))
            ['epoch 1']
            >>> list(cursor.new([first, "2026-11-23T10:00:00.7Z epoch 2"]))
            ['epoch 2']
        """
        last, to_skip, repeating = self._last, self._count, True
        for line in lines:
            stamp, _, text = line.partition(" ")
            when = _parse(stamp)
            if when is None:
                # The kubelet writes its own errors into the stream, without a time.
                yield line
                continue
            if repeating and when <= last:
                to_skip -= when == last
                if when < last or to_skip >= 0:
                    continue
            repeating = False
            if when > self._last:
                self.time, self._last, self._count = stamp, when, 0
            self._count += when == self._last
            # A progress bar rewrites its line.
            yield text.rstrip("\r").rpartition("\r")[2]


def _parse(stamp: str) -> tuple[datetime, int] | None:
    """Return an RFC 3339 time and its nanoseconds, which `datetime` lacks."""
    match = _TIME.fullmatch(stamp)
    if match is None:
        return None
    seconds, fraction, zone = match.groups()
    return datetime.fromisoformat(seconds + zone), int(f"{fraction or '':0<9}")


class Follower:
    """Shows the log of a running container, in a thread of its own.

    Attributes:
        tail: The last lines.
    """

    def __init__(self, api: Api, pod: Object, container: str, show: Callable[[str], None]) -> None:
        """Start to follow the log.

        Args:
            api: Access to the cluster. `abort` on it ends the thread.
            pod: A pod whose container was started.
            container: The container; empty for the first.
            show: Called with each line.
        """
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._api = api
        self._pod = pod
        self._container = container or pod_status.main_container(pod)
        self._show = show
        self._cursor = Cursor()
        self._restarts = 0
        name = pod["metadata"]["name"]
        self._thread = threading.Thread(target=self._run, name=f"log of {name}", daemon=True)
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """Wait until the whole log of an ended container was shown, `seconds` at most."""
        self._thread.join(seconds)

    def _run(self) -> None:
        name = self._pod["metadata"]["name"]
        failures = 0
        try:
            while True:
                pod = self._api.get(POD, name, self._pod["metadata"]["namespace"])
                if pod["metadata"]["uid"] != self._pod["metadata"]["uid"]:
                    return
                # Only a log that is read after the end is complete.
                ended = pod_status.has_ended(pod)
                restarts = pod_status.restarts(pod, self._container)
                if restarts > self._restarts:
                    self._read(previous=True)
                self._restarts = restarts
                whole = self._read(follow=not ended)
                if ended and (whole or failures > 10):
                    return
                failures = 0 if whole else failures + 1
                self._api.pause(self._api.retry_policy.delay(failures))
        except (AbortedError, NotFoundError):
            return
        except (ApiError, ForbiddenError, RejectedError) as error:
            _logger.warning("Cannot show the log of pod %s: %s", name, error)

    def _read(self, *, follow: bool = False, previous: bool = False) -> bool:
        """Show new lines, and return whether the log was read to its end."""
        try:
            lines = self._api.logs(
                self._pod["metadata"]["name"],
                self._pod["metadata"]["namespace"],
                container=self._container,
                follow=follow,
                previous=previous,
                timestamps=True,
                since=self._cursor.time,
            )
            for text in self._cursor.new(lines):
                self.tail.append(text)
                self._show(text)
        except ConnectionError as error:
            _logger.debug("the log of pod %s broke: %s", self._pod["metadata"]["name"], error)
            return False
        except RejectedError as error:
            # A container that is about to restart has no log for a moment.
            _logger.debug("no log: %s", error)
            return False
        return True


def tail(api: Api, pod: Object, container: str, *, previous: bool = False) -> list[str]:
    """Return the last lines of a container's log; none if the log cannot be read.

    Args:
        api: Access to the cluster.
        pod: The pod.
        container: The container; empty for the first.
        previous: Whether to read the log from before the last restart.
    """
    try:
        lines = api.logs(
            pod["metadata"]["name"],
            pod["metadata"]["namespace"],
            container=container or pod_status.main_container(pod),
            tail=TAIL_LINES,
            previous=previous,
        )
        return [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    except (ApiError, ConnectionError, ForbiddenError, RejectedError) as error:
        _logger.debug("no last log lines: %s", error)
        return []
