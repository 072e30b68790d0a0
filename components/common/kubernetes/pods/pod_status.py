"""Why a pod failed or does not start, read from its status."""

import signal
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp_tabular.components.common.kubernetes.client.resource_kinds import Object

# Reasons for which a container waits. Each may pass (a registry is down, a Secret is about to be
# created), so it is allowed for a while. The kubelet pulls again after 10 s, then after 20 s more.
_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ErrImageInspect"})
_IMAGE_SECONDS = 60
_CONFIGURATION = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
_CONFIGURATION_SECONDS = 30
# Reasons that do not pass.
_HOPELESS = frozenset({"InvalidImageName", "ErrImageNeverPull"})

_SIGNALLED = 128


@dataclass(frozen=True)
class Problem:
    """Why a pod does not start.

    Attributes:
        pod: The name of the pod.
        reason: Such as `ImagePullBackOff` or `Unschedulable`.
        message: The explanation of the kubelet or the scheduler.
        seconds: How long it may last before it counts as final.
    """

    pod: str
    reason: str
    message: str
    seconds: float

    @property
    def topic(self) -> str:
        """One name for reasons that alternate: `ErrImagePull` and `ImagePullBackOff`."""
        return "image" if self.reason in _IMAGE else self.reason

    def __str__(self) -> str:
        return f"pod {self.pod} cannot start: {self.reason}: {self.message or 'no message'}"


@dataclass(frozen=True, order=True)
class Failure:
    """A failure of a pod or container. The smallest of several is the cause of the others.

    Attributes:
        rank: 0 for a cause in itself, 1 for an exit code, 2 for a pod that was told to stop.
        finished: The time of the failure (RFC 3339); may be empty.
        pod: The name of the pod.
        container: The container; empty if the whole pod failed.
        reason: Such as `OOMKilled` or `Evicted`.
        message: An explanation; may be empty.
        restarts: The number of restarts before this failure.
        previous: Whether the container was restarted after this failure.
        exit_code: The exit code of the container; None if the whole pod failed.
    """

    rank: int
    finished: str
    pod: str
    container: str
    reason: str
    message: str = ""
    restarts: int = 0
    previous: bool = False
    exit_code: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        what = f"pod {self.pod}"
        if self.container:
            what += f", container {self.container}"
        return f"{what}: {self.reason}" + (f": {self.message}" if self.message else "")


def cannot_start(pod: Object, grace_seconds: float) -> Problem | None:
    """Return why a pod does not start; None if nothing is wrong.

    Args:
        pod: The pod.
        grace_seconds: How long it may be unschedulable. No other problem may last longer.

    Example:
        >>> waiting = {"reason": "ImagePullBackOff", "message": "not found"}
        >>> statuses = [{"image": "train:1", "state": {"waiting": waiting}}]
        >>> pod = {"metadata": {"name": "taxi"}, "status": {"containerStatuses": statuses}}
        >>> print(cannot_start(pod, grace_seconds=300))
        pod taxi cannot start: ImagePullBackOff: image train:1: not found
    """
    name = str(pod["metadata"]["name"])
    if _being_deleted(pod):
        return None
    for status in _container_statuses(pod):
        waiting = _state(status).get("waiting") or {}
        reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
        allowed = _allowed_seconds(reason)
        if allowed is not None:
            what = (
                f"image {status.get('image', '')}: {message}" if _about_image(reason) else message
            )
            return Problem(name, reason, what, min(allowed, grace_seconds))
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        return Problem(name, "Unschedulable", str(scheduled.get("message", "")), grace_seconds)
    return None


def failures(pod: Object) -> Iterator[Failure]:
    """Yield the failures of a pod and its containers so far.

    Args:
        pod: The pod.

    Example:
        >>> state = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
        >>> statuses = [{"name": "main", "state": state}]
        >>> pod = {"metadata": {"name": "taxi"}, "status": {"containerStatuses": statuses}}
        >>> print(*failures(pod))
        pod taxi, container main: OOMKilled: it used more memory than its node had
        (exit code 137, SIGKILL)
    """
    name, status = str(pod["metadata"]["name"]), pod.get("status") or {}
    disrupted = _condition(pod, "DisruptionTarget")
    if status.get("phase") == "Failed" and status.get("reason"):
        yield Failure(0, "", name, "", str(status["reason"]), str(status.get("message", "")))
    elif disrupted.get("status") == "True":
        reason, message = str(disrupted.get("reason", "")), str(disrupted.get("message", ""))
        yield Failure(0, str(disrupted.get("lastTransitionTime", "")), name, "", reason, message)
    for container in _container_statuses(pod):
        restarts = int(container.get("restartCount") or 0)
        for ended, count, previous in (
            (_state(container).get("terminated"), restarts, False),
            ((container.get("lastState") or {}).get("terminated"), restarts - 1, True),
        ):
            if ended and ended.get("exitCode"):
                yield _container_failure(pod, str(container["name"]), ended, count, previous)


def is_running(pod: Object) -> bool:
    """Whether a pod has started and not ended.

    Example:
        >>> is_running({"status": {"phase": "Running"}}), is_running({})
        (True, False)
    """
    return bool((pod.get("status") or {}).get("phase") == "Running")


def has_ended(pod: Object) -> bool:
    """Whether a pod has ended and will not restart.

    Example:
        >>> has_ended({"status": {"phase": "Failed"}}), has_ended({"status": {"phase": "Running"}})
        (True, False)
    """
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def has_log(pod: Object, container: str) -> bool:
    """Whether a container has a log, because it was started at least once.

    Args:
        pod: The pod.
        container: The container; empty for the first.

    Example:
        >>> started = {"name": "main", "state": {"running": {}}}
        >>> waiting = {"name": "main", "state": {"waiting": {}}}
        >>> [has_log({"status": {"containerStatuses": [s]}}, "main") for s in (started, waiting)]
        [True, False]
    """
    wanted = container or main_container(pod)
    return any(
        status.get("name") == wanted
        and bool({"running", "terminated"} & _state(status).keys() or status.get("lastState"))
        for status in _container_statuses(pod)
    )


def restarts(pod: Object, container: str) -> int:
    """Return the number of restarts of a container.

    Example:
        >>> pod = {"status": {"containerStatuses": [{"name": "main", "restartCount": 3}]}}
        >>> restarts(pod, "main"), restarts(pod, "sidecar")
        (3, 0)
    """
    return max(
        (
            int(status.get("restartCount") or 0)
            for status in _container_statuses(pod)
            if status.get("name") == container
        ),
        default=0,
    )


def main_container(pod: Object) -> str:
    """Return the name of the first container of a pod.

    Example:
        >>> main_container({"spec": {"containers": [{"name": "main"}, {"name": "sidecar"}]}})
        'main'
    """
    containers = (pod.get("spec") or {}).get("containers") or [{}]
    return str(containers[0].get("name", ""))


def selected(pods: Iterable[Object], selector: str) -> list[Object]:
    """Return the pods that match an equality-based label selector, oldest first.

    Args:
        pods: Pods.
        selector: Such as `a=b,c=d`. An empty one matches no pod.

    Example:
        >>> pod = {"metadata": {"name": "p", "labels": {"role": "chief"}}}
        >>> selected([pod], "role=chief") == [pod], selected([pod], "")
        (True, [])
    """
    wanted = dict(part.split("=", 1) for part in selector.split(",") if part)
    if not wanted:
        return []
    found = [pod for pod in pods if wanted.items() <= (pod["metadata"].get("labels") or {}).items()]
    return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))


def event_lines(events: Iterable[Object], most: int = 5) -> list[str]:
    """Return the last warnings among events, one line each.

    Args:
        events: Events.
        most: The number of lines at most.

    Example:
        >>> event_lines([
        ...     {"type": "Normal", "reason": "Scheduled"},
        ...     {"type": "Warning", "reason": "BackOff", "message": "restarting failed container"},
        ... ])
        ['BackOff: restarting failed container']
    """
    warnings = [event for event in events if event.get("type") == "Warning"]
    warnings.sort(key=_when)
    return [
        f"{event.get('reason', '')}: {' '.join(str(event.get('message', '')).split())}"
        for event in warnings[-most:]
    ]


def _allowed_seconds(reason: str) -> float | None:
    if reason in _HOPELESS:
        return 0
    if reason in _IMAGE:
        return _IMAGE_SECONDS
    return _CONFIGURATION_SECONDS if reason in _CONFIGURATION else None


def _about_image(reason: str) -> bool:
    return reason in _IMAGE or reason in _HOPELESS


def _container_failure(
    pod: Object, container: str, ended: Mapping[str, Any], restarts: int, previous: bool
) -> Failure:
    code, reason = int(ended["exitCode"]), str(ended.get("reason") or "Error")
    message, rank = _exit(code), 1
    if reason == "OOMKilled":
        limit = _memory_limit(pod, container)
        message = f"it used more memory than {limit or 'its node had'} ({message})"
        rank = 0
    elif reason not in ("Error", "Completed"):
        rank = 0
    elif _being_deleted(pod) or code == _SIGNALLED + signal.SIGTERM:
        rank = 2
    if ended.get("message"):
        message += f": {' '.join(str(ended['message']).split())[:500]}"
    return Failure(
        rank,
        str(ended.get("finishedAt") or ""),
        str(pod["metadata"]["name"]),
        container,
        reason,
        message,
        restarts,
        previous,
        code,
    )


def _exit(code: int) -> str:
    if code > _SIGNALLED:
        try:
            return f"exit code {code}, {signal.Signals(code - _SIGNALLED).name}"
        except ValueError:
            pass
    return f"exit code {code}"


def _memory_limit(pod: Object, container: str) -> str:
    for spec in (pod.get("spec") or {}).get("containers") or ():
        limit = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
        if spec.get("name") == container and limit:
            return f"its limit of {limit}"
    return ""


def _container_statuses(pod: Object) -> Iterator[Mapping[str, Any]]:
    status = pod.get("status") or {}
    for name in ("initContainerStatuses", "containerStatuses"):
        yield from status.get(name) or ()


def _state(status: Mapping[str, Any]) -> Mapping[str, Any]:
    state: Mapping[str, Any] = status.get("state") or {}
    return state


def _condition(pod: Object, kind: str) -> Mapping[str, Any]:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition.get("type") == kind:
            found: Mapping[str, Any] = condition
            return found
    return {}


def _being_deleted(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def _when(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
