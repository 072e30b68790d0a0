"""HTTP/1.1 with limits for the size of a head and the time of a request, which uvicorn lacks.

Without them:

- uvicorn's parser would buffer a URL, headers and trailers of any size, before authentication.
- The body of a request that offers a protocol upgrade would be parsed as the next request. Java's
  client offers HTTP/2 with the first request of each connection.
- A connection without a complete request would stay open forever and keep a file descriptor.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kfp_tabular.serving.http.joined_writes import JoinedWrites

LARGEST_HEAD_BYTES = 64 * 1024
"""Bytes, as in h11 and most proxies. The last piece that arrives may exceed it."""

LONGEST_SILENCE_SECONDS = 60.0
"""Seconds within which a head, or the next piece of a body, must arrive."""


class BoundedHttp1(HttpToolsProtocol):  # type: ignore[misc]  # uvicorn has no types here
    """uvicorn's protocol, plus status 431 for a larger head and 408 for a longer silence."""

    parser: Any
    _head_size = 0
    _unparsed = 0
    _parsed_something = False
    _offers_upgrade = False
    _in_head = False
    _timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start the timeout for the first request."""
        super().connection_made(JoinedWrites(transport, self.loop))
        self._timeout = self.loop.call_later(LONGEST_SILENCE_SECONDS, self._time_out)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeout."""
        self._cancel_timeout()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data that has arrived."""
        self._parsed_something = False
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        try:
            while rest:
                rest = self._parse(rest)
        except httptools.HttpParserError:
            self._reject()
        if not self._in_head:
            self._cancel_timeout()
        if self._timeout is None and not self._is_responding():
            self._timeout = self.loop.call_later(LONGEST_SILENCE_SECONDS, self._time_out)
        # The parser buffers a header without calling back until the header ends.
        self._unparsed = 0 if self._parsed_something else self._unparsed + len(data)
        if self._unparsed > LARGEST_HEAD_BYTES and not self.transport.is_closing():
            self._head_size = self._unparsed
            self._reject()

    def eof_received(self) -> bool:
        """On half-close, finish the pending response, then close. Without one, close at once."""
        if not self._is_responding():
            return False
        self.cycle.keep_alive = False
        return True

    def on_headers_complete(self) -> None:
        """Pass a head on, unless it offers a protocol upgrade."""
        self._in_head = False
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                # What follows CONNECT is for another host, and this server is not a proxy.
                raise ValueError
            self._offers_upgrade = True
            return
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        """Start to count the head's size."""
        self._parsed_something, self._head_size, self._in_head = True, 0, True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count a piece of the URL."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header or a trailer."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on; the application limits its size."""
        self._parsed_something = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Pass the end of a message on, unless it offers a protocol upgrade."""
        self._parsed_something = True
        if not self._offers_upgrade:
            super().on_message_complete()

    def _reject(self) -> None:
        """Answer a malformed request or a head that is too large, and close. Nothing is logged."""
        if self._head_size <= LARGEST_HEAD_BYTES:
            self._close_with(HTTPStatus.BAD_REQUEST, b'{"error":"not a valid HTTP/1.1 request."}')
            return
        self._close_with(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            b'{"error":"URL and headers are larger than %d bytes, the limit of this server."}'
            % LARGEST_HEAD_BYTES,
        )

    def _close_with(self, status: HTTPStatus, body: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%s" % (status, status.phrase.encode(), len(body), body)
        )
        self.transport.close()

    def _parse(self, data: memoryview) -> memoryview:
        """Parse data, and return the unparsed rest after a head that offers a protocol upgrade.

        A server may ignore the offer (RFC 9110, 7.8). The head is parsed again without it by a new
        parser, as the old one accepts no more data.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            method, version = self.parser.get_method(), self.parser.get_http_version()
            lines = [b"%s %s HTTP/%s" % (method, self.url, version.encode("ascii"))]
            lines += [b"%s: %s" % line for line in self.headers if line[0] != b"upgrade"]
            self._offers_upgrade = False
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.parser.feed_data(b"\r\n".join((*lines, b"", b"")))
            return data[offer.args[0] :]
        return data[:0]

    def _is_responding(self) -> bool:
        """Return whether the client waits for a response."""
        cycle = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _cancel_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _time_out(self) -> None:
        """Close a connection whose client has been silent for too long."""
        self._timeout = None
        if self._is_responding() or self.flow.read_paused:
            self._timeout = self.loop.call_later(LONGEST_SILENCE_SECONDS, self._time_out)
        elif self._in_head or (self.cycle is not None and not self.cycle.response_complete):
            self._close_with(
                HTTPStatus.REQUEST_TIMEOUT,
                b'{"error":"the rest of the request did not arrive within %d seconds."}'
                % LONGEST_SILENCE_SECONDS,
            )
        else:
            self.transport.close()

    def _count(self, size: int) -> None:
        self._parsed_something = True
        self._head_size += size
        if self._head_size > LARGEST_HEAD_BYTES:
            # The parser stops, and `data_received` rejects the request.
            raise ValueError
