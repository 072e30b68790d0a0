"""The protocol of the server on a socket pair, with an application that records requests."""

import asyncio
import contextlib
import functools
import re
import socket
from collections.abc import Iterable, Sequence

import uvicorn
import uvloop
from uvicorn.server import ServerState

from kfp_tabular.serving.http.bounded_http1 import BoundedHttp1
from kfp_tabular.serving.http.connection_bounds import ConnectionBounds, Patience

Seen = list[tuple[str, bytes, list[tuple[bytes, bytes]], bytes]]
"""Method, target, headers and body of each request that the application got."""


async def _exchange(pieces: Iterable[bytes], *, half: bool) -> tuple[bytes, Seen]:
    seen: Seen = []

    async def record(scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        target = scope["raw_path"] + (
            b"?" + scope["query_string"] if scope["query_string"] else b""
        )
        seen.append((scope["method"], target, scope["headers"], body))
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    loop = asyncio.get_running_loop()
    config = uvicorn.Config(record, lifespan="off", log_config=None, access_log=False)
    config.load()
    create = functools.partial(
        BoundedHttp1,
        config,
        ServerState(),
        {},
        loop,
        bounds=ConnectionBounds(patience=Patience(linger_seconds=10, look_seconds=0.02)),
    )
    near, far = socket.socketpair()
    far.setblocking(False)
    await loop.connect_accepted_socket(create, near)
    answer = bytearray()
    with contextlib.suppress(ConnectionError):
        for piece in pieces:
            await loop.sock_sendall(far, piece)
            # The server reads each piece before the next one is sent.
            for _ in range(3):
                await asyncio.sleep(0)
        if half:
            far.shutdown(socket.SHUT_WR)
    try:
        while part := await asyncio.wait_for(loop.sock_recv(far, 2**16), 20):
            answer += part
    finally:
        far.close()
    return bytes(answer), seen


def _target(scope) -> bytes:
    query = scope["query_string"]
    return scope["raw_path"] + (b"?" + query if query else b"")


def exchange(*pieces: bytes, half: bool = True) -> tuple[list[int], Seen]:
    """Send pieces; return the statuses of the responses and what the application saw."""
    return exchange_all([pieces], half=half)[0]


def exchange_all(
    cuts: Iterable[Sequence[bytes]], *, half: bool = True
) -> list[tuple[list[int], Seen]]:
    """Do the same for several connections, one after the other."""

    async def main():
        return [await _exchange(pieces, half=half) for pieces in cuts]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(main())
    return [(statuses(answer), seen) for answer, seen in found]


def statuses(answer: bytes) -> list[int]:
    """Return the statuses of final responses."""
    found = [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3})", answer)]
    return [code for code in found if code != 100]
