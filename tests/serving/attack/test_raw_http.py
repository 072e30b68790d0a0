"""Raw HTTP against a real server: statuses, order, and that no request is seen differently."""

import json
import re

import pytest

from tests.serving.attack import raw_requests
from tests.serving.attack.served import HEAD, LIVE, PREDICT, ROW, good_request
from tests.serving.http.protocol_connection import statuses

BYE = b"GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" % LIVE.encode()


@pytest.mark.parametrize("raw", raw_requests.INVALID, ids=lambda raw: raw.name)
def test_an_invalid_request_behind_a_good_one(server, raw):
    # At an unknown path the response does not wait for the body.
    sent = raw.sent.replace(b" /x ", b" %s " % PREDICT.encode())
    assert statuses(server.exchange(good_request() + sent)) == [200, raw.status]


def test_valid_requests_are_answered_in_order(server):
    sent = [raw.sent for raw in raw_requests.VALID]
    found = statuses(server.exchange(*sent, BYE))
    # Most paths are unknown here, but each request has one response.
    assert len(found) == len(sent) + 1
    assert set(found) == {200, 404}


def test_the_errors_say_what_is_wrong_and_quote_nothing(server):
    for raw in raw_requests.INVALID:
        sent = raw.sent.replace(b" /x ", b" %s " % PREDICT.encode())
        head, _, body = server.exchange(sent).partition(b"\r\n\r\n")
        error = json.loads(body)["error"]
        assert error.endswith("."), error
        assert b"\r\nconnection: close" in head
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        assert int(length[1]) == len(body)


def test_head_is_answered_without_a_body(server):
    head = b"HEAD %s HTTP/1.1\r\nHost: t\r\n\r\n" % LIVE.encode()
    answer = server.exchange(head + head + BYE)
    assert statuses(answer) == [200, 200, 200]
    assert answer.count(b'{"live":true}') == 1


def test_a_length_of_the_json_in_a_trailer_is_not_used(server):
    body = json.dumps({"instances": [ROW]}).encode()
    chunk = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    sent = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk
    sent += b"Inference-Header-Content-Length: 1\r\n\r\n"
    for pieces in ([sent + BYE], [*(sent[i : i + 1] for i in range(len(sent))), BYE]):
        assert statuses(server.exchange(*pieces)) == [200, 200]


def test_a_body_is_sent_after_100_continue(server):
    request = good_request(1, b"Expect: 100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    with server.connect() as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body + BYE)
        answer = b""
        while part := connection.recv(2**16):
            answer += part
    assert statuses(answer) == [200, 200]


def test_a_request_refused_before_100_continue_ends_the_connection(server):
    head = b"POST /unknown HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    answer = server.exchange(head)
    assert statuses(answer) == [404]
    assert b"100 Continue" not in answer
    assert b"connection: close" in answer
