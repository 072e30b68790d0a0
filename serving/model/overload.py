"""The rejection of requests beyond a bound over all of them."""

from typing import Literal

RETRY_AFTER_SECONDS = 1
"""The smallest value that the header allows. A full queue empties faster."""

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
