"""HTTP/1.1 with bounds, on heads and on waiting for a request, where uvicorn has none.

uvicorn's parser keeps a URL, headers and trailers of whatever length, before any key is looked at.
It also leaves the body of a request that offers another protocol unread, and takes it for the next
request; Java's client offers HTTP/2 with the first request of a connection. And it waits without an
end for a request that was begun, or for the first one; each connection takes one of the descriptors
that a process may have.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kfp_tabular.serving.http.joined_writes import JoinedWrites

LARGEST_HEAD = 64 * 1024
"""Bytes, as h11 and most proxies allow, give or take the piece in which they arrive."""

LONGEST_SILENCE = 60.0
"""Seconds in which a head must arrive, and the next piece of a body."""


class BoundedHttp1(HttpToolsProtocol):  # type: ignore[misc]  # uvicorn has no types here
    """uvicorn's protocol; answers a longer head with status 431, and a longer silence with 408."""

    parser: Any
    _size = 0
    _unheard = 0
    _heard = False
    _offers = False
    _in_head = False
    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Waits for the first request."""
        super().connection_made(JoinedWrites(transport, self.loop))
        self._patience = self.loop.call_later(LONGEST_SILENCE, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what has arrived."""
        self._heard = False
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        try:
            while rest:
                rest = self._parse(rest)
        except httptools.HttpParserError:
            self._refuse()
        if not self._in_head:
            self._wait_no_more()
        if self._patience is None and not self._busy():
            self._patience = self.loop.call_later(LONGEST_SILENCE, self._give_up)
        # A header that does not end is kept by the parser, which tells nothing of it until then.
        self._unheard = 0 if self._heard else self._unheard + len(data)
        if self._unheard > LARGEST_HEAD and not self.transport.is_closing():
            self._size = self._unheard
            self._refuse()

    def eof_received(self) -> bool:
        """Answers who has asked all that it will, and hangs up; on others, at once."""
        if not self._busy():
            return False
        self.cycle.keep_alive = False
        return True

    def on_headers_complete(self) -> None:
        """Passes a head on, unless it offers another protocol."""
        self._in_head = False
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                # What follows is for whoever is asked to connect to, and nobody is.
                raise ValueError
            self._offers = True
            return
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        """Begins to count."""
        self._heard, self._size, self._in_head = True, 0, True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Counts a piece of the URL."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Counts a header, or a trailer."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Leaves the body to the application, which has a limit of its own."""
        self._heard = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Notes the end."""
        self._heard = True
        if not self._offers:
            super().on_message_complete()

    def _refuse(self) -> None:
        """Answers what is not HTTP, or too much of it, and hangs up. Like any refusal, unlogged."""
        if self._size <= LARGEST_HEAD:
            self._hang_up(HTTPStatus.BAD_REQUEST, b'{"error":"this is no HTTP request."}')
            return
        self._hang_up(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            b'{"error":"URL and headers are larger than %d bytes."}' % LARGEST_HEAD,
        )

    def _hang_up(self, status: HTTPStatus, body: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%s" % (status, status.phrase.encode(), len(body), body)
        )
        self.transport.close()

    def _parse(self, data: memoryview) -> memoryview:
        """Parses data; gives what is left where a request offers another protocol.

        The offer need not be taken up (RFC 9110, 7.8). Its head is parsed anew without it, since
        this parser is done with what it takes for another protocol.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            method, version = self.parser.get_method(), self.parser.get_http_version()
            lines = [b"%s %s HTTP/%s" % (method, self.url, version.encode("ascii"))]
            lines += [b"%s: %s" % line for line in self.headers if line[0] != b"upgrade"]
            self._offers = False
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(b"\r\n".join((*lines, b"", b"")))
            return data[offer.args[0] :]
        return data[:0]

    def _busy(self) -> bool:
        """Says whether it is the server's turn."""
        cycle = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _wait_no_more(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        """Ends a connection whose client was waited for long enough."""
        self._patience = None
        if self._busy() or self.flow.read_paused:
            self._patience = self.loop.call_later(LONGEST_SILENCE, self._give_up)
        elif self._in_head or (self.cycle is not None and not self.cycle.response_complete):
            self._hang_up(
                HTTPStatus.REQUEST_TIMEOUT,
                b'{"error":"the rest of the request did not come in %d seconds."}'
                % LONGEST_SILENCE,
            )
        else:
            self.transport.close()

    def _count(self, size: int) -> None:
        self._heard = True
        self._size += size
        if self._size > LARGEST_HEAD:
            # The parser stops, and uvicorn sends what it has for requests that are not HTTP.
            raise ValueError
