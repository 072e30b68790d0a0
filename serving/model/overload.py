"""What a server does with requests beyond its bounds: it rejects them, and says so."""

import logging
import time
from typing import Literal

RETRY_AFTER_SECONDS = 1
"""The smallest value that the header allows. A full queue empties faster."""

_SECONDS_BETWEEN_LINES = 60.0

_logger = logging.getLogger(__name__)

Bound = Literal["rows", "bytes"]
"""`rows` that wait for the model; `bytes` of bodies and responses that are in memory."""


class OverloadedError(Exception):
    """A bound over all requests is reached. The response is 503, RESOURCE_EXHAUSTED in gRPC.

    Args:
        bound: The bound.

    Attributes:
        bound: The bound.
        retry_after_seconds: For `Retry-After`, and `retry-after` in gRPC's trailing metadata.
    """

    def __init__(self, bound: Bound = "rows") -> None:
        super().__init__("the server is overloaded; try again later.")
        self.bound: Bound = bound
        self.retry_after_seconds = RETRY_AFTER_SECONDS


class OverloadLog:
    """Logs that requests are rejected: once a minute, with the number since the last line.

    Args:
        text: What is full and which option changes it.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._rejected = 0
        self._next_at = 0.0

    def count(self) -> None:
        """Count a rejected request."""
        self._rejected += 1
        now = time.monotonic()
        if now >= self._next_at:
            _logger.warning("%s; %d rejected", self._text, self._rejected)
            self._rejected, self._next_at = 0, now + _SECONDS_BETWEEN_LINES
