"""The Spark engine: the results of the local engine, and its errors."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import engines
from kfp_tabular.components.common.processing.engine import Engine
from kfp_tabular.components.common.processing.merge_tree import MergeTree
from kfp_tabular.components.common.processing.pieces import Piece
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


@pytest.fixture(scope="module", params=["local", "standalone"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    document = {"engine": "spark", "master": "local[2]"}
    if request.param == "standalone":
        document = request.getfixturevalue("cluster").document()
    with engines.opened(document, "validate-data") as opened:
        yield opened.engine


def test_states_are_merged_in_the_order_of_the_pieces(engine: Engine) -> None:
    text, processes = engine.fold(pieces(20), Listing, starts)

    assert text.replace("(", "").replace(")", "").split() == [str(at) for at in range(20)]
    assert os.getpid() not in processes


@pytest.mark.parametrize("count", [20, 100])
def test_the_shape_of_merging_depends_on_the_number_of_pieces_alone(
    engine: Engine, count: int
) -> None:
    tree = MergeTree[str, tuple[str, set[int]]]()
    for at in range(count):
        part = Listing()
        part.add(str(at))
        tree.add(part)
    total = tree.total()

    found, _ = engine.fold(pieces(count), Listing, starts)

    assert total is not None
    assert found == total.result()[0]
    assert "((((0 1) 2) 3) (((4 5) 6) 7))" in found


def test_a_file_that_executors_lack(engine: Engine, tmp_path: Path) -> None:
    piece = Piece(str(tmp_path / "a.parquet"), "row-groups", 0, 1)

    with pytest.raises(UserError, match=r"a\.parquet: not on the executor .*object stores"):
        list(engine.map([piece], lambda piece: Path(piece.uri).read_bytes()))


def test_another_error_is_a_failure_with_its_reason(engine: Engine) -> None:
    with pytest.raises(RuntimeError, match="ZeroDivisionError: integer division"):
        list(engine.map(pieces(3), lambda piece: 1 // piece.start))


def test_processes_of_executors_leave_modules_out_of_garbage_collection(engine: Engine) -> None:
    frozen = [result for _, result in engine.map(pieces(2), lambda _: gc.get_freeze_count())]

    # pyspark collects after each task: with all of its objects that takes longer than a piece.
    assert min(frozen) > 10_000


def test_processes_of_executors_use_one_thread(engine: Engine) -> None:
    def threads(_: Piece) -> tuple[int, str]:
        return pa.cpu_count(), os.environ["TF_NUM_INTRAOP_THREADS"]

    assert [result for _, result in engine.map(pieces(2), threads)] == [(1, "1")] * 2
