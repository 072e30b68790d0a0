"""What the executors run: folds a piece to a state, merges states, applies a function to a piece.

Objects of these classes travel to the executors. Bad input comes back as a result, because Spark
would try a task that fails again.
"""

import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic

from kfp_tabular.components.common.errors import UserError, storage_error
from kfp_tabular.components.common.processing.accumulator import Accumulator
from kfp_tabular.components.common.processing.engine import Batch, Read, Result
from kfp_tabular.components.common.processing.outcomes import Outcome, not_found
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import is_remote

if TYPE_CHECKING:
    from pyspark import Accumulator as SparkAccumulator

FAN_IN = 8
"""So many states are merged by one task, in the order of their pieces."""

Numbered = tuple[int, str]
"""The number of a piece, and the piece as JSON."""


@dataclass(frozen=True)
class Event:
    """A piece that an executor is done with.

    Attributes:
        number: The number of the piece.
        rows: Its rows.
        error: The message of the user error that it ended with; empty for none.
    """

    number: int
    rows: int
    error: str = ""


Keyed = tuple[int, Outcome[bytes]]
"""A state, and the number of the task that merges it."""


@dataclass(frozen=True)
class PieceTask(Generic[Result]):
    """Applies a function to the pieces of a partition.

    Attributes:
        function: Makes a result of a piece.
        events: Tells the driver of pieces that are done.
        attempts: How often Spark tries a piece.
    """

    function: Callable[[Piece], Result]
    events: "SparkAccumulator[list[Event]]"
    attempts: int

    def __call__(self, partition: Iterable[Numbered]) -> Iterator[Outcome[Result]]:
        """Yield the outcome of each piece."""
        _use_one_thread()
        for number, text in partition:
            piece = Piece.from_json(text)
            outcome = self._outcome(number, piece)
            self.events.add([Event(number, piece.rows, outcome.error)])
            yield outcome

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
            # Another executor may have room.
            told = storage_error(error)
            if told is None or not self._is_last_attempt():
                raise
            return Outcome(number, None, f"{socket.gethostname()}: {told}")

    def _is_last_attempt(self) -> bool:
        from pyspark import TaskContext

        context = TaskContext.get()
        return context is None or context.attemptNumber() + 1 >= self.attempts


@dataclass(frozen=True)
class Fold(Generic[Batch, Result]):
    """Folds a piece to a state."""

    factory: Callable[[], Accumulator[Batch, Result]]
    read: Read[Batch]

    def __call__(self, piece: Piece) -> bytes:
        """Return the state of the piece."""
        accumulator = self.factory()
        for batch in self.read(piece):
            accumulator.add(batch)
        return accumulator.state()


def keyed(outcomes: Iterable[Outcome[bytes]]) -> Iterator[Keyed]:
    """Yield states with the number of the task that merges them."""
    for outcome in outcomes:
        yield outcome.number // FAN_IN, outcome


@dataclass(frozen=True)
class Merge(Generic[Batch, Result]):
    """Merges the states of a partition, in the order of their numbers.

    The order is fixed, so the same pieces give the same bytes whatever the cluster.
    """

    factory: Callable[[], Accumulator[Batch, Result]]

    def __call__(self, partition: Iterable[Keyed]) -> Iterator[Outcome[bytes]]:
        """Yield one state, numbered as the merging task is, or the first error."""
        _use_one_thread()
        found = sorted(partition, key=lambda each: each[1].number)
        if not found:
            return
        number = found[0][0]
        for _, outcome in found:
            if outcome.error:
                yield Outcome(number, None, outcome.error)
                return
        total: Accumulator[Batch, Result] | None = None
        for _, outcome in found:
            if outcome.result is None:
                raise ValueError(f"piece {outcome.number} has neither a state nor an error")
            part = self.factory().from_state(outcome.result)
            if total is None:
                total = part
            else:
                total.merge(part)
        if total is not None:
            yield Outcome(number, total.state())


def merging_task(key: int) -> int:
    """Return the partition of a state: the number of the task that merges it."""
    return key


def _use_one_thread() -> None:
    import pyarrow as pa

    # Each core of an executor has a Python process of its own.
    pa.set_cpu_count(1)
