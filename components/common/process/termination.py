"""An orderly end: Kubernetes and the local runner tell a task to stop with SIGTERM."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TERMINATED_EXIT_CODE = 128 + signal.SIGTERM
"""What a process that was told to stop exits with, as a shell has it; its work is saved."""


@contextmanager
def termination() -> Iterator[threading.Event]:
    """Turns SIGTERM into an event for the duration of the block.

    Yields:
        The event. Signal handlers belong to the main thread; elsewhere it is never set.
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
    """Has SIGTERM end a command as ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - its interface
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
