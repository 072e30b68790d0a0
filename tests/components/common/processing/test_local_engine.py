import itertools
import logging
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import local_engine
from kfp_tabular.components.common.processing.local_engine import LocalEngine
from kfp_tabular.components.common.processing.pieces import Piece, join


class Texts:
    """Keeps what is added, to see the order of merging."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def add(self, batch: int) -> None:
        self.seen.append(batch)

    def merge(self, other: "Texts") -> None:
        self.seen += other.seen

    def state(self) -> bytes:
        return repr(self.seen).encode()

    def from_state(self, state: bytes) -> "Texts":
        raise NotImplementedError

    def result(self) -> list[int]:
        return self.seen


def pieces(count: int) -> list[Piece]:
    return [Piece("a", "bytes", at, at + 1, rows=1, first_row=at) for at in range(count)]


def read(piece: Piece) -> list[int]:
    # Later pieces are done first.
    time.sleep(0.003 * (5 - piece.start % 5))
    return [10 * piece.start, 10 * piece.start + 1]


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 9])
def test_pieces_are_merged_in_order(threads, count):
    found = LocalEngine(threads).fold(pieces(count), Texts, read)
    assert found == [10 * at + i for at in range(count) for i in (0, 1)]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_map_yields_in_order(threads):
    found = list(LocalEngine(threads).map(pieces(7), lambda piece: read(piece)[0]))
    assert found == [(piece, 10 * piece.start) for piece in pieces(7)]


def test_few_results_wait():
    made, waiting = [], []
    for taken, _ in enumerate(LocalEngine(2).map(pieces(30), made.append), start=1):
        time.sleep(0.001)
        waiting.append(len(made) - taken)
    assert max(waiting) <= 3


def test_the_error_of_the_first_piece_is_raised_as_it_is_and_others_stop():
    error = UserError("a.csv line 3: bad.")
    started, gone_on = [], threading.Event()

    def failing(piece: Piece):
        started.append(piece.start)
        if piece.start == 1:
            raise error
        for batch in range(100):
            time.sleep(0.001)
            yield batch
        gone_on.set()

    with pytest.raises(UserError) as caught:
        LocalEngine(2).fold(pieces(50), Texts, failing)
    # Piece 0 has to end before the error of piece 1 can be told to be the first.
    assert caught.value is error
    assert len(started) <= 5


def test_the_error_of_an_earlier_piece_goes_first():
    def failing(piece: Piece):
        time.sleep(0.02 if piece.start == 0 else 0)
        raise UserError(f"piece {piece.start}")

    with pytest.raises(UserError, match="piece 0"):
        LocalEngine(3).fold(pieces(3), Texts, failing)


def test_an_interrupted_fold_ends_soon():
    class Interrupted(Texts):
        def merge(self, other: Texts) -> None:
            raise KeyboardInterrupt

    def endless(piece: Piece):
        yield 0
        while piece.start > 1:
            time.sleep(0.001)
            yield 1

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        LocalEngine(3).fold(pieces(9), Interrupted, endless)
    assert threading.active_count() == before


def test_progress_is_told(caplog, monkeypatch):
    monkeypatch.setattr(local_engine, "_SECONDS_BETWEEN_MESSAGES", 0.0)
    with caplog.at_level(logging.INFO):
        LocalEngine(1).fold(pieces(2), Texts, read, what="statistics of train")
    assert [record.getMessage().split(" rows")[0] for record in caplog.records] == [
        "statistics of train: 1 of 2",
        "statistics of train: 2 of 2",
        "statistics of train: 2",
    ]


@given(
    sizes=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 9)), max_size=12),
    rows=st.integers(1, 20),
)
def test_joined_pieces_cover_the_same_rows(sizes, rows):
    parts, first, group = [], 0, {"a": 0, "b": 0}
    for uri, count in sizes:
        at = group[uri]
        group[uri] += 1
        parts.append(Piece(uri, "row-groups", at, at + 1, "train", count, first))
        first += count
    joined = join(parts, rows)
    assert sum(piece.rows for piece in joined) == first
    groups = [(piece.uri, at) for piece in joined for at in range(piece.start, piece.stop)]
    assert groups == [(piece.uri, piece.start) for piece in parts]
    for before, piece in itertools.pairwise(joined):
        assert piece.first_row == before.first_row + before.rows
        if before.uri == piece.uri:
            assert before.rows >= rows
