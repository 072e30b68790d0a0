"""Bounds of connections and of responses that are not read, over real sockets."""

import asyncio
import contextlib
import functools
import select
import socket

import pytest
import uvicorn
import uvloop

from kfp_tabular.serving.http.bounded_http1 import BoundedHttp1
from kfp_tabular.serving.http.connection_bounds import (
    PROBE_CONNECTIONS,
    ConnectionBounds,
    Patience,
)
from tests.serving.http.protocol_connection import statuses

SLOW = b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: t\r\n\r\n"
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: t\r\n\r\n"
LARGE_BYTES = 12_000_000


class Server:
    """A server in this event loop, with an application that waits where the path says so."""

    def __init__(self, most=1000, patience=Patience()):  # noqa: B008  frozen
        self.reports = []
        self.at_report = lambda: None
        self.released = asyncio.Event()
        self.asked = 0
        self.bounds = ConnectionBounds(most, self._report, patience)
        protocol = functools.partial(BoundedHttp1, bounds=self.bounds)
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http=protocol,
            lifespan="off",
            log_config=None,
            port=0,
            backlog=100,
        )
        self._server = uvicorn.Server(config)

    def _report(self, bound, _):
        self.reports.append(bound)
        self.at_report()

    async def _app(self, scope, receive, send):
        self.asked += 1
        if scope["path"] == "/slow":
            await self.released.wait()
        body = b"x" * LARGE_BYTES if scope["path"] == "/large" else b"ok"
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def __aenter__(self):
        self._serving = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.01)
        self._address = self._server.servers[0].sockets[0].getsockname()
        return self

    async def __aexit__(self, *_):
        self.released.set()
        self._server.should_exit = True
        await self._serving

    @property
    def protocols(self):
        """The connections as the server sees them."""
        return self._server.server_state.connections

    def connect_in_one_turn(self):
        """Return a new connection. The server, in the same thread, gets no turn meanwhile."""
        return socket.create_connection(self._address)

    async def connect(self, sent=b"", receive_buffer=None):
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, self._address)
        await loop.sock_sendall(connection, sent)
        await asyncio.sleep(0.02)
        return connection


async def read(connection, size=2**16):
    """Return what comes next; nothing if the server has closed the connection."""
    with contextlib.suppress(ConnectionError):
        reading = asyncio.get_running_loop().sock_recv(connection, size)
        return await asyncio.wait_for(reading, 20)
    return b""


async def until(condition):
    """Let the server work until a condition holds."""
    end = asyncio.get_running_loop().time() + 20
    while not condition():
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.02)


def run(main, **settings):
    async def within():
        async with Server(**settings) as server:
            await main(server)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(within())


def test_silent_connections_make_room_before_idle_ones():
    async def main(server):
        idle = await server.connect(LIVE)
        assert statuses(await read(idle)) == [200]
        silent = [await server.connect() for _ in range(2)]
        new = await server.connect(LIVE)
        assert statuses(await read(new)) == [200]
        assert await read(silent[0]) == b""
        assert len(server.bounds) == 3
        await asyncio.get_running_loop().sock_sendall(idle, LIVE)
        assert statuses(await read(idle)) == [200]
        assert server.reports == ["connections"]

    run(main, most=3)


def test_the_longest_idle_connection_makes_room():
    async def main(server):
        idle = []
        for _ in range(3):
            idle.append(await server.connect(LIVE))
            assert statuses(await read(idle[-1])) == [200]
        # The first one asks again.
        await asyncio.get_running_loop().sock_sendall(idle[0], LIVE)
        assert statuses(await read(idle[0])) == [200]
        new = await server.connect(LIVE)
        assert statuses(await read(new)) == [200]
        assert await read(idle[1]) == b""

    run(main, most=3)


def test_an_idle_connection_whose_next_request_has_come_is_kept(monkeypatch):
    monkeypatch.setattr("kfp_tabular.serving.http.connection_bounds._SLOW_SECONDS", 0.0)

    async def main(server):
        idle = []
        for _ in range(3):
            idle.append(await server.connect(LIVE))
            assert statuses(await read(idle[-1])) == [200]
        # While the first of two new connections is admitted, the second idle one asks again.
        server.at_report = lambda: idle[1].send(LIVE) if len(server.reports) == 1 else None
        new = [server.connect_in_one_turn() for _ in range(2)]
        assert statuses(await read(idle[1])) == [200]
        assert await read(idle[0]) == await read(idle[2]) == b""
        assert server.reports == ["connections"] * 2
        for connection in new:
            connection.close()

    run(main, most=3)


def test_a_pipelined_request_that_is_still_to_be_parsed_keeps_its_connection():
    async def main(server):
        connection = await server.connect(SLOW + LIVE)
        (protocol,) = server.protocols
        parsed_later = []
        response_sent = protocol.response_sent

        def look_after_response():
            response_sent()
            parsed_later.append(protocol.has_input)

        protocol.response_sent = look_after_response
        server.released.set()
        assert statuses(await read(connection)) == [200]
        assert statuses(await read(connection)) == [200]
        assert parsed_later == [True, False]
        connection.close()

    run(main)


def test_a_client_whose_connection_makes_room_is_told_at_once():
    async def main(server):
        connection = await server.connect(LIVE)
        assert statuses(await read(connection)) == [200]
        (protocol,) = server.protocols
        protocol.make_room()
        # The event loop, in which the transport closes the socket, gets no turn meanwhile.
        assert select.select([connection], [], [], 5)[0]
        assert connection.recv(1) == b""
        connection.close()

    run(main)


def test_an_idle_connection_whose_request_came_at_the_end_of_its_time_is_answered():
    async def main(server):
        connection = await server.connect(LIVE)
        assert statuses(await read(connection)) == [200]
        (protocol,) = server.protocols
        now = asyncio.get_running_loop().time()
        connection.send(LIVE)
        # The event loop looks before it reads what has come since its last turn.
        protocol.look(now + 10)
        assert statuses(await read(connection)) == [200]
        protocol.look(now + 20)
        assert await read(connection) == b""
        connection.close()

    run(main)


def test_a_request_that_arrived_before_a_shutdown_was_noticed_is_answered():
    async def main(server):
        connections = [await server.connect(LIVE) for _ in range(3)]
        for connection in connections:
            assert statuses(await read(connection)) == [200]
        asking, begun, idle = connections
        asking.send(LIVE)
        begun.send(LIVE[:20])
        for protocol in list(server.protocols):
            protocol.shutdown()
        answer = await read(asking)
        assert statuses(answer) == [200]
        assert await read(asking) == await read(begun) == await read(idle) == b""
        assert len(server.bounds) == 0

    run(main)


def test_a_shutdown_does_not_wait_for_a_client_that_never_reads():
    async def main(server):
        connection = await server.connect(LARGE * 5000, 4096)
        (protocol,) = server.protocols
        await until(lambda: protocol.unsent_bytes)
        await asyncio.sleep(0.2)
        assert protocol.unsent_bytes
        # Its further requests are in the kernel's buffer, and stay there.
        assert not protocol.has_input
        protocol.shutdown()
        connection.close()
        await until(lambda: len(server.bounds) == 0)

    run(main)


def test_a_connection_that_waits_for_the_server_is_kept_and_probes_are_answered():
    async def main(server):
        busy = [await server.connect(SLOW) for _ in range(3)]
        probe = await server.connect(LIVE + LIVE)
        answer = await read(probe)
        # One response: others may need the connection.
        assert statuses(answer) == [200]
        assert b"connection: close" in answer
        other = await server.connect(b"GET /v1/models HTTP/1.1\r\nHost: t\r\n\r\n")
        answer = await read(other)
        assert statuses(answer) == [503]
        assert b"--max-connections" in answer
        assert b"retry-after" in answer
        server.released.set()
        for connection in busy:
            assert statuses(await read(connection)) == [200]

    run(main, most=3)


def test_beyond_those_for_probes_connections_are_closed_at_once():
    async def main(server):
        kept = [await server.connect(SLOW) for _ in range(2)]
        # Requests for health wait too: they hold the connections for probes.
        slow_probe = b"GET /v2/health/live HTTP/1.1\r\nHost: t\r\n"
        kept += [await server.connect(slow_probe) for _ in range(PROBE_CONNECTIONS)]
        new = await server.connect(LIVE)
        assert statuses(await read(new)) == [200]
        assert len(server.bounds) <= 2 + PROBE_CONNECTIONS

    run(main, most=2)


def test_a_client_that_never_reads_is_disconnected():
    async def main(server):
        connection = await server.connect(LARGE * 50, 4096)
        await until(lambda: server.reports)
        assert server.reports == ["unread_response"]
        # Only the first request was computed.
        assert server.asked == 1
        await until(lambda: len(server.bounds) == 0)
        connection.close()

    run(main, patience=Patience(unread_seconds=0.5, look_seconds=0.05))


def test_a_client_that_closes_after_its_response_and_never_reads_is_disconnected():
    async def main(server):
        request = b"GET /large HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        connection = await server.connect(request, 4096)
        await until(lambda: len(server.bounds) == 0)
        assert server.reports == ["unread_response"]
        connection.close()

    run(main, patience=Patience(unread_seconds=0.5, look_seconds=0.05))


def test_a_slow_reader_gets_everything():
    async def main(server):
        connection = await server.connect(LARGE, 2**16)
        size, begin = 0, asyncio.get_running_loop().time()
        while size < LARGE_BYTES:
            part = await read(connection, 2**18)
            assert part, (size, server.reports)
            size += len(part)
            if asyncio.get_running_loop().time() - begin < 2.5:
                # Less at a time than the kernel's buffer of the server holds.
                await asyncio.sleep(0.1)
        assert server.reports == []
        connection.close()

    run(main, patience=Patience(unread_seconds=1.0, look_seconds=0.05))


def test_unread_responses_are_bounded_over_all_connections(monkeypatch):
    monkeypatch.setattr(
        "kfp_tabular.serving.http.connection_bounds.MOST_UNSENT_BYTES", 3 * LARGE_BYTES
    )

    async def main(server):
        connections = [await server.connect(LARGE, 4096) for _ in range(6)]
        await until(lambda: server.reports.count("unread_bytes") >= 2)
        assert server.bounds.unsent_bytes <= 3 * LARGE_BYTES
        # The last one got its turn.
        assert await read(connections[-1])
        for connection in connections:
            connection.close()

    run(main)


@pytest.mark.parametrize("half", [False, True])
def test_connections_are_forgotten(half):
    async def main(server):
        connections = [await server.connect(LIVE) for _ in range(5)]
        for connection in connections:
            assert statuses(await read(connection)) == [200]
            if half:
                connection.shutdown(socket.SHUT_WR)
            else:
                connection.close()
        await until(lambda: len(server.bounds) == 0)
        for connection in connections:
            connection.close()

    run(main)
