"""What an engine offers: folds and maps over pieces."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from kfp_tabular.components.common.processing.accumulator import Accumulator
from kfp_tabular.components.common.processing.pieces import Piece

Batch = TypeVar("Batch")
Result = TypeVar("Result")

Read = Callable[[Piece], Iterable[Batch]]
"""Reads a piece as batches."""


class Engine(Protocol):
    """Runs folds and maps over pieces."""

    def fold(
        self,
        pieces: Sequence[Piece],
        factory: Callable[[], Accumulator[Batch, Result]],
        read: Read[Batch],
        what: str = "",
    ) -> Result:
        """Return the result over all pieces.

        Args:
            pieces: The pieces, in order; they are merged in this order.
            factory: Makes an empty accumulator. Called for each piece, in any thread or process.
            read: Reads a piece. Called in any thread or process.
            what: What is done, for messages of progress, such as "statistics of train"; empty for
                no messages.

        Raises:
            UserError: As `read` or the accumulator raised it; nothing else is started then.
        """

    def map(
        self, pieces: Sequence[Piece], function: Callable[[Piece], Result], what: str = ""
    ) -> Iterator[tuple[Piece, Result]]:
        """Yield each piece with what a function made of it, in order.

        Args:
            pieces: The pieces, in order.
            function: Called once for each piece, in any thread or process.
            what: As in `fold`.

        Raises:
            UserError: As the function raised it; nothing else is started then.
        """
