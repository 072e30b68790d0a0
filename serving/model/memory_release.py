"""Gives memory that large requests have used back to the system."""

import ctypes
from collections.abc import Callable


def release_memory() -> None:
    """Give free memory back to the system.

    glibc keeps what was freed between blocks that are still in use; after bodies of 32 MiB that can
    be a hundred MiB for as long as the process lives. Trimming takes some milliseconds and does not
    hold Python's lock. Does nothing on systems without `malloc_trim`.
    """
    if _trim is not None:
        _trim(0)


def _find_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
    return trim


_trim = _find_trim()
