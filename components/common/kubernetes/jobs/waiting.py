"""Waits for the end of a job and watches its pods meanwhile."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from kfp_tabular.components.common.kubernetes.client.api import Api
from kfp_tabular.components.common.kubernetes.client.errors import (
    AbortedError,
    ApiError,
    DeadlineError,
    DeletedError,
    ForbiddenError,
    JobFailedError,
    RejectedError,
    TerminatedError,
)
from kfp_tabular.components.common.kubernetes.client.resource_kinds import EVENT, POD, Object
from kfp_tabular.components.common.kubernetes.jobs.launch_spec import Launch, Verdict
from kfp_tabular.components.common.kubernetes.pods import logs, pod_status

# How long to wait for the rest of the log after the end of the job: if its container has ended,
# too, and if not.
_LOG_END_SECONDS = 10
_LOG_GOES_ON_SECONDS = 1
_EXPLAIN_SECONDS = 10
# A controller creates pods within seconds, unless something prevents it: a quota, a queue, or a
# rejected object, which only an event reports.
_NO_PODS_SECONDS = 30
# The number of further failures to report.
_MOST_OTHERS = 5

_logger = logging.getLogger(__name__)
_log_of_job = logging.getLogger(f"{__name__}.log")


def until_ended(
    api: Api,
    launch: Launch,
    resource: Object,
    terminated: threading.Event,
    *,
    elapsed_seconds: float = 0,
) -> Object:
    """Wait until a job has succeeded or failed, without changing anything on the cluster.

    Args:
        api: Access to the cluster.
        launch: The job; only the name of its resource matters.
        resource: The resource as it is on the cluster.
        terminated: Set to give up the wait; see `termination`.
        elapsed_seconds: How much of the deadline has passed already.

    Returns:
        The resource in its last state, after it succeeded.

    Raises:
        JobFailedError: The job failed, or one of its pods can never start; see `over`.
        DeadlineError: The job missed its deadline.
        DeletedError: The job was deleted by someone else.
        TerminatedError: `terminated` was set.
        UserError: A permission is missing.
    """
    bound = api.bound()
    # Requests that only explain a failure must not wait long for an unavailable API server.
    brief = api.bound(
        unreachable_seconds=min(_EXPLAIN_SECONDS, api.retry_policy.unreachable_seconds)
    )
    wait = _Wait(bound, brief, launch, resource, elapsed_seconds)

    def give_up() -> None:
        wait.inbox.put(_Terminated())
        brief.abort()

    try:
        with on_event(terminated, give_up):
            return wait.run()
    except AbortedError:
        raise TerminatedError(f"{launch.name}: terminated.") from None
    finally:
        bound.abort()


@contextmanager
def on_event(event: threading.Event, act: Callable[[], None]) -> Iterator[None]:
    """Call `act` in a thread as soon as an event is set, for the duration of the block.

    The main thread must not wait for an event that a signal handler sets: the handler interrupts
    the wait, which may hold the event's lock.

    Example:
        >>> terminated, saved = threading.Event(), threading.Event()
        >>> with on_event(terminated, saved.set):
        ...     terminated.set()
        ...     saved.wait(5)
        True
    """
    done = threading.Event()

    def wait() -> None:
        while not done.is_set():
            if event.wait(0.5):
                act()
                return

    threading.Thread(target=wait, name="termination", daemon=True).start()
    try:
        yield
    finally:
        done.set()


@dataclass(frozen=True)
class _Seen:
    """The resource as it is; None if it does not exist (any more)."""

    resource: Object | None


@dataclass(frozen=True)
class _Pods:
    """All pods, by name."""

    pods: Mapping[str, Object]


@dataclass(frozen=True)
class _Broken:
    """The resource cannot be watched."""

    error: Exception


@dataclass(frozen=True)
class _Terminated:
    """The wait must be given up."""


@dataclass
class _Ended:
    """A failure of a container, with the end of its log."""

    failure: pod_status.Failure
    uid: str
    main_container: str
    lines: list[str] = field(default_factory=list)


class _Wait:
    """One wait. Threads watch and put what they see into the inbox; one thread decides."""

    def __init__(
        self, api: Api, brief: Api, launch: Launch, resource: Object, elapsed_seconds: float
    ) -> None:
        self.inbox: SimpleQueue[_Seen | _Pods | _Broken | _Terminated] = SimpleQueue()
        self._api = api
        self._brief = brief
        self._launch = launch
        self._resource = resource
        metadata = resource["metadata"]
        self._uid, self._namespace = metadata["uid"], metadata.get("namespace", "")
        self._title = f"{launch.kind.kind} {self._namespace}/{launch.name}"
        self._deadline = time.monotonic() + launch.deadline_seconds - elapsed_seconds
        self._pods: Mapping[str, Object] = {}
        self._ended: dict[tuple[str, str, int], _Ended] = {}
        self._problems: dict[tuple[str, str], tuple[pod_status.Problem, float]] = {}
        self._followers: dict[str, logs.Follower] = {}
        self._verdict = ""
        # The time from which missing pods are worth a warning.
        allowed = min(launch.grace_seconds, _NO_PODS_SECONDS) if launch.pod_selector else math.inf
        self._lonely = time.monotonic() + allowed

    def run(self) -> Object:
        # A job that has ended already cannot miss its deadline.
        if self._see_resource(self._resource):
            return self._resource
        self._start("watch", self._watch_resource)
        if self._launch.pod_selector:
            self._start("pods", self._watch_pods)
        while True:
            try:
                message = self.inbox.get(timeout=max(0, self._next_due() - time.monotonic()))
            except Empty:
                self._check_time()
                continue
            if isinstance(message, _Terminated):
                raise TerminatedError(f"{self._title}: terminated.")
            if isinstance(message, _Broken):
                raise message.error
            if isinstance(message, _Pods):
                self._see_pods(message.pods)
                self._check_final()
            elif self._see_resource(message.resource):
                return self._resource
            self._check_time()

    def _start(self, name: str, target: Callable[[], None]) -> None:
        threading.Thread(target=target, name=f"{name} {self._title}", daemon=True).start()

    def _watch_resource(self) -> None:
        name = self._launch.name
        try:
            for found in self._api.watch(self._launch.kind, self._namespace, name=name):
                self.inbox.put(_Seen(found.get(name)))
        except AbortedError:
            return
        except Exception as error:  # noqa: BLE001 - carried to the thread that waits
            self.inbox.put(_Broken(error))

    def _watch_pods(self) -> None:
        try:
            selector = self._launch.pod_selector
            for found in self._api.watch(POD, self._namespace, labels=selector):
                self._remember_failures(self._api, found)
                self.inbox.put(_Pods(found))
        except AbortedError:
            return
        except (ApiError, ForbiddenError, RejectedError) as error:
            _logger.warning("Cannot watch the pods of %s: %s", self._title, error)

    def _remember_failures(self, api: Api, found: Mapping[str, Object]) -> None:
        """Record failures of pods with their last log lines: operators delete failed pods."""
        for pod in found.values():
            uid = pod["metadata"]["uid"]
            for failure in pod_status.failures(pod):
                key = (uid, failure.container, failure.restarts)
                if key in self._ended:
                    continue
                ended = _Ended(failure, uid, pod_status.main_container(pod))
                if failure.container:
                    ended.lines = logs.tail(api, pod, failure.container, previous=failure.previous)
                self._ended[key] = ended

    def _see_resource(self, resource: Object | None) -> bool:
        """Record a state of the resource, and return whether it is success."""
        if resource is None or resource["metadata"]["uid"] != self._uid:
            raise DeletedError(f"{self._title} was deleted by someone else.")
        self._resource = resource
        if self._launch.on_change:
            self._launch.on_change(resource)
        verdict = self._launch.judge(resource)
        if verdict.phase == "succeeded":
            self._show_rest()
            _logger.info("%s succeeded.", self._title)
            return True
        if verdict.phase == "failed":
            self._show_rest()
            text = self._explain(f"{self._title} failed: {verdict}")
            raise JobFailedError(text, over=True, exit_code=self._final_exit_code())
        if resource["metadata"].get("deletionTimestamp"):
            raise DeletedError(f"{self._title} is being deleted by someone else.")
        self._tell(verdict)
        return False

    def _tell(self, verdict: Verdict) -> None:
        if str(verdict) != self._verdict:
            self._verdict = str(verdict)
            _logger.info("%s: %s", self._title, verdict)

    def _see_pods(self, found: Mapping[str, Object]) -> None:
        self._pods = found
        now = time.monotonic()
        problems = {}
        for pod in found.values():
            problem = pod_status.cannot_start(pod, self._launch.grace_seconds)
            if problem is None:
                continue
            key = (pod["metadata"]["uid"], problem.topic)
            if key not in self._problems:
                _logger.warning("%s (allowed for %g s)", problem, problem.seconds)
            _, since = self._problems.get(key, (problem, now))
            problems[key] = (problem, since)
        self._problems = problems
        self._follow(found)

    def _follow(self, found: Mapping[str, Object]) -> None:
        for pod in pod_status.selected(found.values(), self._launch.chief_selector):
            uid = pod["metadata"]["uid"]
            if uid not in self._followers and pod_status.has_log(pod, self._launch.container):
                name = pod["metadata"]["name"]
                self._followers[uid] = logs.Follower(
                    self._api, pod, self._launch.container, _shower(name)
                )

    def _hopeless(self) -> Iterator[tuple[pod_status.Problem, float]]:
        """Yield the problems that end the wait, each with the time when it does."""
        if self._launch.needs_all_pods or not any(map(pod_status.is_running, self._pods.values())):
            for problem, since in self._problems.values():
                yield problem, since + problem.seconds

    def _next_due(self) -> float:
        return min([self._deadline, self._lonely, *(due for _, due in self._hopeless())])

    def _check_time(self) -> None:
        now = time.monotonic()
        for problem, due in self._hopeless():
            if due <= now:
                raise JobFailedError(self._explain(f"{self._title}: {problem}", problem.pod))
        if self._lonely <= now:
            self._lonely = math.inf
            if not self._pods:
                _logger.warning(self._why_no_pods())
        if self._deadline <= now:
            text = f"{self._title} did not end within {self._launch.deadline_seconds:g} s"
            raise DeadlineError(self._explain(f"{text}; last seen: {self._verdict or 'nothing'}"))

    def _check_final(self) -> None:
        code = self._final_exit_code()
        if code is not None:
            text = self._explain(f"{self._title} failed, and a retry would not help")
            raise JobFailedError(text, exit_code=code)

    def _final_exit_code(self) -> int | None:
        causes = self._causes()
        return causes[0].failure.exit_code if causes and self._is_final(causes[0]) else None

    def _causes(self) -> list[_Ended]:
        """Return the failures so far, the most important first."""
        return sorted(
            self._ended.values(), key=lambda ended: (not self._is_final(ended), ended.failure)
        )

    def _is_final(self, ended: _Ended) -> bool:
        return (
            ended.failure.container == (self._launch.container or ended.main_container)
            and ended.failure.exit_code in self._launch.final_exit_codes
        )

    def _show_rest(self) -> None:
        """Show the rest of the log, and list pods that the watch has not reported yet."""
        if not self._launch.pod_selector:
            return
        try:
            listed = self._brief.list(POD, self._namespace, labels=self._launch.pod_selector)
        except (ApiError, ForbiddenError, RejectedError) as error:
            _logger.debug("no last look at the pods: %s", error)
        else:
            found = {pod["metadata"]["name"]: pod for pod in listed.items}
            self._remember_failures(self._brief, found)
            self._see_pods(found)
        running = {
            pod["metadata"]["uid"] for pod in self._pods.values() if pod_status.is_running(pod)
        }
        for uid, follower in self._followers.items():
            follower.finish(_LOG_GOES_ON_SECONDS if uid in running else _LOG_END_SECONDS)

    def _explain(self, what: str, pod: str = "") -> str:
        """Add what one would look up next: why a pod failed, its events and last log lines."""
        paragraphs = [what]
        causes = self._causes()
        if causes and not pod:
            cause = causes[0]
            pod = cause.failure.pod
            paragraphs[0] += f"\n{cause.failure}"
            lines = cause.lines or self._tail_of(cause.uid)
            if lines:
                paragraphs.append("\n  ".join([f"The end of the log of {pod}:", *lines]))
            others = sorted({str(other.failure) for other in causes[1:]})
            if others:
                paragraphs.append("\n  ".join(["Also:", *others[:_MOST_OTHERS]]))
        for name in filter(None, (pod, self._launch.name)):
            lines = self._events(name)
            if lines:
                paragraphs.append("\n  ".join([f"Events of {name}:", *lines]))
        waiting = sorted({str(problem) for problem, _ in self._problems.values()} - {what})
        paragraphs += [text for text in waiting[:_MOST_OTHERS] if text not in what]
        return "\n".join(paragraphs)

    def _why_no_pods(self) -> str:
        """Return warnings about all objects named after the resource.

        The event that tells why there are no pods may belong to an object between the two.
        """
        name, what = self._launch.name, f"{self._title} has no pods yet."
        below = [
            event
            for event in self._listed_events("")
            if f"{(event.get('involvedObject') or {}).get('name', '')}-".startswith(f"{name}-")
        ]
        return "\n  ".join([what, *pod_status.event_lines(below)])

    def _tail_of(self, uid: str) -> list[str]:
        follower = self._followers.get(uid)
        return list(follower.tail) if follower else []

    def _events(self, name: str) -> list[str]:
        return pod_status.event_lines(self._listed_events(f"involvedObject.name={name}"))

    def _listed_events(self, fields: str) -> Sequence[Object]:
        try:
            return self._brief.list(EVENT, self._namespace, fields=fields).items
        except (ApiError, ForbiddenError, RejectedError) as error:
            _logger.debug("no events: %s", error)
            return []


def _shower(pod: str) -> Callable[[str], None]:
    return lambda line: _log_of_job.info("%s | %s", pod, line)
