"""SIGTERM, for a task that has work elsewhere."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE


@contextmanager
def ends_block() -> Iterator[None]:
    """Leave the block on SIGTERM, unless the process handles that already."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - its interface
        raise SystemExit(TERMINATED_EXIT_CODE)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
