"""Bounds of gRPC calls: how many there are, and how long a call may go without its message.

gRPC's library starts a call when its head has come, and reads the message when it is told to.
Until then a call takes at most its flow-control window, 64 KiB; while a message is read, up to the
largest message. So only a few messages are read at a time. Messages of honest clients come with
their heads, and are read in a millisecond; a call whose message does not come gives way to others.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from kfp_tabular.serving.metrics.bound_reports import Report
from kfp_tabular.serving.settings.server_settings import RequestLimits

_TURN_SECONDS = 0.02
_TURNS_WHILE_OTHERS_WAIT = 3
"""Turns of the event loop, not time: after a blocked loop, no message had a chance to be read."""


class NoMessageError(Exception):
    """A call ended without a message."""


@dataclass(eq=False)
class _Reading:
    """A call whose message is being read."""

    context: Any
    began: float
    turns: int = 0
    dropping: asyncio.Task[None] | None = None


@dataclass
class CallBounds:
    """Admits calls and reads their messages. Use it in one event loop.

    Attributes:
        most_calls: How many calls there may be at a time.
        most_readings: How many messages are read at a time.
        message_seconds: How long reading a message may take.
        report: Called when a bound is reached.
    """

    most_calls: int
    most_readings: int
    message_seconds: float
    report: Report = lambda bound, text: None  # noqa: ARG005
    _calls: int = 0
    _readings: list[_Reading] = field(default_factory=list)
    _waiting: int = 0
    _freed: asyncio.Event = field(default_factory=asyncio.Event)
    _turning: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, limits: RequestLimits, report: Report) -> "CallBounds":
        """Return the bounds that follow from the server's limits.

        Args:
            limits: The limits.
            report: Called when a bound is reached.
        """
        pending = 4 * limits.max_pending_mib * 2**20
        return cls(
            limits.grpc_calls,
            int(min(64, max(4, pending // limits.max_body_bytes))),
            limits.grpc_message_seconds,
            report,
        )

    @contextlib.asynccontextmanager
    async def message(self, context: Any) -> AsyncIterator[bytes]:
        """Read a call's message, for a block in which the call is handled.

        Args:
            context: The call's context.

        Yields:
            The message.

        Raises:
            NoMessageError: If the call ends without one.
            grpc.aio.AbortError: If there are too many calls, or the message did not come in time.
        """
        if self._calls >= self.most_calls:
            self.report(
                "grpc_calls",
                f"{self.most_calls} gRPC calls at a time (--grpc-calls) are in progress; rejected "
                "further ones",
            )
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"too many calls at a time; this server accepts {self.most_calls}.",
            )
        self._calls += 1
        try:
            yield await self._read(context)
        finally:
            self._calls -= 1

    async def _read(self, context: Any) -> bytes:
        begin = time.monotonic()
        self._waiting += 1
        try:
            while len(self._readings) >= self.most_readings:
                self._turn()
                self._freed.clear()
                await self._freed.wait()
        finally:
            self._waiting -= 1
        reading = _Reading(context, begin)
        self._readings.append(reading)
        self._turn()
        try:
            message = await context.read()
        finally:
            self._readings.remove(reading)
            self._freed.set()
        if message is grpc.aio.EOF:
            raise NoMessageError
        return bytes(message)

    def _turn(self) -> None:
        if self._turning is None or self._turning.done():
            self._turning = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while self._readings:
            await asyncio.sleep(_TURN_SECONDS)
            wanted = self._waiting
            now = time.monotonic()
            for reading in self._readings:
                reading.turns += 1
                if reading.dropping is not None:
                    wanted -= 1
                elif now - reading.began > self.message_seconds:
                    self._drop(reading, f"no message came within {self.message_seconds:g} s")
                elif wanted > 0 and reading.turns >= _TURNS_WHILE_OTHERS_WAIT:
                    wanted -= 1
                    self._drop(reading, "its message did not come while other calls waited")

    def _drop(self, reading: _Reading, why: str) -> None:
        self.report("grpc_message", f"ended gRPC calls: {why} (--grpc-message-seconds)")
        # Not waited for: a client that does not read may delay it.
        reading.dropping = asyncio.get_running_loop().create_task(_end(reading.context, why))


async def _end(context: Any, why: str) -> None:
    # `read` raises the same exception, which ends the handler. A call that has ended is done.
    with contextlib.suppress(grpc.aio.BaseError):
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{why}.")
