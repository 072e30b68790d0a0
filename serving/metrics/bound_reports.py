"""Reports that a bound was reached: a metric each time, a line in the log once a minute."""

import logging
import threading
import time
from collections.abc import Callable

from kfp_tabular.serving.metrics.instruments import BOUNDS

_logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 60.0

Report = Callable[[str, str], None]
"""Counts and logs that a bound was reached: its name as a metric's label, and a sentence."""


class RepeatedWarning:
    """A line in the log for what may happen thousands of times a second: one a minute.

    Any thread may use it.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._times = 0
        self._next_at = float("-inf")

    def log(self, text: str, times: int = 1) -> None:
        """Count, and log if the last line is a minute old.

        Args:
            text: What happened, and the flag that decides it.
            times: How often.
        """
        with self._lock:
            self._times += times
            now = self._clock()
            if now < self._next_at:
                return
            counted, self._times = self._times, 0
            self._next_at = now + _SECONDS_BETWEEN_LINES
        _logger.warning("%s; %d since the last line like this", text, counted)


class BoundReports:
    """Counts and logs what the server closed or refused. `reached` may be called by any thread.

    An attack reaches a bound thousands of times a second, and the log must not be its next victim.

    Args:
        count: Called with the bound's name each time; `Metrics.count_bound`.
        clock: Returns the time in seconds.
    """

    def __init__(
        self, count: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._warnings = {bound: RepeatedWarning(clock) for bound in BOUNDS}

    def reached(self, bound: str, text: str) -> None:
        """Report that a bound was reached.

        Args:
            bound: One of `BOUNDS`.
            text: What happened, and the flag that sets the bound.
        """
        self._count(bound)
        self._warnings[bound].log(text)
