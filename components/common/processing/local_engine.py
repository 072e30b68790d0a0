"""The engine for one machine: threads.

Arrow, numpy and TensorFlow release the interpreter's lock, so threads run in parallel and share
what is large. Pieces are merged in their order, one at a time and in the calling thread, so the
same pieces give the same result to the last bit, with any number of threads.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from kfp_tabular.components.common.processing.accumulator import Accumulator
from kfp_tabular.components.common.processing.engine import Batch, Read, Result
from kfp_tabular.components.common.processing.ordered_threads import Window, threads
from kfp_tabular.components.common.processing.pieces import Piece, amount, progress

_SECONDS_BETWEEN_MESSAGES = 10.0

_logger = logging.getLogger(__name__)


class LocalEngine:
    """Runs folds and maps in threads of this process.

    Memory is bounded: there are at most as many accumulators, or results that wait, as threads,
    and one more.

    Args:
        threads: The number of threads; 0 for one per processor, at most eight.

    Example:
        >>> pieces = [Piece("a.csv", "bytes", 0, 10), Piece("a.csv", "bytes", 10, 25)]
        >>> [size for _, size in LocalEngine().map(pieces, lambda piece: piece.stop - piece.start)]
        [10, 15]
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads

    def fold(
        self,
        pieces: Sequence[Piece],
        factory: Callable[[], Accumulator[Batch, Result]],
        read: Read[Batch],
        what: str = "",
    ) -> Result:
        """Return the result over all pieces; see `Engine`."""
        stopped = threading.Event()

        def folded(piece: Piece) -> Accumulator[Batch, Result]:
            accumulator = factory()
            for batch in read(piece):
                # Another piece failed, or the task was told to end.
                if stopped.is_set():
                    break
                accumulator.add(batch)
            return accumulator

        total: Accumulator[Batch, Result] | None = None
        for _, part in self._run(pieces, folded, what, stopped):
            if total is None:
                total = part
            else:
                total.merge(part)
        return (factory() if total is None else total).result()

    def map(
        self, pieces: Sequence[Piece], function: Callable[[Piece], Result], what: str = ""
    ) -> Iterator[tuple[Piece, Result]]:
        """Yield each piece with what a function made of it, in order; see `Engine`."""
        return self._run(pieces, function, what, threading.Event())

    def _run(
        self,
        pieces: Sequence[Piece],
        function: Callable[[Piece], Result],
        what: str,
        stopped: threading.Event,
    ) -> Iterator[tuple[Piece, Result]]:
        count = min(self._threads or threads(), max(len(pieces), 1))
        started = said = time.monotonic()
        done = 0
        with Window[Piece, Result](count, ahead=count) as window:
            try:
                for piece, result in window.map(function, pieces):
                    yield piece, result
                    done += 1
                    now = time.monotonic()
                    if what and now - said > _SECONDS_BETWEEN_MESSAGES:
                        said = now
                        told = progress(pieces[:done], pieces)
                        _logger.info("%s: %s in %.0f s", what, told, now - started)
            finally:
                stopped.set()
        if what:
            seconds = time.monotonic() - started
            _logger.info("%s: %s in %.1f s", what, amount(pieces), seconds)
