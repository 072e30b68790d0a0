"""Load on an HTTP server: one process, uvloop, and no HTTP library to wait for.

    python serving_client.py < job.json

The job names a port, a file of whole HTTP requests (a JSON list of texts, sent in turn), seconds,
and either `connections` that each ask again as soon as they are answered, or a `rate` in requests a
second, which arrive at random (Poisson) whether or not earlier ones are answered. A request that
finds no free connection waits, and its latency counts from its arrival; by how much this client
itself wakes too late (its timer has milliseconds) does not count. Prints a JSON object: answers by
status, seconds, and latencies in milliseconds by percentile.

With `answers`, a file with the predictions of each request, each response is compared with them,
and counts as "wrong" where a number differs by more than 1e-5. A connection that the server closes
while it waits for nothing is opened again; one that is closed before its response counts as "lost".

A request costs this client about 20 µs of CPU, a tenth or less of what the server takes for it.
"""

import asyncio
import json
import random
import re
import sys
import time
from array import array
from collections import Counter, deque
from pathlib import Path
from typing import Any

PERCENTILES = (50, 90, 99, 99.9)
_CONNECTIONS_FOR_RATES = 256
_FAILURES_SHOWN = 5
_TOLERANCE = 1e-5
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One keep-alive connection; asks one request at a time."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.begun = 0.0
        self.asked = -1
        self._buffer = b""
        self._expected = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, number: int, begun: float) -> None:
        """Send a request whose latency counts from `begun`."""
        self.begun = begun
        self.asked = number
        self.transport.write(self.load.requests[number])

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._expected:
            head = self._buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            length = _LENGTH.search(self._buffer, 0, head + 2)
            self._expected = head + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) >= self._expected:
            whole = self._buffer
            self._buffer, self._expected = b"", 0
            self.load.answered(self, whole)

    def connection_lost(self, error: Exception | None) -> None:
        self.load.lost(self)


class Load:
    """Sends requests and records the responses."""

    def __init__(self, job: dict[str, Any]) -> None:
        texts = json.loads(Path(job["requests"]).read_text(encoding="utf-8"))
        self.requests = [text.encode() for text in texts]
        answers = job.get("answers")
        self.expected = json.loads(Path(answers).read_text(encoding="utf-8")) if answers else None
        self.port = job["port"]
        self.seconds = job["seconds"]
        self.rate = job.get("rate", 0)
        self.connections = job.get("connections") or _CONNECTIONS_FOR_RATES
        self.latencies = array("d")
        self.statuses: Counter[str] = Counter()
        self.failures: list[str] = []
        self.reconnecting: set[asyncio.Task[None]] = set()
        self.free: list[Connection] = []
        self.due: deque[float] = deque()
        self.next = random.Random(1).randrange(len(self.requests))
        self.ending = False

    async def run(self) -> dict[str, Any]:
        for _ in range(self.connections):
            self.free.append(await self._connect())
        begin = time.perf_counter()
        if self.rate:
            await self._arrive(begin)
        else:
            for connection in self.free:
                self._ask(connection, time.perf_counter())
            await asyncio.sleep(self.seconds)
        self.ending = True
        seconds = time.perf_counter() - begin
        return self._summary(seconds)

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(self), "127.0.0.1", self.port
        )
        return connection

    async def _reconnect(self) -> None:
        while not self.ending:
            try:
                connection = await self._connect()
                break
            except OSError as error:
                self._count("unreachable", str(error).encode())
                await asyncio.sleep(0.1)
        else:
            return
        if self.due or not self.rate:
            self._ask(connection, self.due.popleft() if self.due else time.perf_counter())
        else:
            self.free.append(connection)

    async def _arrive(self, begin: float) -> None:
        arrivals, now = random.Random(2), begin
        while now < begin + self.seconds:
            now += arrivals.expovariate(self.rate)
            # The loop's timers are exact to a millisecond; what is less is not slept.
            if (pause := now - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            begun = max(now, time.perf_counter())
            if self.free:
                self._ask(self.free.pop(), begun)
            else:
                self.due.append(begun)

    def _ask(self, connection: Connection, begun: float) -> None:
        self.next = (self.next + 1) % len(self.requests)
        connection.ask(self.next, begun)

    def answered(self, connection: Connection, response: bytes) -> None:
        now = time.perf_counter()
        if self.ending:
            return
        self.latencies.append(now - connection.begun)
        status = response[9:12].decode()
        if status == "200" and self.expected and not self._is_right(connection.asked, response):
            status = "wrong"
        self._count(status, response)
        connection.asked = -1
        if not self.rate:
            self._ask(connection, now)
        elif self.due:
            self._ask(connection, self.due.popleft())
        else:
            self.free.append(connection)

    def _is_right(self, number: int, response: bytes) -> bool:
        found = json.loads(response.partition(b"\r\n\r\n")[2])["predictions"]
        return _same(found, self.expected[number])

    def _count(self, status: str, detail: bytes) -> None:
        self.statuses[status] += 1
        if status != "200" and len(self.failures) < _FAILURES_SHOWN:
            self.failures.append(f"{status}: {detail[-300:]!r}")

    def lost(self, connection: Connection) -> None:
        if self.ending:
            return
        if connection.asked >= 0:
            self._count("lost", b"")
        elif connection in self.free:
            self.free.remove(connection)
        # Without a rate, the load is that of the connections that are left.
        if self.rate:
            task = asyncio.get_running_loop().create_task(self._reconnect())
            self.reconnecting.add(task)
            task.add_done_callback(self.reconnecting.discard)

    def _summary(self, seconds: float) -> dict[str, Any]:
        ordered = sorted(self.latencies)
        return {
            "statuses": dict(self.statuses),
            "seconds": seconds,
            "waiting": len(self.due),
            "failures": self.failures,
            "ms": {
                str(percentile): ordered[int(len(ordered) * percentile / 100)] * 1e3
                for percentile in PERCENTILES
                if ordered
            },
        }


def _same(found: Any, expected: Any) -> bool:
    """Compare answers. The last bits of a number depend on the rows in the same batch."""
    if isinstance(expected, float) and isinstance(found, float):
        return abs(found - expected) <= _TOLERANCE
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(_same, found, expected))
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(
            _same(found[name], value) for name, value in expected.items()
        )
    return bool(found == expected)


def main() -> None:
    """Run the job on standard input."""
    import uvloop

    json.dump(uvloop.run(Load(json.load(sys.stdin)).run()), sys.stdout)


if __name__ == "__main__":
    main()
