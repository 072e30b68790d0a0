"""How many connections a process has, and how long it waits for their clients.

A connection is a file descriptor and up to 128 KiB of memory, whoever holds it. At the bound, the
connection that has waited longest for its client makes room for a new one: first those that never
sent a complete request. A client whose request has come waits for this server, whether or not the
request has been read. Only where every client does, new connections are kept for probes, and beyond
a few of these closed at once.
"""

import asyncio
import itertools
import resource
from dataclasses import dataclass
from typing import Literal, Protocol

from kfp_tabular.serving.metrics.bound_reports import Report

READ_BYTES = 64 * 1024
"""The most that is read at once. A pipeline holds this much for each connection."""

MOST_UNSENT_BYTES = 64 * 2**20
"""Bytes of responses that clients of this process have not taken."""

PROBE_CONNECTIONS = 32
"""Connections beyond the bound, for probes and metrics only."""

_SLOW_SECONDS = 1.0
"""A client that has not sent its next request for so long is slower than others."""
_MOST_ASKED = 16
"""How many connections are asked for input, to find one to close."""

_OTHER_DESCRIPTORS = 128
"""Files, gRPC and libraries."""
_LONGEST_BACKLOG = 2048

Admission = Literal["open", "probes", "refused"]
"""Whether a connection may ask everything, probes and metrics only, or is closed."""


@dataclass(frozen=True)
class Patience:
    """How long a connection waits for its client.

    Attributes:
        silence_seconds: Until the first request or a head is complete, and between two pieces of a
            body.
        unread_seconds: Without the client taking any of a response.
        linger_seconds: Until a client that was rejected closes the connection.
        look_seconds: How often connections are looked at.
    """

    silence_seconds: float = 60.0
    unread_seconds: float = 60.0
    linger_seconds: float = 2.0
    look_seconds: float = 1.0


@dataclass(frozen=True)
class DescriptorShare:
    """How many connections fit below the limit of open files.

    Attributes:
        connections: The most connections that may ask everything.
        backlog: How many may wait to be accepted. They are accepted in one go, so they count.
    """

    connections: int
    backlog: int


def share_of_descriptors(wanted: int, limit: int) -> DescriptorShare:
    """Return how many connections a process may have.

    Args:
        wanted: The setting.
        limit: The process's limit of open files.

    Example:
        >>> share_of_descriptors(1000, 2**20)
        DescriptorShare(connections=1000, backlog=2048)
        >>> share_of_descriptors(1000, 1024)
        DescriptorShare(connections=608, backlog=256)
    """
    backlog = min(_LONGEST_BACKLOG, max(limit // 4, 16))
    free = limit - backlog - PROBE_CONNECTIONS - _OTHER_DESCRIPTORS
    return DescriptorShare(min(wanted, max(free, 16)), backlog)


def descriptor_limit() -> int:
    """Return this process's limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**20 if soft == resource.RLIM_INFINITY else soft


class Bounded(Protocol):
    """A connection."""

    @property
    def unsent_bytes(self) -> int:
        """Bytes of responses that the client has not taken."""

    @property
    def unread_since(self) -> float:
        """When the client has last taken some of them."""

    @property
    def has_input(self) -> bool:
        """Whether the client has sent something that the event loop's next turn parses."""

    def look(self, now: float) -> None:
        """Close, if the client has let this server wait for too long."""

    def make_room(self) -> None:
        """Close at once."""


class ConnectionBounds:
    """The connections of a process.

    Args:
        most: The most connections that may ask everything.
        report: Called when a bound is reached.
        patience: How long connections wait for their clients.

    Attributes:
        buffer: What all connections read into, one after the other.
    """

    def __init__(
        self,
        most: int = 1000,
        report: Report = lambda bound, text: None,  # noqa: ARG005
        patience: Patience = Patience(),
    ) -> None:
        self.buffer = memoryview(bytearray(READ_BYTES))
        self.report = report
        self.patience = patience
        self._most = most
        self._open: dict[Bounded, None] = {}
        # By when the client's turn began: dictionaries keep the order of insertion.
        self._strangers: dict[Bounded, float] = {}
        self._waiting: dict[Bounded, float] = {}
        self._unread: dict[Bounded, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: Bounded, loop: asyncio.AbstractEventLoop) -> Admission:
        """Take a new connection in, and close another one if there are too many."""
        admission: Admission = "open"
        now = loop.time()
        if len(self._open) >= self._most:
            self._make_room(now)
        if len(self._open) >= self._most:
            admission = "probes" if len(self._open) < self._most + PROBE_CONNECTIONS else "refused"
        if admission == "refused":
            self.report(
                "connections_refused",
                f"all {self._most} connections (--max-connections) wait for this server; closed "
                "new ones at once",
            )
            return admission
        self._open[connection] = None
        self._strangers[connection] = now
        if self._timer is None:
            self._timer = loop.call_later(self.patience.look_seconds, self._look, loop)
        return admission

    def remove(self, connection: Bounded) -> None:
        """Forget a connection that is closed."""
        for connections in (self._open, self._strangers, self._waiting, self._unread):
            connections.pop(connection, None)

    def clients_turn(self, connection: Bounded, now: float) -> None:
        """Note that a connection that has asked something now waits for its client."""
        if connection in self._open:
            self._waiting.pop(connection, None)
            self._waiting[connection] = now

    def servers_turn(self, connection: Bounded) -> None:
        """Note that a connection's client waits for this server."""
        self._strangers.pop(connection, None)
        self._waiting.pop(connection, None)

    def unread(self, connection: Bounded) -> None:
        """Note that a client does not take its response; close the slowest if it is too much."""
        self._unread[connection] = None
        # The sum is taken where a client does not read, which is rare.
        while self._unread and self.unsent_bytes > MOST_UNSENT_BYTES:
            slowest = min(self._unread, key=lambda one: one.unread_since)
            self.report(
                "unread_bytes",
                f"clients have not taken {MOST_UNSENT_BYTES // 2**20} MiB of their responses; "
                "closed the connections whose clients have read nothing for longest",
            )
            self._close(slowest)

    def read_again(self, connection: Bounded) -> None:
        """Note that a client has taken most of its response."""
        self._unread.pop(connection, None)

    @property
    def unsent_bytes(self) -> int:
        """Bytes of responses that clients do not take."""
        return sum(connection.unsent_bytes for connection in self._unread)

    def _make_room(self, now: float) -> None:
        """Close the connection that has waited longest for its client, if there is one.

        A client that does not take its response is one that is waited for.
        """
        slowest = self._slowest(now)
        if slowest is None:
            return
        self.report(
            "connections",
            f"{self._most} connections (--max-connections) are open; closed those that have waited "
            "longest for their clients",
        )
        self._close(slowest)

    def _slowest(self, now: float) -> Bounded | None:
        # A client whose request is about to be read does not keep this server waiting.
        for connections in (self._strangers, self._waiting):
            for connection, since in itertools.islice(connections.items(), _MOST_ASKED):
                if now - since < _SLOW_SECONDS:
                    break
                if not connection.has_input:
                    return connection
            if self._unread:
                return next(iter(self._unread))
        # In a flood, all are new.
        for connections in (self._strangers, self._waiting):
            for connection in itertools.islice(connections, _MOST_ASKED):
                if not connection.has_input:
                    return connection
        return next(iter(self._strangers), None)

    def _close(self, connection: Bounded) -> None:
        self.remove(connection)
        connection.make_room()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for connection in list(self._open):
            connection.look(now)
        self._timer = (
            loop.call_later(self.patience.look_seconds, self._look, loop) if self._open else None
        )
