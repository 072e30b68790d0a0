"""What the executors run: folds pieces to a state, merges states, applies a function to a piece.

Objects of these classes travel to the executors. Bad input comes back as a result, because Spark
would try a task that fails again.
"""

import gc
import itertools
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Generic

from kfp_tabular.components.common.errors import UserError, storage_error
from kfp_tabular.components.common.processing.accumulator import Accumulator
from kfp_tabular.components.common.processing.engine import Batch, Read, Result
from kfp_tabular.components.common.processing.merge_tree import MergeTree
from kfp_tabular.components.common.processing.outcomes import Outcome, not_found
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import is_remote

if TYPE_CHECKING:
    from pyspark import Accumulator as SparkAccumulator

STATES_PER_TASK = 16
"""So many states are merged by one task, in the order of their pieces; a power of `FAN_IN`."""


class ExecutorDiskError(Exception):
    """A disk that is full, or a path that cannot be used, at one executor; as one line."""


Run = Sequence[tuple[int, str]]
"""Consecutive pieces: the number of each, and the piece as JSON."""


@dataclass(frozen=True)
class Event:
    """A piece that an executor is done with.

    Attributes:
        number: The number of the piece.
        error: The message of the user error that it ended with; empty for none.
    """

    number: int
    error: str = ""


Keyed = tuple[int, Outcome[bytes]]
"""A state, and the number of the task that merges it."""


@dataclass(frozen=True)
class PieceTask(Generic[Result]):
    """Applies a function to runs of pieces.

    Attributes:
        function: Makes a result of a piece.
        events: Tells the driver of pieces that are done.
        attempts: How often Spark tries a run.
    """

    function: Callable[[Piece], Result]
    events: "SparkAccumulator[list[Event]]"
    attempts: int

    def __call__(self, partition: Iterable[Run]) -> Iterator[Outcome[Result]]:
        """Yield the outcome of each piece, until one has an error."""
        _prepare_process()
        for number, text in itertools.chain.from_iterable(partition):
            piece = Piece.from_json(text)
            outcome = self._outcome(number, piece)
            self.events.add([Event(number, outcome.error)])
            yield outcome
            if outcome.error:
                break
        # By now all is imported that the function needs.
        _prepare_process()

    def _outcome(self, number: int, piece: Piece) -> Outcome[Result]:
        try:
            return Outcome(number, self.function(piece))
        except (UserError, FileNotFoundError) as error:
            # The driver has listed the file.
            if not (is_remote(piece.uri) or Path(piece.uri).exists()):
                return Outcome(number, None, not_found(piece, "executor"))
            if isinstance(error, UserError):
                return Outcome(number, None, str(error))
            raise
        except OSError as error:
            told = storage_error(error)
            if told is None:
                raise
            line = f"{socket.gethostname()}: {told}"
            if not self._is_last_attempt():
                # Another executor may have room.
                raise ExecutorDiskError(line) from error
            return Outcome(number, None, line)

    def _is_last_attempt(self) -> bool:
        from pyspark import TaskContext

        context = TaskContext.get()
        return context is None or context.attemptNumber() + 1 >= self.attempts


@dataclass(frozen=True)
class Fold(Generic[Batch, Result]):
    """Folds a piece."""

    factory: Callable[[], Accumulator[Batch, Result]]
    read: Read[Batch]

    def __call__(self, piece: Piece) -> Accumulator[Batch, Result]:
        """Return an accumulator that has seen the piece."""
        accumulator = self.factory()
        for batch in self.read(piece):
            accumulator.add(batch)
        return accumulator


@dataclass(frozen=True)
class FoldTask(Generic[Batch, Result]):
    """Folds a run of pieces to one state.

    Attributes:
        fold: Folds each piece.
        span: The number of pieces of a run.
    """

    fold: PieceTask[Accumulator[Batch, Result]]
    span: int

    def __call__(self, partition: Iterable[Run]) -> Iterator[Outcome[bytes]]:
        """Yield the state, or the first error, with the number of the run."""
        tree = MergeTree[Batch, Result]()
        number = 0
        for outcome in self.fold(partition):
            number = outcome.number // self.span
            if outcome.result is None:
                yield Outcome(number, None, outcome.error)
                return
            tree.add(outcome.result)
        total = tree.total()
        if total is not None:
            yield Outcome(number, total.state())


def keyed(outcomes: Iterable[Outcome[bytes]]) -> Iterator[Keyed]:
    """Yield states with the number of the task that merges them."""
    for outcome in outcomes:
        yield outcome.number // STATES_PER_TASK, outcome


@dataclass(frozen=True)
class Merge(Generic[Batch, Result]):
    """Merges the states of a partition, in the order of their numbers."""

    factory: Callable[[], Accumulator[Batch, Result]]

    def __call__(self, partition: Iterable[Keyed]) -> Iterator[Outcome[bytes]]:
        """Yield one state, numbered as the merging task is, or the first error."""
        _prepare_process()
        found = sorted(partition, key=lambda each: each[1].number)
        if not found:
            return
        number = found[0][0]
        for _, outcome in found:
            if outcome.error:
                yield Outcome(number, None, outcome.error)
                return
        tree = MergeTree[Batch, Result]()
        for _, outcome in found:
            if outcome.result is None:
                raise ValueError(f"run {outcome.number} has neither a state nor an error")
            tree.add(self.factory().from_state(outcome.result))
        total = tree.total()
        if total is not None:
            yield Outcome(number, total.state())


def merging_task(key: int) -> int:
    """Return the partition of a state: the number of the task that merges it."""
    return key


def _prepare_process() -> None:
    import pyarrow as pa

    # Each core of an executor has a Python process of its own.
    pa.set_cpu_count(1)
    _freeze(len(sys.modules))


@cache
def _freeze(modules: int) -> None:  # noqa: ARG001 - once for each number
    """Leave what modules hold out of the garbage collection that pyspark does after each task."""
    gc.collect()
    gc.freeze()
