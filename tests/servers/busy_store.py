"""A proxy before an object store, which answers 503 for a while."""

import http.client
import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_BODY = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
_OWN = {"connection", "content-length", "date", "server", "transfer-encoding", "keep-alive"}


class BusyStore(http.server.ThreadingHTTPServer):
    """Passes requests on to a store.

    Args:
        target: The store's address.
        seconds: How long it answers 503, from the first request on that writes.

    Attributes:
        refused: The number of requests that it has refused.
        reads: The others that read: path, and the range of bytes as the header has it, or empty.
    """

    daemon_threads = True

    def __init__(self, target: str, seconds: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = urlsplit(target).netloc
        self.refused = 0
        self.reads: list[tuple[str, str]] = []
        self._seconds = seconds
        self._until = 0.0

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.server_port}"

    def is_busy(self, writes: bool) -> bool:
        """Return whether to refuse a request."""
        if writes and not self._until:
            self._until = time.monotonic() + self._seconds
        return time.monotonic() < self._until


@contextmanager
def running(target: str, seconds: float) -> Iterator[BusyStore]:
    """Run the proxy."""
    with BusyStore(target, seconds) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BusyStore

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.is_busy(self.command in ("PUT", "POST")):
            self.server.refused += 1
            self._answer(503, [], _BODY)
            return
        if self.command == "GET":
            self.server.reads.append((self.path, self.headers.get("Range", "")))
        store = http.client.HTTPConnection(self.server.target, timeout=60)
        try:
            store.request(self.command, self.path, body, dict(self.headers.items()))
            found = store.getresponse()
            self._answer(found.status, found.getheaders(), found.read())
        finally:
            store.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _pass_on

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _OWN:
                self.send_header(name, value)
        length = str(len(body))
        if self.command == "HEAD":
            length = {name.lower(): value for name, value in headers}.get("content-length", "0")
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
