"""Logs of containers, as a kubelet serves them."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass
class ContainerLog:
    """The log of one start of a container.

    Attributes:
        lines: Time and text of each line; the times are in order.
        ended: Whether the container has ended, and a follower with it.
    """

    lines: list[tuple[datetime, str]] = field(default_factory=list)
    ended: bool = False


class Logs:
    """The logs of all containers of a cluster."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._logs: dict[tuple[str, str, str], list[ContainerLog]] = {}

    def write(self, namespace: str, pod: str, container: str, *texts: str) -> None:
        """Add lines to the log of the container's current start."""
        with self.changed:
            log = self._starts(namespace, pod, container)[-1]
            for text in texts:
                log.lines.append((datetime.now(UTC), text))
            self.changed.notify_all()

    def end(self, namespace: str, pod: str, container: str) -> None:
        """End the container."""
        with self.changed:
            self._starts(namespace, pod, container)[-1].ended = True
            self.changed.notify_all()

    def restart(self, namespace: str, pod: str, container: str) -> None:
        """End the container and start it again."""
        with self.changed:
            starts = self._starts(namespace, pod, container)
            starts[-1].ended = True
            starts.append(ContainerLog())
            self.changed.notify_all()

    def read(
        self, namespace: str, pod: str, container: str, query: Mapping[str, str]
    ) -> Iterator[bytes]:
        """Return lines as the query asks for them; with `follow`, until the container ends.

        Raises:
            LookupError: There was no previous start.
        """
        with self.changed:
            starts = self._starts(namespace, pod, container)
            previous = query.get("previous") == "true"
            if previous and len(starts) < 2:
                raise LookupError(
                    f'previous terminated container "{container}" in pod "{pod}" not found'
                )
            log = starts[-2] if previous else starts[-1]
        return self._read(log, query)

    def _read(self, log: ContainerLog, query: Mapping[str, str]) -> Iterator[bytes]:
        with self.changed:
            position = len(log.lines)
            chosen = list(log.lines)
        if since := query.get("sinceTime"):
            # The request reaches the kubelet with whole seconds.
            start = datetime.fromisoformat(since).replace(microsecond=0)
            chosen = [line for line in chosen if line[0] >= start]
        elif since_seconds := query.get("sinceSeconds"):
            start = datetime.now(UTC) - timedelta(seconds=int(since_seconds))
            chosen = [line for line in chosen if line[0] >= start]
        if tail := query.get("tailLines"):
            chosen = chosen[-int(tail) :] if int(tail) else []
        left = int(query.get("limitBytes") or 2**62)
        with_time = query.get("timestamps") == "true"
        while True:
            for time, text in chosen:
                # A microsecond is the finest there is here; kubelets have nanoseconds.
                stamp = f"{time:%Y-%m-%dT%H:%M:%S.%f}000Z " if with_time else ""
                line = f"{stamp}{text}\n".encode()[:left]
                left -= len(line)
                yield line
                if not left:
                    return
            with self.changed:
                if query.get("follow") != "true":
                    return
                while len(log.lines) == position and not log.ended:
                    self.changed.wait(0.1)
                    if len(log.lines) == position and not log.ended:
                        break
                chosen = log.lines[position:]
                position = len(log.lines)
                if not chosen and log.ended:
                    return
            if not chosen:
                yield b""

    def _starts(self, namespace: str, pod: str, container: str) -> list[ContainerLog]:
        return self._logs.setdefault((namespace, pod, container), [ContainerLog()])
