"""What the workers run: fold a piece to a state, merge states, apply a function to a piece.

Objects of these classes are part of the pipeline's graph; between its steps, only numbers, bytes
and texts travel. Bad input comes back as a result, because runners try a bundle that fails again.
It is noted in the exchange, too: workers start no piece after it, and those before it are done, so
the error is the one that one machine raises.
"""

import contextlib
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from kfp_tabular.components.common.errors import UserError, storage_error
from kfp_tabular.components.common.processing import results
from kfp_tabular.components.common.processing.accumulator import Accumulator
from kfp_tabular.components.common.processing.beam.exchange import Exchange
from kfp_tabular.components.common.processing.engine import Batch, Read
from kfp_tabular.components.common.processing.merge_tree import MergeTree
from kfp_tabular.components.common.processing.outcomes import not_found
from kfp_tabular.components.common.processing.pieces import Piece
from kfp_tabular.components.common.storage import is_remote

STATES_PER_GROUP = 16
"""So many states are merged at a time, in the order of their pieces; a power of the fan-in of
`MergeTree`."""

PIECES_PER_READ = 256

Item = TypeVar("Item")

Part = tuple[int, bytes, str]
"""What became of a piece, or of pieces together: the number, the result, and the message of a user
error in its place; empty for none."""

Keyed = tuple[int, Part]
"""A part, and the number of the group that it is gathered in."""


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
    """Makes parts of pieces.

    Attributes:
        function: Makes the bytes of a piece's result.
        exchange: Where it is noted what is done.
        fan_in: So many parts are gathered in a group.
    """

    function: Callable[[Piece], bytes]
    exchange: Exchange
    fan_in: int = STATES_PER_GROUP

    def __call__(self, numbered: tuple[int, str]) -> Iterator[Keyed]:
        """Yield the part of a piece, unless it is not of use any more."""
        number, text = numbered
        if not self.exchange.starts(number):
            return
        part = self._part(number, Piece.from_json(text))
        try:
            if part[2]:
                self.exchange.note_error(number, part[2])
            else:
                self.exchange.note_done(number)
        except FileNotFoundError:
            # The driver does not wait any more.
            return
        yield number // self.fan_in, part

    def _part(self, number: int, piece: Piece) -> Part:
        try:
            return number, self.function(piece), ""
        except (UserError, FileNotFoundError) as error:
            # The driver has listed the file.
            if not (is_remote(piece.uri) or Path(piece.uri).exists()):
                return number, b"", not_found(piece, "worker")
            if isinstance(error, UserError):
                return number, b"", str(error)
            raise
        except OSError as error:
            told = storage_error(error)
            if told is None:
                raise
            return number, b"", f"{socket.gethostname()}: {told}"


@dataclass(frozen=True)
class NotingErrors(Generic[Item, Batch]):
    """Reads items in a pipeline that is not ours, and notes why one cannot be read.

    Attributes:
        read: Reads an item.
        exchange: The folder of the pipeline.
    """

    read: Callable[[Item], Iterable[Batch]]
    exchange: Exchange

    def __call__(self, numbered: tuple[int, Item]) -> Iterator[Batch]:
        """Yield the batches of an item.

        Raises:
            UserError: As it was raised; it is noted with the item's number.
        """
        number, item = numbered
        try:
            yield from self.read(item)
        except UserError as error:
            # The driver may have removed the folder.
            with contextlib.suppress(FileNotFoundError):
                self.exchange.note_error(number, str(error))
            raise


@dataclass(frozen=True)
class Map:
    """Applies a function to a piece."""

    function: Callable[[Piece], Any]

    def __call__(self, piece: Piece) -> bytes:
        """Return the function's result as bytes."""
        return results.pack(self.function, self.function(piece))


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


def in_order(keyed: tuple[int, Iterable[Part]]) -> tuple[int, list[Part]]:
    """Return the parts of a group in the order of their numbers, or of several errors the first.

    Runners group in any order; a part's number decides, so results are the same on all.
    """
    group, parts = keyed
    found = sorted(parts, key=lambda part: part[0])
    failed = [part for part in found if part[2]]
    return group, failed[:1] or found


@dataclass(frozen=True)
class Merge:
    """Merges the states of a group in order."""

    factory: Callable[[], Accumulator[Any, Any]]

    def __call__(self, keyed: tuple[int, list[Part]]) -> Keyed:
        """Return one part, with the group that it belongs to in the next step."""
        group, parts = keyed
        return group // STATES_PER_GROUP, self.merged(parts)

    def merged(self, parts: list[Part]) -> Part:
        """Return one part."""
        number, state, error = parts[0]
        if len(parts) > 1:
            tree = MergeTree[Any, Any]()
            for _, part, _ in parts:
                tree.add(self.factory().from_state(part))
            total = tree.total()
            state = state if total is None else total.state()
        return number, state, error


@dataclass(frozen=True)
class WriteResult:
    """Writes what the pipeline made to the exchange.

    Attributes:
        exchange: Where to write it.
        merge: Makes one of the last group's parts; None where all are wanted.
    """

    exchange: Exchange
    merge: Merge | None

    def __call__(self, keyed: tuple[int, list[Part]]) -> None:
        """Write the parts of the last group."""
        parts = keyed[1] if self.merge is None else [self.merge.merged(keyed[1])]
        # The driver may not wait any more.
        with contextlib.suppress(FileNotFoundError):
            self.exchange.write_result(parts[0][2], [part for _, part, _ in parts])
