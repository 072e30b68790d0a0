"""The protocol of an HTTP/1.1 connection: one request after the other, in bounded memory.

uvicorn's own parses and queues all requests that have arrived, whether or not the client takes its
responses, has no limit for a head and no time limit, and lets trailers act as headers. Here a
request is parsed when the response to the one before has left this process. Until then, at most
one read of what follows is kept, and TCP makes the client wait.
"""

import asyncio
import contextlib
import fcntl
import math
import socket
import struct
import termios
from http import HTTPStatus
from typing import Any, cast

import orjson
import uvicorn
from uvicorn.server import ServerState

from kfp_tabular.serving.http.connection_bounds import Admission, ConnectionBounds
from kfp_tabular.serving.http.exchange import Exchange, status_line
from kfp_tabular.serving.http.request_body import BodyDecoder, ChunkedDecoder, LengthDecoder
from kfp_tabular.serving.http.request_head import HttpError, find_head_end, parse_head
from kfp_tabular.serving.protocol import routes

MOST_DROPPED_BYTES = 256 * 2**20
"""Bytes of a body after the response to it: a client that sends them reads its response later."""

_MOST_LINGERING_BYTES = 2**20
"""Bytes of a rejected client that are read, so that closing does not reset its response."""

_PROBES = frozenset(("health", "ready", "metrics"))


class BoundedHttp1(asyncio.BufferedProtocol):
    """A connection.

    uvicorn creates it for each connection and uses `shutdown` alone, besides asyncio's methods.

    Args:
        config: uvicorn's configuration.
        server_state: uvicorn's connections and tasks.
        app_state: ASGI's lifespan state.
        bounds: The connections of the process.
    """

    _transport: asyncio.Transport
    _admission: Admission

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: ConnectionBounds,
    ) -> None:
        self._config = config
        self._app = config.loaded_app
        self._server_state = server_state
        self._app_state = app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._bounds = bounds
        self._rest = b""
        self._searched = 0
        self._in_head = False
        self._exchange: Exchange | None = None
        self._body: BodyDecoder | None = None
        self._dropped = 0
        self._deadline = math.inf
        self._ended = False
        self._closing = False
        self._lingering = False
        self._reading = True
        self._writable = True
        self._will_advance = False
        self._drained: asyncio.Future[None] | None = None
        self._sent_bytes = 0
        self._taken_bytes = 0
        self.unread_since = math.inf

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or close it."""
        # uvloop's transports are no subclass.
        self._transport = transport = cast(asyncio.Transport, transport)
        self._admission = self._bounds.admit(self, self._loop)
        if self._admission == "refused":
            self._closing = True
            transport.abort()
            return
        self._server_state.connections.add(self)
        # A client that has reset its connection has no address any more.
        self._server = tuple(transport.get_extra_info("sockname") or ())[:2] or None
        self._client = tuple(transport.get_extra_info("peername") or ())[:2] or None
        self._deadline = self._loop.time() + self._bounds.patience.silence_seconds

    def connection_lost(self, _: Exception | None) -> None:
        """Tell the application, and forget the connection."""
        self._closing = True
        self._bounds.remove(self)
        self._server_state.connections.discard(self)
        if self._exchange is not None:
            self._exchange.disconnect()
        self._end_drain()
        self._rest = b""

    def get_buffer(self, _: int) -> memoryview:
        """Return what to read into."""
        return self._bounds.buffer

    def buffer_updated(self, size: int) -> None:
        """Parse what has arrived."""
        if self._lingering:
            self._dropped += size
            if self._dropped > _MOST_LINGERING_BYTES:
                self._transport.abort()
            return
        if self._closing:
            return
        data = bytes(self._bounds.buffer[:size])
        self._rest = self._rest + data if self._rest else data
        self._advance()

    def eof_received(self) -> bool:
        """On half-close, finish the responses to complete requests, then close."""
        self._ended = True
        if self._closing:
            return False
        if self._exchange is None or self._body is not None:
            self._advance()
        return not self._transport.is_closing()

    def pause_writing(self) -> None:
        """Stop to read and to answer: the client does not take its response."""
        self._writable = False
        self.unread_since = self._loop.time()
        self._pause()
        self._bounds.unread(self)

    def resume_writing(self) -> None:
        """Go on: the client has taken most of what was sent."""
        self._writable = True
        self._bounds.read_again(self)
        self._end_drain()
        if not self._closing:
            self._advance()

    # What uvicorn calls.

    def shutdown(self) -> None:
        """Close after the response in progress, or at once if there is none."""
        if self._exchange is not None and not self._closing:
            self._exchange.keep_alive = False
        elif self.has_input:
            # The event loop reads it first; what is no whole request then is not waited for.
            self._loop.call_soon(self.shutdown)
        else:
            self._close()

    # What the exchange calls.

    def send(self, *parts: bytes) -> None:
        """Send bytes with one system call."""
        if self._transport.is_closing():
            return
        self._sent_bytes += sum(map(len, parts))
        self._transport.writelines(parts)

    async def drain(self) -> None:
        """Wait until the client has taken most of what was sent."""
        while not self._writable and not self._transport.is_closing():
            self._drained = self._drained or self._loop.create_future()
            await self._drained

    def read_more(self) -> None:
        """Read more of a body that the application takes."""
        self._deadline = self._loop.time() + self._bounds.patience.silence_seconds
        if self._rest:
            self._advance_soon()
        else:
            self._resume()

    def response_sent(self) -> None:
        """Close, or go on to the next request."""
        self._server_state.total_requests += 1
        exchange, self._exchange = self._exchange, None
        if self._closing or exchange is None:
            return
        now = self._loop.time()
        self._bounds.clients_turn(self, now)
        if not exchange.keep_alive or (self._ended and not self._rest):
            self._close(lingers=self._body is not None or bool(self._rest))
            return
        patience = self._bounds.patience
        self._deadline = now + (
            self._config.timeout_keep_alive if self._body is None else patience.silence_seconds
        )
        self._dropped = 0
        if self._rest:
            self._advance_soon()
        else:
            self._resume()

    def fail(self) -> None:
        """Answer with status 500, or close within a response."""
        if self._exchange is not None and not self._exchange.response_started:
            self._reject(HttpError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error."))
        else:
            self._transport.abort()

    # What the bounds call.

    @property
    def unsent_bytes(self) -> int:
        """Bytes of responses that the client has not taken."""
        return self._transport.get_write_buffer_size()

    @property
    def has_input(self) -> bool:
        """Whether the client has sent something that the event loop's next turn parses."""
        if self._closing:
            return False
        if self._will_advance:
            return True
        return self._reading and _bytes_in_kernel(self._transport, termios.FIONREAD) > 0

    def look(self, now: float) -> None:
        """Close, if the client has let this server wait for too long."""
        unsent = self.unsent_bytes
        if unsent:
            self._look_for_progress(now, unsent)
        elif now >= self._deadline:
            self._time_out()

    def make_room(self) -> None:
        """Close at once, for another connection."""
        self._closing = True
        self._end_responses()
        self._transport.abort()

    def _look_for_progress(self, now: float, unsent: int) -> None:
        """Abort, if the client has taken nothing for too long.

        The kernel tells what it has not delivered: its own buffer holds megabytes, so this
        process's would not move for minutes while a slow client reads.
        """
        taken = self._sent_bytes - unsent - _bytes_in_kernel(self._transport, termios.TIOCOUTQ)
        if taken != self._taken_bytes:
            self._taken_bytes, self.unread_since = taken, now
        elif now - self.unread_since >= self._bounds.patience.unread_seconds:
            self._bounds.report(
                "unread_response",
                "closed connections whose clients have read nothing of their responses for "
                f"{self._bounds.patience.unread_seconds:.0f} s",
            )
            self._transport.abort()

    def _time_out(self) -> None:
        if self.has_input:
            # It came while the event loop was busy, and is read in this turn.
            return
        if self._closing or (not self._in_head and self._body is None):
            self._end_responses()
            self._close()
            return
        self._bounds.report(
            "slow_request",
            "closed connections whose clients have not sent the rest of their requests within "
            f"{self._bounds.patience.silence_seconds:.0f} s",
        )
        self._reject(
            HttpError(
                HTTPStatus.REQUEST_TIMEOUT,
                "the rest of the request did not arrive within "
                f"{self._bounds.patience.silence_seconds:.0f} seconds.",
            )
        )

    # From bytes to requests.

    def _advance(self) -> None:
        """Parse what has arrived, as far as this connection may go."""
        self._will_advance = False
        try:
            while not self._closing:
                if self._body is not None:
                    if not self._read_body(self._body):
                        break
                elif self._exchange is not None or not self._writable:
                    # The client has not got the response to the request before.
                    if self._rest or not self._writable:
                        self._pause()
                    else:
                        self._resume()
                    return
                elif not self._read_head():
                    break
        except HttpError as error:
            self._reject(error)
            return
        if not self._closing:
            self._go_on_reading()

    def _read_head(self) -> bool:
        """Start the next request; return whether its head is complete."""
        if self._rest and not self._in_head:
            self._in_head = True
            self._deadline = self._loop.time() + self._bounds.patience.silence_seconds
        while self._rest.startswith(b"\r\n"):
            # RFC 9112, 2.2: an empty line before a request is ignored.
            self._rest, self._searched = self._rest[2:], 0
        end = find_head_end(self._rest, self._searched)
        if end < 0:
            self._searched = len(self._rest)
            if self._ended:
                self._close()
            return False
        head = parse_head(self._rest[:end])
        self._rest, self._searched, self._in_head = self._rest[end:], 0, False
        if self._admission == "probes" and routes.operation_of_path(head.path) not in _PROBES:
            raise HttpError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "this server has as many connections as it may have (--max-connections).",
            )
        scope = {
            "type": "http",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": self._server,
            "client": self._client,
            "scheme": "http",
            "root_path": "",
            "headers": head.headers,
            "state": self._app_state.copy(),
            "method": head.method,
            "path": head.path,
            "raw_path": head.raw_path,
            "query_string": head.query,
        }
        exchange = self._exchange = Exchange(
            self, head, scope, lambda: self._server_state.default_headers, self._config.access_log
        )
        if self._admission == "probes":
            exchange.keep_alive = False
        if head.length == 0:
            self._request_complete(exchange)
        else:
            self._body = ChunkedDecoder() if head.length is None else LengthDecoder(head.length)
        task = self._loop.create_task(exchange.run(self._app))
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)
        return True

    def _read_body(self, body: BodyDecoder) -> bool:
        """Pass on what has arrived of a body; return whether it is complete."""
        if self._exchange is not None and self._exchange.is_full:
            return False
        content, used = body.decode(self._rest)
        self._rest = self._rest[used:]
        if used:
            self._deadline = self._loop.time() + self._bounds.patience.silence_seconds
        if self._exchange is not None:
            self._exchange.add_body(content, complete=body.complete)
        else:
            self._dropped += used
            if self._dropped > MOST_DROPPED_BYTES:
                self._close()
                return False
        if not body.complete:
            if self._ended and not body.pending:
                self._close()
            return False
        self._body = None
        if self._exchange is not None:
            self._request_complete(self._exchange)
        else:
            self._deadline = self._loop.time() + self._config.timeout_keep_alive
        return True

    def _request_complete(self, exchange: Exchange) -> None:
        """Wait for the application."""
        exchange.request_complete = True
        self._deadline = math.inf
        self._bounds.servers_turn(self)

    def _go_on_reading(self) -> None:
        """Read more, or pause."""
        if self._body is None:
            self._resume()
        elif self._body.pending:
            # Others get their turn before the rest of many small chunks.
            self._pause()
            self._advance_soon()
        elif self._exchange is not None and self._exchange.is_full:
            self._pause()
            self._deadline = math.inf
        else:
            self._resume()

    # From the end of a connection.

    def _reject(self, error: HttpError) -> None:
        """Answer a request that the application does not see, and close. Nothing is logged."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.disconnect()
        answered = self._body is not None if exchange is None else exchange.response_started
        if answered:
            # The client would take a second response for that of its next request.
            self._close(lingers=True)
            return
        body = orjson.dumps({"error": error.message})
        retry = b"retry-after: 1\r\n" if error.status == HTTPStatus.SERVICE_UNAVAILABLE else b""
        self.send(
            b"%scontent-type: application/json\r\ncontent-length: %d\r\n%sconnection: close\r\n\r\n"
            % (status_line(error.status), len(body), retry),
            body,
        )
        self._close(lingers=True)

    def _close(self, *, lingers: bool = False) -> None:
        """Close when everything is sent.

        Args:
            lingers: Whether the client may still send. Its data would make the kernel reset the
                connection, and the client could lose the response (RFC 9112, 9.6).
        """
        self._closing = True
        self._rest = b""
        if not lingers or self._ended or self._lingering or not self._transport.can_write_eof():
            self._transport.close()
            return
        self._lingering, self._dropped = True, 0
        now = self._loop.time()
        self._deadline = now + self._bounds.patience.linger_seconds
        self._bounds.clients_turn(self, now)
        self._transport.write_eof()
        self._resume()

    def _end_responses(self) -> None:
        """Tell the client now that no response follows, so that it sends no other request.

        The transport closes its socket in the event loop's next turn, after hundreds of other
        connections may have been accepted.
        """
        connection = self._transport.get_extra_info("socket")
        if connection is None or connection.fileno() < 0:
            return
        # The client may have closed the connection.
        with contextlib.suppress(OSError), connection.dup() as own:
            own.shutdown(socket.SHUT_WR)

    def _advance_soon(self) -> None:
        """Parse the rest in the event loop's next turn, after other connections."""
        if not self._will_advance:
            self._will_advance = True
            self._loop.call_soon(self._advance)

    def _pause(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not (self._reading or self._ended or self._transport.is_closing()):
            self._reading = True
            self._transport.resume_reading()

    def _end_drain(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None


def _bytes_in_kernel(transport: asyncio.Transport, which: int) -> int:
    """Return how many bytes the kernel holds for a connection.

    Args:
        transport: The connection's transport.
        which: `TIOCOUTQ` for those that the client has not received, `FIONREAD` for those that
            this process has not read.
    """
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return 0
    size: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), which, b"\0" * 4))[0]
    return size
