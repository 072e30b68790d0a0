"""The engine that runs each fold and map as a pipeline on a runner of Beam.

States are merged on the workers, `FAN_IN` at a time in the order of the pieces, so the driver gets
one, and the same pieces give the same bytes on any runner.
"""

import logging
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast
from uuid import uuid4

import apache_beam as beam

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.processing.accumulator import Accumulator
from kfp_tabular.components.common.processing.beam import exchange, installation
from kfp_tabular.components.common.processing.beam.worker_tasks import (
    FAN_IN,
    PIECES_PER_READ,
    Fold,
    Gather,
    Merge,
    PieceTask,
    ReadPieces,
    WriteResult,
    listed,
    next_group,
)
from kfp_tabular.components.common.processing.engine import Batch, Read, Result
from kfp_tabular.components.common.processing.outcomes import Outcome
from kfp_tabular.components.common.processing.pieces import Piece, total_rows
from kfp_tabular.components.common.processing.processing_settings import BeamSettings

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
        steps = 1
        while FAN_IN**steps < len(pieces):
            steps += 1
        state = self._run(pieces, Fold(factory, read), FAN_IN, steps, Merge(factory), what)
        return factory().from_state(cast(bytes, state)).result()

    def map(
        self, pieces: Sequence[Piece], function: Callable[[Piece], Result], what: str = ""
    ) -> Iterator[tuple[Piece, Result]]:
        """Yield each piece with what a function made of it, in order; see `Engine`."""
        if not pieces:
            return
        results = self._run(pieces, function, len(pieces), 1, listed, what)
        yield from zip(pieces, cast(list[Result], results), strict=True)

    def _run(
        self,
        pieces: Sequence[Piece],
        function: Callable[[Piece], Any],
        fan_in: int,
        steps: int,
        finish: Callable[[list[Outcome[Any]]], Outcome[Any]],
        what: str,
    ) -> Any:
        """Run a pipeline that gathers outcomes in some steps, and return what it wrote.

        Raises:
            UserError: For the first piece whose input is bad.
        """
        started = time.monotonic()
        options = installation.options(self._settings, f"{self._name}-{uuid4().hex[:12]}")
        with exchange.opened(self._settings.temp_location) as folder:
            folder.write_pieces(pieces)
            pipeline = beam.Pipeline(runner=installation.runner(self._settings), options=options)
            outcomes = (
                pipeline
                | "Numbers"
                >> beam.Create(list(range(0, len(pieces), PIECES_PER_READ)), reshuffle=False)
                | "Pieces" >> beam.FlatMap(ReadPieces(folder))
                | "Spread" >> beam.Reshuffle()
                | "Process" >> beam.FlatMap(PieceTask(function, folder, fan_in))
            )
            for step in range(steps):
                if step:
                    outcomes |= f"Group{step}" >> beam.Map(next_group)
                outcomes |= f"Gather{step}" >> beam.CombinePerKey(Gather(finish))
            _ = outcomes | "Write" >> beam.Map(WriteResult(folder))
            _wait(pipeline)
            # Only this task's own workers write there.
            outcome: Outcome[Any] = pickle.loads(folder.read_result())  # noqa: S301
        if outcome.error:
            raise UserError(outcome.error)
        if what:
            seconds = time.monotonic() - started
            _logger.info("%s: %d rows in %.1f s", what, total_rows(pieces), seconds)
        return outcome.result


def _wait(pipeline: beam.Pipeline) -> None:
    """Run a pipeline to its end; cancel it where this is left early."""
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
