"""What every engine that spreads work over processes does: tests for a module's fixture `engine`.

A module of an engine imports them, and they run with its fixture.
"""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece


class Listing:
    """An accumulator that shows the order and shape of merging."""

    def __init__(self) -> None:
        self.text = ""
        self.processes: set[int] = set()

    def add(self, batch: str) -> None:
        self.text += batch
        self.processes.add(os.getpid())

    def merge(self, other: "Listing") -> None:
        self.text = f"({self.text} {other.text})"
        self.processes |= other.processes

    def state(self) -> bytes:
        return states.pack({"text": self.text, "processes": sorted(self.processes)})

    def from_state(self, state: bytes) -> "Listing":
        found = Listing()
        parts = states.unpack(state)
        found.text, found.processes = parts["text"], set(parts["processes"])
        return found

    def result(self) -> tuple[str, set[int]]:
        return self.text, self.processes


def pieces(count: int) -> list[Piece]:
    return [Piece(__file__, "bytes", at, at + 1, rows=1) for at in range(count)]


def starts(piece: Piece) -> Iterator[str]:
    yield str(piece.start)


def test_one_piece_and_none(engine: Engine) -> None:
    assert engine.fold(pieces(1), Listing, starts)[0] == "0"
    assert engine.fold([], Listing, starts)[0] == ""
    assert list(engine.map([], lambda piece: piece.start)) == []


def test_a_map_yields_pieces_with_results_in_order(engine: Engine) -> None:
    found = list(engine.map(pieces(9), lambda piece: piece.start * 2 or None))

    assert [piece.start for piece, _ in found] == list(range(9))
    assert [result for _, result in found] == [None, 2, 4, 6, 8, 10, 12, 14, 16]


def test_the_first_bad_piece_ends_the_job_at_once(engine: Engine, tmp_path: Path) -> None:
    def check(piece: Piece) -> int:
        with (tmp_path / f"{piece.start}").open("a") as stream:
            stream.write("x")
        if piece.start in (3, 5):
            raise UserError(f"piece {piece.start} is bad.")
        time.sleep(0.2)
        return 0

    with pytest.raises(UserError, match=r"^piece 3 is bad\.$"):
        list(engine.map(pieces(60), check))

    calls = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert calls["3"] == "x"
    assert len(calls) < 60


def test_a_user_error_of_a_fold(engine: Engine) -> None:
    def read(piece: Piece) -> Iterator[str]:
        if piece.start == 4:
            raise UserError("row 7 is bad.")
        yield "x"

    with pytest.raises(UserError, match=r"^row 7 is bad\.$"):
        engine.fold(pieces(9), Listing, read)


def test_the_engine_works_after_an_error(engine: Engine) -> None:
    with pytest.raises(UserError):
        list(engine.map(pieces(3), _bad))

    assert [result for _, result in engine.map(pieces(3), lambda piece: piece.start)] == [0, 1, 2]


def _bad(piece: Piece) -> None:
    raise UserError("bad.")


def test_it_says_what_is_done(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        engine.fold(pieces(3), Listing, starts, what="texts")

    assert "texts: 3 rows in" in caplog.text


class Sum:
    """Adds numbers, whose last digits show the order of merging."""

    def __init__(self) -> None:
        self.total = 0.0

    def add(self, batch: example_pieces.Rows) -> None:
        self.total += float(np.sum(batch.batch.column(0).to_numpy()))

    def merge(self, other: "Sum") -> None:
        self.total += other.total

    def state(self) -> bytes:
        return states.pack({"total": np.array([self.total])})

    def from_state(self, state: bytes) -> "Sum":
        found = Sum()
        found.total = float(states.unpack(state)["total"][0])
        return found

    def result(self) -> float:
        return self.total


def test_examples_are_read_by_the_executors(engine: Engine, tmp_path: Path) -> None:
    table = pa.table({"x": np.random.default_rng(7).normal(size=1000)})
    with ExamplesWriter(tmp_path, table.schema, ["train"]) as writer:
        for start in range(0, 1000, 50):
            writer.write("train", table.slice(start, 50))
    examples = Examples(tmp_path)
    cut = example_pieces.pieces(examples, "train", rows=100)
    reader = example_pieces.reader(examples)

    found = engine.fold(cut, Sum, reader)

    assert len(cut) > 8
    assert found == pytest.approx(LocalEngine().fold(cut, Sum, reader), rel=1e-12)
    assert found == engine.fold(cut, Sum, reader)
