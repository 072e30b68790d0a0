"""How many pieces a task has.

A task costs about 40 ms in Java and Python, and a piece takes 20 to 200 ms. So a small job has two
tasks or more for each core. Tasks of a large one are short enough to even out and to be repeated.
"""

from collections.abc import Sequence
from itertools import pairwise

from kfp_tabular.components.common.processing.merge_tree import FAN_IN
from kfp_tabular.components.common.processing.pieces import Piece, total_rows
from kfp_tabular.components.common.processing.spark.executor_tasks import Run

TASKS_PER_CORE = 2
_MOST_ROWS = 2_000_000  # of a task with more than one piece
_ROWS_OF_UNKNOWN = 500_000


def span(pieces: Sequence[Piece], cores: int) -> int:
    """Return how many pieces a task folds: a power of `FAN_IN`, which the result does not show.

    Args:
        pieces: All pieces.
        cores: The cores of the cluster.

    Example:
        >>> pieces = [Piece("a", "row-groups", at, at + 1, rows=131_072) for at in range(32)]
        >>> span(pieces, cores=2), span(pieces, cores=16)
        (4, 1)
    """
    found, least = 1, _least_tasks(pieces, cores)
    while len(pieces) / (found * FAN_IN) >= least:
        found *= FAN_IN
    return found


def runs(pieces: Sequence[Piece], count: int) -> list[Run]:
    """Cut pieces into runs of some number; the last may have fewer."""
    numbered = _numbered(pieces)
    return [numbered[start : start + count] for start in range(0, len(numbered), count)]


def even_runs(pieces: Sequence[Piece], cores: int) -> list[Run]:
    """Cut pieces into runs of nearly the same number, some for each core.

    Args:
        pieces: All pieces.
        cores: The cores of the cluster.

    Example:
        >>> pieces = [Piece("a", "bytes", at, at + 1) for at in range(13)]
        >>> [len(run) for run in even_runs(pieces, cores=2)]
        [3, 3, 3, 4]
    """
    count = min(len(pieces), _least_tasks(pieces, cores))
    numbered = _numbered(pieces)
    ends = [len(numbered) * at // count for at in range(count + 1)]
    return [numbered[start:stop] for start, stop in pairwise(ends)]


def _least_tasks(pieces: Sequence[Piece], cores: int) -> int:
    unknown = sum(not piece.rows for piece in pieces)
    rows = total_rows(pieces) + unknown * _ROWS_OF_UNKNOWN
    return max(-(-rows // _MOST_ROWS), TASKS_PER_CORE * cores)


def _numbered(pieces: Sequence[Piece]) -> list[tuple[int, str]]:
    return [(number, piece.to_json()) for number, piece in enumerate(pieces)]
