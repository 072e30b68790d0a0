"""How pieces are spread over tasks."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.processing.merge_tree import FAN_IN
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.processing.spark import task_runs
from kfp_tabular.components.common.processing.spark.task_runs import TASKS_PER_CORE


def pieces(count: int, rows: int) -> list[Piece]:
    return [Piece("a", "row-groups", at, at + 1, rows=rows) for at in range(count)]


@given(count=st.integers(1, 3_000), rows=st.integers(0, 2_000_000), cores=st.integers(1, 300))
def test_every_piece_is_in_one_run_in_order(count: int, rows: int, cores: int) -> None:
    given_pieces = pieces(count, rows)
    span = task_runs.span(given_pieces, cores)

    for runs in (task_runs.runs(given_pieces, span), task_runs.even_runs(given_pieces, cores)):
        numbers = [number for number, _ in itertools.chain.from_iterable(runs)]
        assert numbers == list(range(count))
        # Each core has some, where there are enough.
        assert len(runs) >= min(count, TASKS_PER_CORE * cores)
    # A power of the fan-in.
    while span > 1:
        assert span % FAN_IN == 0
        span //= FAN_IN


def test_tasks_of_large_jobs_stay_short() -> None:
    large = pieces(4_000, 1_000_000)

    assert task_runs.span(large, cores=2) == 1
    assert max(map(len, task_runs.even_runs(large, cores=2))) <= 2
    # Files of which the rows are not known.
    assert max(map(len, task_runs.even_runs(pieces(4_000, 0), cores=2))) <= 4
