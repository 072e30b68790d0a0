"""The engine that runs each fold and map as a pipeline on a runner of Beam.

States are merged on the workers, in the order of the pieces and in the shape of a `MergeTree`, so
the driver gets one, and the same pieces give the same bytes on any runner.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing import results
from kfp_tabular.components.common.processing.accumulator import Accumulator
from kfp_tabular.components.common.processing.beam import exchange, installation
from kfp_tabular.components.common.processing.beam.exchange import Exchange
from kfp_tabular.components.common.processing.beam.worker_tasks import (
    PIECES_PER_READ,
    STATES_PER_GROUP,
    Fold,
    Map,
    Merge,
    PieceTask,
    ReadPieces,
    WriteResult,
    in_order,
)
from kfp_tabular.components.common.processing.engine import Batch, Read, Result
from kfp_tabular.components.common.processing.pieces import Piece, amount, progress
from kfp_tabular.components.common.processing.processing_settings import BeamSettings

if TYPE_CHECKING:
    import apache_beam as beam

_SECONDS_BETWEEN_MESSAGES = 10.0

_logger = logging.getLogger(__name__)


class BeamEngine:
    """Runs folds and maps as pipelines.

    Args:
        settings: The runner and its options.
        name: The first part of the jobs' names: lowercase letters, digits and hyphens.
    """

    def __init__(self, settings: BeamSettings, name: str) -> None:
        self._settings = settings
        self._name = name

    def fold(
        self,
        pieces: Sequence[Piece],
        factory: Callable[[], Accumulator[Batch, Result]],
        read: Read[Batch],
        what: str = "",
    ) -> Result:
        """Return the result over all pieces; see `Engine`."""
        if not pieces:
            return factory().result()
        (state,) = self._run(pieces, Fold(factory, read), Merge(factory), what)
        return factory().from_state(state).result()

    def map(
        self, pieces: Sequence[Piece], function: Callable[[Piece], Result], what: str = ""
    ) -> Iterator[tuple[Piece, Result]]:
        """Yield each piece with what a function made of it, in order; see `Engine`."""
        if not pieces:
            return
        packed = self._run(pieces, Map(function), None, what)
        for piece, result in zip(pieces, packed, strict=True):
            yield piece, results.unpack(function, result)

    @property
    def temp_location(self) -> str:
        """The location that the task and all workers share; empty for this machine."""
        return self._settings.temp_location

    @contextmanager
    def exchange(self) -> Iterator[Exchange]:
        """Make a folder that the task and all workers share, and remove it afterwards."""
        with exchange.opened(self._settings.temp_location) as found:
            yield found

    @contextmanager
    def pipeline(self) -> "Iterator[beam.Pipeline]":
        """Run the pipeline that the block builds; cancel it where this is left early.

        Raises:
            RuntimeError: The pipeline failed.
        """
        import apache_beam as beam

        options = installation.options(self._settings, f"{self._name}-{uuid4().hex[:12]}")
        pipeline = beam.Pipeline(runner=installation.runner(self._settings), options=options)
        yield pipeline
        running = None
        try:
            running = pipeline.run()
            state = running.wait_until_finish()
        except Exception as error:
            raise RuntimeError(f"Beam: {error}") from error
        except BaseException:
            if running is not None:
                running.cancel()
            raise
        if state not in ("DONE", None):
            raise RuntimeError(f"Beam: the job ended as {state}")

    def _run(
        self,
        pieces: Sequence[Piece],
        function: Callable[[Piece], bytes],
        merge: Merge | None,
        what: str,
    ) -> list[bytes]:
        """Run a pipeline over pieces, and return what it wrote: one state, or all results.

        Raises:
            UserError: For the first piece whose input is bad.
        """
        import apache_beam as beam

        started = time.monotonic()
        fan_in = len(pieces) if merge is None else STATES_PER_GROUP
        with exchange.opened(self._settings.temp_location) as folder:
            folder.write_pieces(pieces)
            with _progress(folder, pieces, what), self.pipeline() as pipeline:
                parts = (
                    pipeline
                    | "Numbers"
                    >> beam.Create(list(range(0, len(pieces), PIECES_PER_READ)), reshuffle=False)
                    | "Pieces" >> beam.FlatMap(ReadPieces(folder))
                    | "Spread" >> beam.Reshuffle()
                    | "Process" >> beam.FlatMap(PieceTask(function, folder, fan_in))
                    | "Gather" >> beam.GroupByKey()
                    | "Order" >> beam.Map(in_order)
                )
                groups = -(-len(pieces) // fan_in)
                while merge is not None and groups > 1:
                    parts |= f"Merge{groups}" >> beam.Map(merge)
                    parts |= f"Gather{groups}" >> beam.GroupByKey()
                    parts |= f"Order{groups}" >> beam.Map(in_order)
                    groups = -(-groups // fan_in)
                _ = parts | "Write" >> beam.Map(WriteResult(folder, merge))
            error, found = folder.read_result()
        if error:
            raise UserError(error)
        if what:
            seconds = time.monotonic() - started
            _logger.info("%s: %s in %.1f s", what, amount(pieces), seconds)
        return found


@contextmanager
def _progress(folder: Exchange, pieces: Sequence[Piece], what: str) -> Iterator[None]:
    """Tell from time to time how many rows are done while the block runs."""
    if not what:
        yield
        return
    ended, started = threading.Event(), time.monotonic()

    def follow() -> None:
        while not ended.wait(_SECONDS_BETWEEN_MESSAGES):
            # What fails here fails in the pipeline, too.
            with contextlib.suppress(OSError, UserError):
                told = progress([pieces[number] for number in folder.done()], pieces)
                _logger.info("%s: %s in %.0f s", what, told, time.monotonic() - started)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
