"""A real proxy in front of the endpoint: both see the same requests, whatever a client sends."""

import json
import socket
import time

import pytest
import requests

from tests.serving.attack.ambiguous_requests import BODY, KEY, Ambiguous, corpus
from tests.serving.attack.proxies import Proxy, Relay, answers
from tests.serving.attack.served import PREDICT

OTHER_KEY = "zweiter-0123456789-abcdef"
OTHER_BODY = '{"instances":[{"amount":-700.25,"商户":"店","hour":3}]}'.encode()


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory, attacked):
    keys = tmp_path_factory.mktemp("keys")
    (keys / "web").write_text(KEY)
    (keys / "other").write_text(OTHER_KEY)
    return attacked("--auth-keys", keys)


@pytest.fixture(scope="module")
def expected(endpoint):
    """The answers to both bodies, asked for without a proxy."""
    found = [
        requests.post(f"{endpoint.url}{PREDICT}", body, headers={"x-api-key": KEY}, timeout=60)
        for body in (BODY, OTHER_BODY)
    ]
    first, second = (answer.json()["predictions"][0] for answer in found)
    assert abs(first["probabilities"][0] - second["probabilities"][0]) > 0.01
    return first, second


class Chain:
    """A proxy, a relay that counts, and the endpoint."""

    def __init__(self, name, folder, endpoint, port):
        self.known = 0
        self.relay = Relay(endpoint.address)
        self.proxy = Proxy(name, folder, self.relay.port, port)

    def send(self, ambiguous: Ambiguous) -> bytes:
        """Send pieces, and return what comes back until the proxy closes or is silent."""
        silence = 0.3 if ambiguous.is_cut else 5.0
        received = bytearray()
        with socket.create_connection(self.proxy.address) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.settimeout(30)
            try:
                for piece in ambiguous.pieces:
                    client.sendall(piece)
                    if len(ambiguous.pieces) > 1:
                        time.sleep(0.02)
                while True:
                    client.settimeout(0.1 if answers(bytes(received)) else silence)
                    part = client.recv(2**16)
                    if not part:
                        break
                    received += part
            except (TimeoutError, ConnectionError):
                pass
        return bytes(received)

    def ask(self, body: bytes, *, key: str | None) -> requests.Response:
        headers = {"x-api-key": key} if key else {}
        url = "http://{}:{}".format(*self.proxy.address)
        return requests.post(f"{url}{PREDICT}", body, headers=headers, timeout=60)

    def counts(self) -> tuple[int, int]:
        """How many requests the proxy has passed on, and how many the endpoint has answered."""
        return self.proxy.forwarded(), self.relay.answered()

    def difference(self) -> str | None:
        """Return by how much the counts differ more than before, where they still do in a while."""
        end = time.monotonic() + 3
        while True:
            forwarded, answered = self.counts()
            if forwarded - answered == self.known:
                return None
            if time.monotonic() > end:
                more = answered - forwarded + self.known
                self.known = forwarded - answered
                return f"the endpoint saw {more:+d} requests more than the proxy passed on"
            time.sleep(0.01)

    def close(self):
        self.proxy.close()
        self.relay.close()


@pytest.fixture(params=["nginx", "envoy"])
def chain(request, tmp_path, endpoint, free_port):
    made = Chain(request.param, tmp_path, endpoint, free_port)
    yield made
    made.close()


def same(found, wanted) -> bool:
    return found["class"] == wanted["class"] and found["probabilities"] == pytest.approx(
        wanted["probabilities"], abs=1e-5
    )


def wrong(chain, ambiguous, mine, others):
    """Send a request and two of other clients, and return what is wrong with the answers."""
    for status, body in answers(chain.send(ambiguous)):
        if b"kfp_tabular_requests_total" in body:
            yield "a path that the proxy denies was answered"
        if not ambiguous.is_keyed and status < 400:
            yield f"status {status} without a key"
        predictions = json.loads(body)["predictions"] if b'"predictions"' in body else None
        if predictions and not same(predictions[0], mine):
            yield "an answer to another request"
    answer = chain.ask(OTHER_BODY, key=OTHER_KEY)
    if answer.status_code != 200:
        yield f"another client's request was answered {answer.status_code} {answer.text[:80]}"
    elif not same(answer.json()["predictions"][0], others):
        yield "another client got a wrong answer"
    if (status := chain.ask(OTHER_BODY, key=None).status_code) != 401:
        yield f"another client without a key got {status}"
    if (count := chain.difference()) is not None:
        yield count


def test_both_see_the_same_requests_and_no_answer_or_key_is_swapped(chain, expected):
    found = [f"{each.name}: {text}" for each in corpus() for text in wrong(chain, each, *expected)]

    assert found == []
    assert chain.relay.connections < chain.counts()[0]
