"""Raw requests, cut in every way: the answer never depends on how TCP cut them."""

import h11
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.attack import raw_requests
from tests.serving.attack.raw_requests import NEXT
from tests.serving.http.protocol_connection import exchange, exchange_all

LONGEST_CUT_EVERYWHERE = 400


def cuts(sent):
    """Return the bytes whole, byte by byte, and cut in two at each place."""
    if len(sent) > LONGEST_CUT_EVERYWHERE:
        step = len(sent) // 16
        return [[sent], [sent[i : i + 7] for i in range(0, len(sent), 7)]] + [
            [sent[:i], sent[i:]] for i in range(1, len(sent), step)
        ]
    return [[sent], [bytes([byte]) for byte in sent]] + [
        [sent[:i], sent[i:]] for i in range(1, len(sent))
    ]


@pytest.mark.parametrize("raw", raw_requests.VALID, ids=lambda raw: raw.name)
def test_a_valid_request_is_answered_and_so_is_the_next(raw):
    for found, seen in exchange_all(cuts(raw.sent + NEXT)):
        assert found == [200, 200]
        assert [body for *_, body in seen] == [raw.body, b""]
        assert seen[1][1] == b"/next"


@pytest.mark.parametrize("raw", raw_requests.CLOSING, ids=lambda raw: raw.name)
def test_a_valid_request_that_ends_the_connection(raw):
    for found, seen in exchange_all(cuts(raw.sent + NEXT)):
        assert found == [200]
        assert [body for *_, body in seen] == [raw.body]


@pytest.mark.parametrize("raw", raw_requests.INVALID, ids=lambda raw: raw.name)
def test_an_invalid_request_is_rejected_and_the_connection_closed(raw):
    for found, seen in exchange_all(cuts(raw.sent + NEXT)):
        assert found == [raw.status]
        assert seen == []


@pytest.mark.parametrize("raw", raw_requests.INVALID, ids=lambda raw: raw.name)
def test_a_good_request_before_a_bad_one_gets_its_answer(raw):
    good = b"POST /good HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n1"
    for pieces in ([good + raw.sent], [good, raw.sent]):
        found, seen = exchange(*pieces)
        assert found == [200, raw.status]
        assert [target for _, target, *_ in seen] == [b"/good"]


def test_trailers_are_no_headers():
    raw = next(raw for raw in raw_requests.VALID if raw.name == "trailer: a key")
    for _, seen in exchange_all(cuts(raw.sent)):
        ((_, _, headers, _),) = seen
        assert [name for name, _ in headers] == [b"host", b"transfer-encoding"]


PIECES = [
    *(b"GET", b"POST", b"/x", b"*", b"http://t/x", b"HTTP/1.1", b"HTTP/1.0", b" ", b"\t", b"\r\n"),
    *(
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b":",
        b"Host: t",
        b"Host: u",
        b"Content-Length: 1",
        b"\0",
        b"\xff",
    ),
    *(b"Content-Length: 3", b"Transfer-Encoding: chunked", b"chunked", b"identity", b","),
    *(b"0\r\n\r\n", b"1\r\na\r\n", b"3", b"a", b";b=c", b"Connection: close", b"Trailer: v"),
]
EDITS = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 4), st.sampled_from(PIECES)), max_size=3
)
BASES = st.sampled_from([raw.sent for raw in raw_requests.ALL if len(raw.sent) < 300])


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(base=BASES, edits=EDITS, sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_any_edited_request_is_answered_alike_however_it_is_cut(base, edits, sizes):
    sent = base
    for edit, removed, added in edits:
        place = edit % (len(sent) + 1)
        sent = sent[:place] + added + sent[place + removed :]
    sent += NEXT
    pieces, place = [], 0
    while place < len(sent):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(sent[place : place + size])
        place += size
    (whole, seen), cut, bytewise = exchange_all([[sent], pieces, [bytes([b]) for b in sent]])
    assert cut == (whole, seen)
    assert bytewise == (whole, seen)
    assert len(whole) >= len(seen)
    # h11 rejects a little more, such as spaces around the extension of a chunk.
    for (method, target, headers, body), read in zip(seen, read_by_h11(sent), strict=False):
        lowered = [(name, lower_coding(name, value)) for name, value in headers]
        assert read == (method, target, lowered, body)


def read_by_h11(sent):
    """Return the requests that h11 finds: what this server accepts, h11 reads alike."""
    found = []
    while sent:
        connection = h11.Connection(h11.SERVER)
        # h11 knows no empty line before a request (RFC 9112, 2.2).
        connection.receive_data(sent.lstrip(b"\r\n"))
        body = b""
        try:
            request = connection.next_event()
            while isinstance(event := connection.next_event(), h11.Data):
                body += event.data
        except h11.RemoteProtocolError:
            break
        if not isinstance(event, h11.EndOfMessage):
            break
        headers = [(bytes(name), bytes(value)) for name, value in request.headers]
        found.append((request.method.decode(), path_of(bytes(request.target)), headers, body))
        sent = connection.trailing_data[0]
    return found


def lower_coding(name, value):
    """Return a header's value as h11 does."""
    return value.lower() if name == b"transfer-encoding" else value


def path_of(target):
    """Return a target in origin form."""
    if not target.lower().startswith(b"http://"):
        return target
    _, slash, path = target[7:].partition(b"/")
    return slash + path if slash else b"/"
