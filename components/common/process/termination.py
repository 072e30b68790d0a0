"""SIGTERM, with which Kubernetes and the local runner tell a task to stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED_EXIT_CODE = 128 + signal.SIGTERM
"""The exit code after SIGTERM, as shells report it. The process has saved its work."""


@contextmanager
def termination() -> Iterator[threading.Event]:
    """Set an event on SIGTERM, for the duration of the block.

    Yields:
        The event. Signal handlers run in the main thread; in other threads it is never set.

    Example:
        >>> import os
        >>> with termination() as terminated:
        ...     os.kill(os.getpid(), signal.SIGTERM)
        ...     terminated.wait(5)
        True
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def ask_to_end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - its interface
        event.set()

    before = signal.signal(signal.SIGTERM, ask_to_end)
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, before)


def interrupt_on_termination() -> None:
    """Raise `KeyboardInterrupt` on SIGTERM, so that it ends a command as ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - its interface
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
