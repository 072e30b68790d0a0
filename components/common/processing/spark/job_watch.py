"""Follows a job of Spark: tells of progress, and ends it at the first bad input."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kfp_tabular.components.common.processing.pieces import Piece, amount, progress
from kfp_tabular.components.common.processing.spark.executor_tasks import Event

if TYPE_CHECKING:
    from pyspark import Accumulator, SparkContext

_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_BETWEEN_MESSAGES = 10.0

_logger = logging.getLogger(__name__)


class JobWatch:
    """Follows the pieces of a job by what executors report when a task ends.

    Args:
        context: Runs the job.
        pieces: The pieces, in order.
        what: What is done, for messages; empty for none.

    Attributes:
        events: What the executors report to.
    """

    def __init__(self, context: "SparkContext", pieces: Sequence[Piece], what: str) -> None:
        self.events: Accumulator[list[Event]] = context.accumulator([], _EventsParam())
        self._context = context
        self._pieces = pieces
        self._what = what

    def error(self) -> str:
        """Return the error of the first piece that has one; empty for none."""
        failed = [event for event in list(self.events.value) if event.error]
        return min(failed, key=lambda event: event.number).error if failed else ""

    @contextmanager
    def following(self, group: str) -> Iterator[None]:
        """Follow the jobs of a group that run in the block; cancel them where it is left early."""
        ended = threading.Event()
        thread = threading.Thread(target=self._follow, args=(group, ended), daemon=True)
        started = time.monotonic()
        thread.start()
        try:
            yield
        except BaseException:
            self._context.cancelJobGroup(group)
            raise
        finally:
            ended.set()
            thread.join()
        if self._what:
            seconds = time.monotonic() - started
            _logger.info("%s: %s in %.1f s", self._what, amount(self._pieces), seconds)

    def _follow(self, group: str, ended: threading.Event) -> None:
        started = said = time.monotonic()
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            events = {event.number: event for event in list(self.events.value)}
            if _is_decided(events):
                self._context.cancelJobGroup(group)
                return
            now = time.monotonic()
            if self._what and now - said > _SECONDS_BETWEEN_MESSAGES:
                said = now
                told = progress([self._pieces[number] for number in events], self._pieces)
                _logger.info("%s: %s in %.0f s", self._what, told, now - started)


def _is_decided(events: dict[int, Event]) -> bool:
    """Whether a piece has failed and those before it are done: its error is the first in order."""
    failed = [number for number, event in events.items() if event.error]
    return bool(failed) and all(number in events for number in range(min(failed)))


class _EventsParam:
    """How Spark adds up what executors report; an `AccumulatorParam` of pyspark."""

    def zero(self, value: list[Event]) -> list[Event]:  # noqa: ARG002 - pyspark's interface
        """Return nothing, which a task begins with."""
        return []

    def addInPlace(self, value1: list[Event], value2: list[Event]) -> list[Event]:  # noqa: N802
        """Return both."""
        value1 += value2
        return value1
