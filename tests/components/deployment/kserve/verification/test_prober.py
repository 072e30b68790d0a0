"""Requests to a candidate over HTTP, and the checks of its responses."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kfp_tabular.components.common.artifacts.golden_examples import GoldenExamples
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.kubernetes.client.errors import AbortedError
from kfp_tabular.components.deployment.kserve.resources.verification_settings import (
    EndpointAccess,
    VerificationBounds,
)
from kfp_tabular.components.deployment.kserve.verification import predict_protocol
from kfp_tabular.components.deployment.kserve.verification.candidate_checks import CheckFailedError
from kfp_tabular.components.deployment.kserve.verification.endpoint_address import EndpointAddress
from kfp_tabular.components.deployment.kserve.verification.prober import Prober

MODEL = ModelSpec("binary", "y", ("no", "yes"), 0.5, (ModelInput("a", "float32", False, "a"),), "")
RIGHT = {"predictions": [{"probabilities": [0.25, 0.75], "class": "yes"}]}
ROWS = 5


def prober(**bounds: Any) -> Prober:
    golden = GoldenExamples([{"a": float(row)} for row in range(ROWS)], RIGHT["predictions"] * ROWS)
    requests = predict_protocol.golden_requests(golden, MODEL, "image")
    given = VerificationBounds(**{"requests": 10, "startup_seconds": 5.0, **bounds})
    return Prober("taxi", requests, MODEL, given, EndpointAccess())


@contextmanager
def answering(answer: Callable[[bytes], tuple[int, bytes]]) -> Iterator[EndpointAddress]:
    """A stand-in for a serving process that answers each request by its body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

        def do_POST(self) -> None:
            status, content = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield EndpointAddress(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 100_000, id="nested without an end"),
        pytest.param(
            b'{"predictions": [{"probabilities": [1%s, 0], "class": "yes"}]}' % (b"0" * 400),
            id="a number beyond all floats",
        ),
    ],
)
def test_an_answer_that_cannot_be_read_does_not_pass(body: bytes) -> None:
    with (
        answering(lambda asked: (200, body)) as target,
        pytest.raises(CheckFailedError, match="answers: "),
    ):
        prober().check(target, 0, time.sleep)


def test_what_goes_wrong_while_asking_ends_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> float:
        raise ZeroDivisionError

    monkeypatch.setattr(predict_protocol, "difference", broken)
    with (
        answering(lambda asked: (200, json.dumps(RIGHT).encode())) as target,
        pytest.raises(ZeroDivisionError),
    ):
        prober().check(target, 0, time.sleep)


def test_a_missing_first_answer_does_not_keep_the_task_from_ending() -> None:
    """Clients may get the candidate already, so a task that is told to stop must not wait."""
    release, began = threading.Event(), time.monotonic()

    def answer(body: bytes) -> tuple[int, bytes]:
        release.wait(60)
        return 200, json.dumps(RIGHT).encode()

    def pause(seconds: float) -> None:
        if time.monotonic() - began > 0.2:
            raise AbortedError

    with answering(answer) as target, pytest.raises(AbortedError):
        prober().check(target, 0, pause)
    took = time.monotonic() - began
    release.set()

    assert took < 30


def test_another_try_takes_other_connections() -> None:
    """A connection stays with its pod, even after the Service points elsewhere."""
    wrong = {"predictions": [{"probabilities": [0.75, 0.25], "class": "no"}]}
    first: list[threading.Thread] = []

    def answer(body: bytes) -> tuple[int, bytes]:
        # The server has a thread for each connection.
        connection = threading.current_thread()
        first[:] = first or [connection]
        return 200, json.dumps(wrong if connection in first else RIGHT).encode()

    asking = prober(concurrency=1)
    with answering(answer) as target:
        for _ in range(2):
            with pytest.raises(CheckFailedError, match="answers: "):
                asking.check(target, 0, time.sleep)
        asking.reconnect()
        assert asking.check(target, 0, time.sleep).requests == 10


def test_every_golden_example_is_asked() -> None:
    asked: set[float] = set()

    def answer(body: bytes) -> tuple[int, bytes]:
        asked.add(json.loads(body)["instances"][0]["a"])
        return 200, json.dumps(RIGHT).encode()

    with answering(answer) as target:
        measured = prober(requests=2).check(target, 0, time.sleep)

    assert asked == set(range(ROWS))
    assert measured.requests == ROWS


def test_a_candidate_that_answers_nothing_does_not_pass() -> None:
    with (
        answering(lambda asked: (500, b"")) as target,
        pytest.raises(CheckFailedError, match="answers: none of 10 requests was answered"),
    ):
        prober(max_error_rate=1.0).check(target, 0, time.sleep)
