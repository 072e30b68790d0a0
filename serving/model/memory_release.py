"""Gives memory that large requests have used back to the system."""

import ctypes
import time
from collections.abc import Callable

_SECONDS_BETWEEN = 1.0

_next_at = 0.0


def release_memory() -> None:
    """Give free memory back to the system, at most once a second.

    glibc keeps what was freed between blocks that are still in use; after a body of 32 MiB that can
    be a hundred MiB for as long as the process lives. Trimming takes some milliseconds and does not
    hold Python's lock. Does nothing on systems without `malloc_trim`.
    """
    global _next_at  # noqa: PLW0603  one process, one heap
    now = time.monotonic()
    if _trim is not None and now >= _next_at:
        _trim(0)
        _next_at = time.monotonic() + _SECONDS_BETWEEN


def _find_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return trim


_trim = _find_trim()
