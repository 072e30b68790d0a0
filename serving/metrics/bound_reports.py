"""Reports that a bound was reached: a metric each time, a line in the log once a minute."""

import logging
import threading
import time
from collections.abc import Callable

_logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 60.0


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
        self._clock = clock
        self._lock = threading.Lock()
        self._logged: dict[str, float] = {}
        self._unlogged: dict[str, int] = {}

    def reached(self, bound: str, text: str) -> None:
        """Report that a bound was reached.

        Args:
            bound: Its name, as the metric's label.
            text: What happened, and the flag that sets the bound. Logged if the last line about
                this bound is a minute old.
        """
        self._count(bound)
        with self._lock:
            now = self._clock()
            times = self._unlogged.get(bound, 0) + 1
            last = self._logged.get(bound)
            if last is not None and now - last < _SECONDS_BETWEEN_LINES:
                self._unlogged[bound] = times
                return
            self._logged[bound], self._unlogged[bound] = now, 0
        _logger.warning("%s; %d since the last line like this", text, times)
