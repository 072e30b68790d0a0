"""Clients that are slow, silent, half-closed or do not send what they announced."""

import contextlib
import socket
import time

import pytest

from tests.serving.attack.served import HEAD, LIVE, close_all, good_request, wait_until
from tests.serving.http.protocol_connection import statuses


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"P",
        HEAD,
        HEAD + b"Content-Length: 9\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n",
        HEAD + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    ],
)
def test_a_client_that_half_closes_within_a_request_is_closed(server, begun):
    descriptors = server.descriptors()
    connections = [server.connect() for _ in range(10)]
    for connection in connections:
        connection.sendall(begun)
        connection.shutdown(socket.SHUT_WR)
    for connection in connections:
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(2**16):
                answer += part
        assert statuses(answer) == []
    wait_until(lambda: server.descriptors() <= descriptors, "their end")
    close_all(connections)


def test_a_client_that_half_closes_after_requests_gets_all_responses(server):
    assert statuses(server.exchange(good_request() * 30, half=True)) == [200] * 30


def test_requests_that_arrive_byte_by_byte(server):
    request = good_request(1, b"X-Long: " + b"a" * 300)
    pieces = [request[i : i + 1] for i in range(len(request))]
    bye = b"GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" % LIVE.encode()
    with server.probing() as prober:
        begin = time.monotonic()
        assert statuses(server.exchange(*pieces, bye, pause=0.001)) == [200, 200]
        assert time.monotonic() - begin < 30
    assert prober.failures == []


def test_a_pipeline_is_answered_in_order_to_a_client_that_reads(server):
    bye = b"GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" % LIVE.encode()
    answer = server.exchange(good_request(3) * 100 + bye)
    assert statuses(answer) == [200] * 101


def test_a_client_that_reads_late_gets_every_response(server):
    bye = b"GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" % LIVE.encode()
    with server.connect(4096) as connection:
        for _ in range(8):
            connection.sendall(good_request(2000))
        connection.sendall(bye)
        answer = bytearray()
        while part := connection.recv(2**14):
            answer += part
            if len(answer) < 2**17:
                time.sleep(0.05)
    assert statuses(bytes(answer)) == [200] * 9
