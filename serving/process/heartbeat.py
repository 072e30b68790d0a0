"""Signs of life: each worker's event loop writes to a pipe once a second, the supervisor reads it.

A pipe, not a file: it cannot be full, removed or read-only, and needs no clock that two processes
share.
"""

import asyncio
import contextlib
import os

BEAT_SECONDS = 1.0


async def beat(descriptor: int) -> None:
    """Write a sign of life every second until cancelled.

    Args:
        descriptor: The writing end of the pipe, not blocking.
    """
    while True:
        # A supervisor that does not read is stopped itself; nothing is lost.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(descriptor, b".")
        await asyncio.sleep(BEAT_SECONDS)


class Pulse:
    """The signs of life of one worker, as the supervisor sees them.

    Only time in which this process itself ran counts: when a whole container was frozen, or when
    the machine is so busy that this process had to wait, workers have not had their turn either.

    Attributes:
        worker_end: The writing end, which the worker inherits.
        began: Whether there was any sign of life: then the worker serves.
        silent_seconds: How long there has been none since.
    """

    def __init__(self) -> None:
        self._own_end, self.worker_end = os.pipe()
        os.set_blocking(self._own_end, False)
        os.set_blocking(self.worker_end, False)
        self.began = False
        self.silent_seconds = 0.0

    def close_worker_end(self) -> None:
        """Close the writing end here, once the worker has it."""
        os.close(self.worker_end)

    def close(self) -> None:
        """Close the reading end, once the worker has ended."""
        os.close(self._own_end)

    def observe(self, seconds: float, *, stopped: bool) -> None:
        """Read what has come, and count the time without a sign.

        Args:
            seconds: The time that this process has waited since the last call.
            stopped: Whether a signal has stopped the worker. Before its first sign of life, when
                it imports libraries and loads the model, only this counts as silence.
        """
        with contextlib.suppress(BlockingIOError):
            if os.read(self._own_end, 4096):
                self.began = True
                self.silent_seconds = 0.0
                return
        if self.began or stopped:
            self.silent_seconds += seconds
        else:
            self.silent_seconds = 0.0
