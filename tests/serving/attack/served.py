"""A real server under attack, and who watches it: its memory, its probes and its good clients."""

import http.client
import json
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Self
from urllib.parse import urlsplit

import psutil

ROW = {"amount": 3.25, "商户": "店", "hour": 7}
PREDICT = "/v1/models/fraud:predict"
LIVE = "/v2/health/live"
READY = "/v2/health/ready"
HEAD = b"POST /v1/models/fraud:predict HTTP/1.1\r\nHost: t\r\n"
"""A request of a prediction without its last headers, the empty line and the body."""


def good_request(rows: int = 1, *headers: bytes) -> bytes:
    """Return the bytes of a valid prediction request."""
    body = json.dumps({"instances": [ROW] * rows}).encode()
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"%s%sContent-Length: %d\r\n\r\n%s" % (HEAD, lines, len(body), body)


class Served:
    """A running server.

    Args:
        process: The process of `tests/serving/conftest.py`, ready.

    Attributes:
        url: `http://host:port`.
        address: Host and port for `socket.create_connection`.
        grpc: `host:port` of gRPC; None without.
        pid: The first process: the server, or its supervisor.
    """

    def __init__(self, process: Any) -> None:
        self.process = process
        self.url: str = process.url
        self.grpc: str | None = process.grpc
        parts = urlsplit(self.url)
        self.address = (parts.hostname or "", parts.port or 0)
        self.pid: int = process.child.pid

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        return str(self.process.log)

    @property
    def pids(self) -> list[int]:
        """The process and its workers."""
        return [self.pid, *(child.pid for child in psutil.Process(self.pid).children())]

    def memory_mb(self) -> float:
        """Return the resident memory of the process and its workers, in MB."""
        return sum(psutil.Process(pid).memory_info().rss for pid in self.pids) / 1e6

    def descriptors(self) -> int:
        """Return the number of open files of the process and its workers."""
        return sum(psutil.Process(pid).num_fds() for pid in self.pids)

    def cpu_seconds(self) -> float:
        """Return the processor time that the process and its workers have used."""
        times = [psutil.Process(pid).cpu_times() for pid in self.pids]
        return sum(time.user + time.system for time in times)

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        """Return a connection. A small receive buffer fills soon if the client never reads."""
        connection = socket.socket()
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(30)
        connection.connect(self.address)
        return connection

    def exchange(self, *pieces: bytes, pause: float = 0.0, half: bool = False) -> bytes:
        """Send pieces and return everything until the server closes the connection."""
        with self.connect() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer = bytearray()
            try:
                for piece in pieces:
                    connection.sendall(piece)
                    time.sleep(pause)
                if half:
                    connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(2**16):
                    answer += part
            except ConnectionError:
                pass
            return bytes(answer)

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """Return the status and the body of a path, over a new connection."""
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        text = self.get("/metrics")[1].decode()
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if re.match(rf"{name}(\{{|\s)", line)
            and all(f'{label}="{value}"' in line for label, value in labels.items())
        )

    def probing(self, path: str = LIVE, *, seconds_between: float = 0.05) -> "Prober":
        """Return a prober; probes are sent within its `with` block."""
        return Prober(self.address, path, seconds_between)

    def good_load(
        self, clients: int = 2, *, rows: int = 1, headers: dict[str, str] | None = None
    ) -> "GoodLoad":
        """Return good load; requests are sent within its `with` block."""
        return GoodLoad(self.address, clients, rows, headers or {})


class Prober:
    """Sends a health probe over a new connection, again and again, as a kubelet does.

    Attributes:
        latencies: Seconds of each answered probe, the connection included.
        failures: What went wrong with the others.
    """

    def __init__(self, address: tuple[str, int], path: str, seconds_between: float) -> None:
        self.latencies: list[float] = []
        self.failures: list[str] = []
        self._address = address
        self._path = path
        self._between = seconds_between
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._probe)

    @property
    def longest(self) -> float:
        """The longest latency, in seconds."""
        return max(self.latencies, default=0.0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(90)
        assert self.latencies or self.failures, "no probe was sent"

    def _probe(self) -> None:
        while not self._ended.is_set():
            connection = http.client.HTTPConnection(*self._address, timeout=60)
            begin = time.monotonic()
            try:
                connection.request("GET", self._path)
                status = connection.getresponse().status
                self.latencies.append(time.monotonic() - begin)
                if status != 200:
                    self.failures.append(f"status {status}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            finally:
                connection.close()
            self._ended.wait(self._between)


class GoodLoad:
    """Clients that send valid requests, each over one connection, and compare the answers.

    Attributes:
        answered: How many answers were right.
        failures: Wrong answers, other statuses and broken connections.
    """

    def __init__(
        self, address: tuple[str, int], clients: int, rows: int, headers: dict[str, str]
    ) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._address = address
        self._headers = headers
        self._body = json.dumps({"instances": [ROW] * rows})
        self._expected: Any = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Self:
        connection = http.client.HTTPConnection(*self._address, timeout=60)
        status, self._expected = self._answer(connection)
        connection.close()
        assert status == 200, self._expected
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(90)
        assert self.answered, self.failures

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=60)
        while not self._ended.is_set():
            try:
                status, found = self._answer(connection)
                failure = None if _same(found, self._expected) else f"{status} {found}"
            except (OSError, http.client.HTTPException, ValueError) as error:
                connection.close()
                failure = f"{type(error).__name__}: {error}"
            with self._lock:
                if failure is None:
                    self.answered += 1
                else:
                    self.failures.append(failure[:500])
        connection.close()

    def _answer(self, connection: http.client.HTTPConnection) -> tuple[int, Any]:
        connection.request("POST", PREDICT, self._body, self._headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def _same(found: Any, expected: Any) -> bool:
    """Compare answers. The last bits of a probability depend on the rows in the same batch."""
    if isinstance(expected, float) and isinstance(found, float):
        return abs(found - expected) <= 1e-5
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(_same, found, expected))
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(
            _same(found[key], value) for key, value in expected.items()
        )
    return bool(found == expected)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in {seconds:g} s"
        time.sleep(0.05)


def close_all(connections: Iterable[socket.socket]) -> None:
    """Close connections."""
    for connection in connections:
        connection.close()


def send_unread(
    connections: Iterable[socket.socket], data: bytes, seconds: float, most_bytes: int = 2**30
) -> int:
    """Send data over and over on all connections, reading nothing; return the bytes sent.

    Ends after some seconds, or when the server takes no more.
    """
    left = {connection: memoryview(data) for connection in connections}
    for connection in left:
        connection.setblocking(False)
    sent = 0
    end = time.monotonic() + seconds
    while left and time.monotonic() < end and sent < most_bytes:
        _, writable, _ = select.select([], list(left), [], 0.1)
        for connection in writable:
            try:
                size = connection.send(left[connection])
            except BlockingIOError:
                continue
            except ConnectionError:
                del left[connection]
                continue
            sent += size
            left[connection] = left[connection][size:] or memoryview(data)
    return sent
