"""The Beam engine: the results of the local engine, and its errors."""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.beam import beam_engine, exchange
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.pieces import Piece
from tests.beam_services import Services
from tests.components.common.processing.engine_contract import (  # noqa: F401 - its tests run here
    Listing,
    pieces,
    starts,
    test_a_map_yields_pieces_with_results_in_order,
    test_a_user_error_of_a_fold,
    test_examples_are_read_by_the_executors,
    test_it_says_what_is_done,
    test_one_piece_and_none,
    test_the_engine_works_after_an_error,
    test_the_first_bad_piece_ends_the_job_at_once,
)

_PATIENCE = 300


@pytest.fixture(scope="module", params=["direct", "portable"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    document = {"engine": "beam"}
    if request.param == "portable":
        document = request.getfixturevalue("beam_services").document(processes=True)
    with engines.opened(document, "validate-data") as opened:
        yield opened.engine


def test_states_are_merged_in_the_order_of_the_pieces(engine: Engine) -> None:
    text, processes = engine.fold(pieces(20), Listing, starts)

    assert text.replace("(", "").replace(")", "").split() == [str(at) for at in range(20)]
    assert processes


def test_the_shape_of_merging_is_fixed(engine: Engine) -> None:
    first, _ = engine.fold(pieces(20), Listing, starts)
    again, _ = engine.fold(pieces(20), Listing, starts)

    assert first == again
    assert "((((0 1) 2) 3) (((4 5) 6) 7))" in first


def test_a_portable_runner_works_in_other_processes(beam_services: Services) -> None:
    with engines.opened(beam_services.document(processes=True), "validate-data") as opened:
        _, processes = opened.engine.fold(pieces(3), Listing, starts)

    assert processes
    assert processes.isdisjoint([os.getpid(), beam_services.pool_id])
    assert list((beam_services.folder / "exchange").iterdir()) == []


def test_a_job_service_that_does_not_answer_is_a_user_error() -> None:
    document = {
        "engine": "beam",
        "runner": "PortableRunner",
        "temp_location": "/tmp",
        "options": {"job_endpoint": "127.0.0.1:9"},
    }

    with (
        pytest.raises(UserError, match=r"127\.0\.0\.1:9: no job service answers"),
        engines.opened(document),
    ):
        pass


def test_a_prism_that_is_not_there_is_a_user_error() -> None:
    options = {"prism_location": "/nowhere/prism"}
    with (
        pytest.raises(UserError, match=r"prism_location /nowhere/prism: no such file\. Build"),
        engines.opened({"engine": "beam", "runner": "PrismRunner", "options": options}),
    ):
        pass


def test_an_option_that_beam_does_not_know_is_a_user_error() -> None:
    with (
        engines.opened({"engine": "beam", "options": {"regon": "x"}}) as opened,
        pytest.raises(UserError, match="Beam has no option 'regon'"),
    ):
        opened.engine.fold(pieces(1), Listing, starts)


def test_another_error_is_a_failure_with_its_reason(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="integer division or modulo by zero"):
        list(engine.map(pieces(3), lambda piece: 1 // piece.start))


def test_progress_is_told(
    engine: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beam_engine, "_SECONDS_BETWEEN_MESSAGES", 0.02)
    told = threading.Event()
    handler = _Sets(told, "sizes: 1 of 2 rows in")
    logging.getLogger("kfp_tabular").addHandler(handler)
    with tempfile.TemporaryDirectory() as folder:

        def release() -> None:
            told.wait(_PATIENCE)
            Path(folder, "go").touch()

        thread = threading.Thread(target=release)
        thread.start()
        try:
            with caplog.at_level(logging.INFO):
                list(engine.map(pieces(2), Waiting(folder), what="sizes"))
        finally:
            told.set()
            thread.join()
            logging.getLogger("kfp_tabular").removeHandler(handler)

    assert "sizes: 1 of 2 rows in" in caplog.text
    assert "sizes: 2 rows in" in caplog.text


class Waiting:
    """Returns a piece's number; of all but the first that is asked for, once a file is there."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, piece: Piece) -> int:
        try:
            Path(self.folder, "first").touch(exist_ok=False)
        except FileExistsError:
            deadline = time.monotonic() + _PATIENCE
            while not Path(self.folder, "go").exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
        return piece.start


class _Sets(logging.Handler):
    """Sets an event once a message comes."""

    def __init__(self, event: threading.Event, text: str) -> None:
        super().__init__()
        self.event, self.text = event, text

    def emit(self, record: logging.LogRecord) -> None:
        if self.text in record.getMessage():
            self.event.set()


def test_nothing_that_is_pickled_is_read(
    beam_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []
    whole = exchange.Exchange.read_result

    def noted(self: exchange.Exchange) -> tuple[str, list[bytes]]:
        read.append((Path(self.uri) / "result.arrow").read_bytes())
        return whole(self)

    monkeypatch.setattr(exchange.Exchange, "read_result", noted)
    with engines.opened(beam_services.document(), "validate-data") as opened:
        opened.engine.fold(pieces(3), Listing, starts)
        list(opened.engine.map(pieces(3), lambda piece: piece.uri))

    for content in read:
        # An Arrow stream, which `unpack` reads.
        assert content.startswith(b"\xff\xff\xff\xff")
        assert set(states.unpack(content)) == {"error", "parts"}
    assert len(read) == 2
