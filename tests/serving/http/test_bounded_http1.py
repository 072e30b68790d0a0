"""Heads, trailers, upgrades, half-closed and silent connections, over a real socket."""

import asyncio
import functools
import json
import logging
import re

import pytest
import uvicorn
import uvloop

from kfp_tabular.serving.http.bounded_http1 import BoundedHttp1
from kfp_tabular.serving.http.connection_bounds import ConnectionBounds, Patience
from kfp_tabular.serving.http.request_head import LARGEST_HEAD_BYTES
from tests.serving.echo_application import echo

PATIENT = Patience()
IMPATIENT = Patience(0.2, 0.2, linger_seconds=0.1, look_seconds=0.02)


def exchange(*pieces, again=0, until=b"", pause=0, app=echo, half=False, patience=PATIENT):
    """Send pieces, the last one several times more, and return the response."""

    async def main():
        protocol = functools.partial(BoundedHttp1, bounds=ConnectionBounds(patience=patience))
        config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, port=0)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = 0
        try:
            for piece in [*pieces, *[pieces[-1]] * again]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
                sent += len(piece)
            if half:
                writer.write_eof()
        except ConnectionError:
            pass
        try:
            if until:
                answer = await asyncio.wait_for(reader.readuntil(until), 10)
            else:
                answer = await asyncio.wait_for(reader.read(), 10)
        except ConnectionError:
            answer = b""
        writer.close()
        server.should_exit = True
        await serving
        return answer, sent

    # As in the server.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


HEAD = b"POST /x HTTP/1.1\r\nHost: t\r\n"


@pytest.mark.parametrize("size", [0, 1, 65_537, 5_000_000])
def test_bodies_of_any_size_are_passed_on(size):
    length = b"Content-Length: %d\r\n\r\n" % size
    answer, _ = exchange(HEAD + length, b"x" * size, until=b"\r\n\r\n%d" % size)
    assert answer.startswith(b"HTTP/1.1 200")


def test_each_request_of_a_connection_is_measured_alone():
    request = HEAD + b"A: %s\r\nContent-Length: 1\r\n\r\n1" % (b"a" * 30_000)
    last = HEAD + b"Content-Length: 9\r\n\r\n123456789"
    answer, _ = exchange(*[request] * 9, last, until=b"\r\n\r\n9")
    assert answer.count(b"HTTP/1.1 200") == 10


def test_a_head_just_within_the_limit_is_accepted():
    value = b"a" * (LARGEST_HEAD_BYTES - 200)
    answer, _ = exchange(HEAD + b"A: %s\r\nContent-Length: 1\r\n\r\n1" % value, until=b"\r\n\r\n1")
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET /" + b"a" * 10_000, b"a" * 10_000],
        [HEAD + b"A: ", b"a" * 10_000],
        [HEAD + b"A", b"a" * 10_000],
        [HEAD, b"A: " + b"a" * 1000 + b"\r\n"],
        [HEAD, b"A:b\r\n" * 1000],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: " + b"a" * 1000 + b"\r\n"],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: ", b"a" * 10_000],
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a" * 10_000],
    ],
)
def test_an_endless_head_is_cut_off(pieces):
    answer, sent = exchange(*pieces, again=3000)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400"))
    assert sent < 12_000_000


def test_a_head_above_the_limit_is_rejected_with_a_message():
    answer, _ = exchange(HEAD + b"A: " + b"a" * LARGEST_HEAD_BYTES + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431")
    assert b"65536" in answer
    assert b"connection: close" in answer


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
LAST = HEAD + b"Content-Length: 9\r\n\r\n123456789"


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: 3\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("offer", [OFFER, b"Upgrade: websocket\r\nConnection: upgrade\r\n"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_offered_upgrade_is_answered_in_http1(body, offer, size):
    asked = HEAD + offer + body
    bare = HEAD + offer + b"\r\n"
    sent = asked + bare + asked + LAST
    pieces = [sent[begin : begin + size] for begin in range(0, len(sent), size)]
    answer, _ = exchange(*pieces, until=b"\r\n\r\n9")
    assert [part[:12] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200 OK\r\ndate"] * 4
    assert [part[-1:] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"3", b"0", b"3", b"9"]


def test_a_body_behind_an_offered_upgrade_is_not_parsed_as_a_request():
    hidden = b"GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n"
    asked = HEAD + OFFER + b"Content-Length: %d\r\n\r\n" % len(hidden) + hidden
    answer, _ = exchange(asked + LAST, until=b"\r\n\r\n9")
    assert answer.count(b"HTTP/1.1 200") == 2


def test_several_offered_upgrades_on_a_connection_are_answered():
    sent = (HEAD + OFFER + b"\r\n") * 300
    answer, _ = exchange(sent, LAST, until=b"\r\n\r\n9")
    assert answer.count(b"HTTP/1.1 200") == 301


@pytest.mark.parametrize("target", [b"other:443", b"/"])
def test_connect_is_rejected(target):
    answer, _ = exchange(b"CONNECT %s HTTP/1.1\r\nHost: t\r\n\r\nGET / HTTP/1.1\r\n\r\n" % target)
    assert len(re.findall(rb"HTTP/1\.1 \d", answer)) == 1
    assert answer.startswith(b"HTTP/1.1 400")


async def slow_echo(scope, receive, send):
    await asyncio.sleep(0.5)
    await echo(scope, receive, send)


def test_a_half_closed_connection_gets_its_response():
    asked = HEAD + b"Content-Length: 1\r\n\r\n1"
    answer, _ = exchange(asked + asked, app=slow_echo, half=True)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.endswith(b"1")


@pytest.mark.parametrize("begun", [b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\n1"])
def test_a_connection_half_closed_within_a_request_is_closed(begun):
    answer, _ = exchange(begun, half=True)
    assert answer == b""


@pytest.mark.parametrize(
    ("pieces", "answered"),
    [
        ([b""], b""),
        ([b"P"], b"HTTP/1.1 408"),
        ([HEAD], b"HTTP/1.1 408"),
        ([HEAD + b"Content-Length: 2\r\n\r\n1"], b"HTTP/1.1 408"),
        ([HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"], b"HTTP/1.1 408"),
        ([HEAD + b"Content-Length: 1\r\n\r\n1", HEAD], b"HTTP/1.1 200"),
    ],
)
def test_a_silent_client_times_out(pieces, answered):
    # Read to its end: the server closes the connection.
    answer, _ = exchange(*pieces, patience=IMPATIENT)
    assert answer[:12] == answered


def test_a_head_that_arrives_too_slowly_times_out():
    answer, sent = exchange(HEAD, b"A: b\r\n", again=1000, pause=0.01, patience=IMPATIENT)
    assert answer[:12] in (b"", b"HTTP/1.1 408")
    assert sent < 1000


def test_a_body_may_arrive_slowly():
    pieces = [HEAD + b"Content-Length: 30\r\n\r\n", *[b"x"] * 30]
    answer, _ = exchange(*pieces, pause=0.02, until=b"\r\n\r\n30", patience=IMPATIENT)
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_slow_response_does_not_time_out():
    asked = HEAD + b"Content-Length: 1\r\n\r\n1"
    last = b"Content-Length: 9\r\n\r\n123456789"
    answer, _ = exchange(
        asked + asked + HEAD, last, app=slow_echo, until=b"\r\n\r\n9", patience=IMPATIENT
    )
    assert [part[-1:] for part in answer.split(b"HTTP/1.1 200")[1:]] == [b"1", b"1", b"9"]


def test_a_rejected_client_is_disconnected():
    async def refuse(scope, receive, send):
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body"})

    begun = HEAD + b"Content-Length: 9\r\n\r\n1"
    answer, _ = exchange(begun, b"2", pause=0.05, app=refuse, patience=IMPATIENT)
    assert answer.startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("body", [b"12345678", b"1"], ids=["whole", "begun"])
def test_an_application_that_fails_before_its_response_is_answered(caplog, body):
    async def broken(scope, receive, send):
        raise LookupError

    sent = HEAD + b"Content-Length: 8\r\n\r\n" + body
    answer, _ = exchange(sent, app=broken, patience=IMPATIENT)
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"internal error." in answer
    assert "the application failed" in caplog.text


def test_malformed_http_is_rejected_and_not_logged(caplog):
    answer, _ = exchange(b"\x16\x03\x01 hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
