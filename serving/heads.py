"""HTTP/1.1 with a bound on what comes before and after a body, where uvicorn has none.

uvicorn's parser keeps a URL, headers and trailers of whatever length, before any key is looked at.
It also leaves the body of a request that offers another protocol unread, and takes it for the next
request; Java's client offers HTTP/2 with the first request of a connection.
"""

import asyncio
from http import HTTPStatus

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kfp_tabular.serving.writes import JoinedWrites

LARGEST_HEAD = 64 * 1024
"""Bytes, as h11 and most proxies allow, give or take the piece in which they arrive."""

_NOT_HTTP = "Invalid HTTP request received."


class BoundedHttp(HttpToolsProtocol):  # type: ignore[misc]  # uvicorn has no types here
    """uvicorn's protocol; answers a longer head with status 431 and hangs up."""

    _size = 0
    _unheard = 0
    _heard = False
    _offers = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Takes a new connection."""
        super().connection_made(JoinedWrites(transport, self.loop))

    def data_received(self, data: bytes) -> None:
        """Takes what has arrived."""
        self._heard = False
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        try:
            while rest:
                rest = self._parse(rest)
        except httptools.HttpParserError:
            self.logger.warning(_NOT_HTTP)
            self.send_400_response(_NOT_HTTP)
        # A header that does not end is kept by the parser, which tells nothing of it until then.
        self._unheard = 0 if self._heard else self._unheard + len(data)
        if self._unheard > LARGEST_HEAD and not self.transport.is_closing():
            self._size = self._unheard
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        """Passes a head on, unless it offers another protocol."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                # What follows is for whoever is asked to connect to, and nobody is.
                raise ValueError
            self._offers = True
            return
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        """Begins to count."""
        self._heard, self._size = True, 0
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

    def send_400_response(self, msg: str) -> None:
        """Answers what is not HTTP, or too much of it, and hangs up."""
        if self._size <= LARGEST_HEAD:
            super().send_400_response(msg)
            return
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        body = b'{"error":"URL and headers are larger than %d bytes."}' % LARGEST_HEAD
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

    def _count(self, size: int) -> None:
        self._heard = True
        self._size += size
        if self._size > LARGEST_HEAD:
            # The parser stops, and uvicorn sends what it has for requests that are not HTTP.
            raise ValueError
