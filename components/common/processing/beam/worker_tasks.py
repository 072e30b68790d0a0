"""What the workers run: fold a piece to a state, merge states, apply a function to a piece.

Objects of these classes are part of the pipeline's graph. Bad input comes back as a result, because
runners try a bundle that fails again. It is noted in the exchange, too: workers start no piece
after it, and those before it are done, so the error is the one that one machine raises.
"""

import pickle
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam

from kfp_tabular.components.common.errors import UserError, storage_error
from kfp_tabular.components.common.processing.accumulator import Accumulator
from kfp_tabular.components.common.processing.beam.exchange import Exchange
from kfp_tabular.components.common.processing.engine import Read
from kfp_tabular.components.common.processing.outcomes import Outcome, not_found
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import is_remote

FAN_IN = 8
"""So many states are merged at a time, in the order of their pieces."""

PIECES_PER_READ = 256

Keyed = tuple[int, Outcome[Any]]
"""An outcome, and the number of the group that it is gathered in."""


@dataclass(frozen=True)
class ReadPieces:
    """Reads pieces from the exchange, some at a time."""

    exchange: Exchange

    def __call__(self, first: int) -> Iterator[tuple[int, str]]:
        """Yield pieces with their numbers, from a number on."""
        pieces = self.exchange.read_pieces()
        for number in range(first, min(first + PIECES_PER_READ, len(pieces))):
            yield number, pieces[number].to_json()


@dataclass(frozen=True)
class PieceTask:
    """Applies a function to pieces.

    Attributes:
        function: Makes a result of a piece.
        exchange: Where bad pieces are noted.
        fan_in: So many outcomes are gathered in a group.
    """

    function: Callable[[Piece], Any]
    exchange: Exchange
    fan_in: int = FAN_IN

    def __call__(self, numbered: tuple[int, str]) -> Iterator[Keyed]:
        """Yield the outcome of a piece, unless one before it is bad."""
        number, text = numbered
        if self.exchange.is_bad_before(number):
            return
        outcome = self._outcome(number, Piece.from_json(text))
        if outcome.error:
            self.exchange.note_error(number)
        yield number // self.fan_in, outcome

    def _outcome(self, number: int, piece: Piece) -> Outcome[Any]:
        try:
            return Outcome(number, self.function(piece))
        except (UserError, FileNotFoundError) as error:
            # The driver has listed the file.
            if not (is_remote(piece.uri) or Path(piece.uri).exists()):
                return Outcome(number, None, not_found(piece, "worker"))
            if isinstance(error, UserError):
                return Outcome(number, None, str(error))
            raise
        except OSError as error:
            told = storage_error(error)
            if told is None:
                raise
            return Outcome(number, None, f"{socket.gethostname()}: {told}")


class Gather(beam.CombineFn):  # type: ignore[misc] # Beam has no types here
    """Collects the outcomes of a group, and finishes them once, in the order of their numbers.

    Beam merges in any order; an outcome's number decides instead, so results are the same on any
    runner.

    Args:
        finish: Makes one outcome of those of a group.
    """

    def __init__(self, finish: Callable[[list[Outcome[Any]]], Outcome[Any]]) -> None:
        self._finish = finish

    def create_accumulator(self) -> list[Outcome[Any]]:
        """Return no outcomes."""
        return []

    def add_input(
        self, mutable_accumulator: list[Outcome[Any]], element: Outcome[Any]
    ) -> list[Outcome[Any]]:
        """Add an outcome."""
        return [*mutable_accumulator, element]

    def merge_accumulators(self, accumulators: Iterable[list[Outcome[Any]]]) -> list[Outcome[Any]]:
        """Return the outcomes of all."""
        return [outcome for accumulator in accumulators for outcome in accumulator]

    def extract_output(self, accumulator: list[Outcome[Any]]) -> Outcome[Any]:
        """Return the first error, or what the outcomes make together."""
        found = sorted(accumulator, key=lambda outcome: outcome.number)
        failed = [outcome for outcome in found if outcome.error]
        return failed[0] if failed else self._finish(found)


@dataclass(frozen=True)
class Fold:
    """Folds a piece to a state."""

    factory: Callable[[], Accumulator[Any, Any]]
    read: Read[Any]

    def __call__(self, piece: Piece) -> bytes:
        """Return the state of the piece."""
        accumulator = self.factory()
        for batch in self.read(piece):
            accumulator.add(batch)
        return accumulator.state()


@dataclass(frozen=True)
class Merge:
    """Merges states in order."""

    factory: Callable[[], Accumulator[Any, Any]]

    def __call__(self, outcomes: list[Outcome[Any]]) -> Outcome[Any]:
        """Return one state."""
        total = self.factory().from_state(_state(outcomes[0]))
        for outcome in outcomes[1:]:
            total.merge(self.factory().from_state(_state(outcome)))
        return Outcome(outcomes[0].number, total.state())


def _state(outcome: Outcome[Any]) -> bytes:
    if not isinstance(outcome.result, bytes):
        raise TypeError(f"piece {outcome.number} has neither a state nor an error")
    return outcome.result


def listed(outcomes: list[Outcome[Any]]) -> Outcome[Any]:
    """Return the results of a map, in order."""
    return Outcome(0, [outcome.result for outcome in outcomes])


def next_group(keyed: Keyed) -> Keyed:
    """Return the outcome of a group with the group that it belongs to in the next step."""
    group, outcome = keyed
    return group // FAN_IN, outcome


@dataclass(frozen=True)
class WriteResult:
    """Writes what the pipeline made to the exchange."""

    exchange: Exchange

    def __call__(self, keyed: Keyed) -> None:
        """Write the last outcome."""
        self.exchange.write_result(pickle.dumps(keyed[1]))
