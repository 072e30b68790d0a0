"""SIGTERM, for a task that has work elsewhere."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE


@contextmanager
def ends_block() -> Iterator[None]:
    """Leave the block on SIGTERM, unless the process handles that already.

    Raises:
        SystemExit: The signal came.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    is_ending = False

    def end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - its interface
        nonlocal is_ending
        is_ending = True
        raise SystemExit(TERMINATED_EXIT_CODE)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    except Exception:
        # A library may make an error of its own of it, as Beam does.
        if is_ending:
            raise SystemExit(TERMINATED_EXIT_CODE) from None
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
