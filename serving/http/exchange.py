"""One request and its response, between a connection and the ASGI application."""

import asyncio
import logging
from collections.abc import Callable, Mapping, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from kfp_tabular.serving.http.request_head import RequestHead

if TYPE_CHECKING:
    from starlette.types import ASGIApp

_logger = logging.getLogger(__name__)
_access_logger = logging.getLogger("uvicorn.access")

MOST_WAITING_BYTES = 64 * 1024
"""Bytes of a body that wait for the application before reading pauses."""

_STATUS_LINES: Mapping[int, bytes] = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode("ascii"))
    for status in HTTPStatus
}


class Connection(Protocol):
    """What an exchange needs of its connection."""

    def send(self, *parts: bytes) -> None:
        """Send bytes."""

    async def drain(self) -> None:
        """Wait until the client has taken most of what was sent."""

    def read_more(self) -> None:
        """Read from the client again, if the rest of the request allows it."""

    def response_sent(self) -> None:
        """Go on to the next request, or close."""

    def fail(self) -> None:
        """Answer with status 500, or close within a response."""


def status_line(status: int) -> bytes:
    r"""Return the first line of a response.

    Example:
        >>> status_line(404), status_line(499)
        (b'HTTP/1.1 404 Not Found\r\n', b'HTTP/1.1 499 \r\n')
    """
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


class Exchange:
    """A request that the application answers.

    Args:
        connection: Its connection.
        head: The request's head.
        scope: What the application gets of it.
        default_headers: Returns the headers of every response.
        access_log: Whether to log the request.

    Attributes:
        keep_alive: Whether the connection may remain open after the response.
        request_complete: Whether the whole request has arrived.
        response_started: Whether the application has begun to answer.
        response_complete: Whether the application has answered.
    """

    def __init__(
        self,
        connection: Connection,
        head: RequestHead,
        scope: MutableMapping[str, Any],
        default_headers: Callable[[], list[tuple[bytes, bytes]]],
        access_log: bool,
    ) -> None:
        self.keep_alive = head.keep_alive
        self.request_complete = False
        self.response_started = False
        self.response_complete = False
        self._connection = connection
        self._head = head
        self._scope = scope
        self._default_headers = default_headers
        self._access_log = access_log
        self._awaits_continue = head.expects_continue and head.length != 0
        self._parts: list[bytes] = []
        self._waiting_bytes = 0
        self._disconnected = False
        self._delivered = False
        self._wakeup: asyncio.Future[None] | None = None
        self._response_head: bytes | None = None
        self._unsent_length: int | None = 0

    @property
    def is_full(self) -> bool:
        """Whether the application should take some of the body before more is read."""
        return self._waiting_bytes >= MOST_WAITING_BYTES

    async def run(self, app: "ASGIApp") -> None:
        """Let the application answer."""
        try:
            await app(self._scope, self.receive, self.send)
        except Exception:
            # The application answers for its own errors; this is what surrounds it.
            _logger.exception("the application failed")
        finally:
            if not self.response_complete and not self._disconnected:
                self._connection.fail()

    def add_body(self, content: bytes, *, complete: bool) -> None:
        """Pass a piece of the body on.

        Args:
            content: The piece; may be empty.
            complete: Whether it is the last one.
        """
        self._awaits_continue = self._awaits_continue and not content
        self.request_complete = complete
        if content and not self.response_complete:
            self._parts.append(content)
            self._waiting_bytes += len(content)
        if content or complete:
            self._wake_up()

    def disconnect(self) -> None:
        """Tell the application that the client has gone."""
        self._disconnected = True
        self._parts.clear()
        self._wake_up()

    async def receive(self) -> MutableMapping[str, Any]:
        """Return the next piece of the body, or that the client has gone; ASGI's `receive`."""
        if self._awaits_continue and not self.response_started and not self._disconnected:
            self._awaits_continue = False
            self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self._disconnected and not self.response_complete:
            if self._parts or (self.request_complete and not self._delivered):
                content = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                self._parts.clear()
                self._waiting_bytes = 0
                self._delivered = self.request_complete
                if not self._delivered:
                    self._connection.read_more()
                return {
                    "type": "http.request",
                    "body": content,
                    "more_body": not self.request_complete,
                }
            self._wakeup = asyncio.get_running_loop().create_future()
            await self._wakeup
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Send the head or a piece of the body of the response; ASGI's `send`."""
        if self._disconnected:
            return
        if not self.response_started:
            self._start_response(message["status"], list(message.get("headers", ())))
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        parts = [] if self._response_head is None else [self._response_head]
        self._response_head = None
        if self._head.method != "HEAD":
            parts += self._framed(body, more)
        self.response_complete = not more
        if parts:
            # Head and body with one system call: each would wake the client.
            self._connection.send(*parts)
        if self.response_complete:
            self._parts.clear()
            self._wake_up()
            self._connection.response_sent()
        else:
            await self._connection.drain()

    def _start_response(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.response_started = True
        if self._awaits_continue:
            # The client may send the body or the next request now; nothing tells them apart.
            self.keep_alive = False
        head = [status_line(status)]
        self._unsent_length = None
        for name, value in (*self._default_headers(), *headers):
            if name == b"connection":
                self.keep_alive = self.keep_alive and value != b"close"
                continue
            if name == b"content-length":
                self._unsent_length = int(value)
            head.append(b"%s: %s\r\n" % (name, value))
        if not self.keep_alive:
            head.append(b"connection: close\r\n")
        if self._unsent_length is None:
            if self._head.version == "1.1":
                head.append(b"transfer-encoding: chunked\r\n")
            else:
                self.keep_alive = False
        head.append(b"\r\n")
        self._response_head = b"".join(head)
        if self._access_log:
            self._log_access(status)

    def _framed(self, body: bytes, more: bool) -> list[bytes]:
        """Return a piece of the body as it is sent."""
        if self._unsent_length is not None:
            self._unsent_length -= len(body)
            if self._unsent_length < 0 or (not more and self._unsent_length):
                raise RuntimeError("the response's body does not have its Content-Length")
            return [body] if body else []
        if self._head.version == "1.0":
            return [body]
        chunk = [b"%x\r\n" % len(body), body, b"\r\n"] if body else []
        return chunk if more else [*chunk, b"0\r\n\r\n"]

    def _log_access(self, status: int) -> None:
        client = self._scope["client"]
        target = self._head.raw_path + (b"?" + self._head.query if self._head.query else b"")
        _access_logger.info(
            '%s - "%s %s HTTP/%s" %d',
            f"{client[0]}:{client[1]}" if client else "",
            self._head.method,
            target.decode("ascii"),
            self._head.version,
            status,
        )

    def _wake_up(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)
