"""The workers of a server: starts them, watches their signs of life, replaces those that end."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE
from kfp_tabular.serving.metrics.sharing import EndReason
from kfp_tabular.serving.process.heartbeat import Pulse

_logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
STABLE_SECONDS = 60.0
"""A worker that ran for this long is restarted at once; others are restarted after a delay."""
MOST_FAILURES = 8
"""When every worker has ended so often in a row before that time, the server ends."""
FAILED_EXIT_CODE = 1
_FIRST_DELAY_SECONDS = 1.0
_LONGEST_DELAY_SECONDS = 30.0
_MOST_SECONDS_PER_POLL = 2 * POLL_SECONDS
"""What one turn counts at most as silence of a worker, however long it took."""


@dataclass
class _Worker:
    """A running worker.

    Attributes:
        process: Its process.
        pulse: Its signs of life.
        started_at: When it was started, in monotonic seconds.
        replaces: The process id of the worker whose place it takes.
        reported: Whether its first sign of life has been logged.
        killed_for: Why the supervisor has killed it; empty if it has not.
    """

    process: subprocess.Popen[bytes]
    pulse: Pulse
    started_at: float
    replaces: int | None
    reported: bool = False
    killed_for: str = ""

    @property
    def is_stopped(self) -> bool:
        """Whether a signal such as SIGSTOP has stopped the process."""
        options = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.process.pid, options) is not None
        except ChildProcessError:
            return False


@dataclass
class _Slot:
    """The place of a worker: its current process, and the failures of those before."""

    number: int
    worker: _Worker | None = None
    ended: int | None = None
    failures: int = 0
    restart_at: float = 0.0

    def release(self, worker: _Worker, now: float) -> float:
        """Record that the process has ended; return the seconds until the next may start."""
        self.worker = None
        self.ended = worker.process.pid
        if now - worker.started_at >= STABLE_SECONDS:
            self.failures = 0
            return 0.0
        return self.failed(now)

    def failed(self, now: float) -> float:
        """Record a failure; return the seconds until the next process may start."""
        self.failures += 1
        delay = restart_delay(self.failures)
        self.restart_at = now + delay
        return delay


def restart_delay(failures: int) -> float:
    """Return how many seconds to wait before a worker is restarted.

    Args:
        failures: How many workers in a row ended early. There is no delay after the first one,
            which may have been killed.

    Example:
        >>> [restart_delay(failures) for failures in range(5)]
        [0.0, 0.0, 1.0, 2.0, 4.0]
    """
    if failures <= 1:
        return 0.0
    return min(_FIRST_DELAY_SECONDS * 2.0 ** (failures - 2), _LONGEST_DELAY_SECONDS)


def how_it_ended(code: int) -> str:
    """Say how a process ended.

    Args:
        code: The exit code; negative for the signal that ended it.

    Example:
        >>> how_it_ended(1), how_it_ended(-7)
        ('ended with code 1', 'ended by SIGBUS')
    """
    if code >= 0:
        return f"ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = "; if nobody sent it, memory ran out" if name == "SIGKILL" else ""
    return f"ended by {name}{hint}"


class WorkerPool:
    """The workers.

    Args:
        command: Returns the command that starts a worker, from its number and the file descriptor
            for its signs of life.
        descriptors: The file descriptors that all workers inherit.
        workers: How many there are.
        timeout_seconds: How long a worker may give no sign of life; 0 is forever.
        ended: Called with the number of a worker that has ended, and why.
    """

    def __init__(
        self,
        command: Callable[[int, int], Sequence[str]],
        descriptors: Sequence[int],
        workers: int,
        timeout_seconds: float,
        ended: Callable[[int, EndReason], None],
    ) -> None:
        self._command = command
        self._descriptors = descriptors
        self._timeout = timeout_seconds
        self._ended = ended
        self._slots = [_Slot(number) for number in range(workers)]
        self._begin = time.monotonic()
        self._looked = self._begin

    def look(self) -> int | None:
        """Start, watch and replace workers once.

        Returns:
            The exit code with which the server should end, or None to go on: a worker's own if one
            of the first fails because of an invalid setting or model, or `FAILED_EXIT_CODE` if no
            worker stays.
        """
        now = time.monotonic()
        waited, self._looked = min(now - self._looked, _MOST_SECONDS_PER_POLL), now
        for slot in self._slots:
            if slot.worker is None:
                if now >= slot.restart_at:
                    self._start(slot, now)
                continue
            code = slot.worker.process.poll()
            if code is None:
                self._watch(slot.worker, waited)
                continue
            slot.worker.pulse.close()
            if code == USER_ERROR_EXIT_CODE and now - self._begin < STABLE_SECONDS:
                slot.worker = None
                return code
            self._release(slot, slot.worker, code, now)
        if min(slot.failures for slot in self._slots) >= MOST_FAILURES:
            _logger.error(
                "no worker has run for %.0f s: each has ended %d times in a row; the lines above "
                "give the reasons; stopping",
                STABLE_SECONDS,
                MOST_FAILURES,
            )
            return FAILED_EXIT_CODE
        return None

    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Yield the processes that run."""
        for slot in self._slots:
            if slot.worker is not None and slot.worker.process.poll() is None:
                yield slot.worker.process

    def signal(self, number: int) -> None:
        """Send a signal to the workers."""
        for process in self.running():
            process.send_signal(number)

    def kill(self) -> None:
        """Kill the workers that still run."""
        for process in self.running():
            process.kill()
            process.wait()

    def _start(self, slot: _Slot, now: float) -> None:
        try:
            pulse = Pulse()
            try:
                process = subprocess.Popen(
                    self._command(slot.number, pulse.worker_end),
                    pass_fds=[*self._descriptors, pulse.worker_end],
                    # Ctrl-C signals a terminal's whole group; this process signals the workers.
                    start_new_session=True,
                )
            except OSError:
                pulse.close()
                raise
            finally:
                pulse.close_worker_end()
        except OSError as error:
            # Too many processes or files, or too little memory; that may pass.
            delay = slot.failed(now)
            _logger.error("cannot start a worker: %s; trying again in %.0f s", error, delay)
            return
        slot.worker = _Worker(process, pulse, now, slot.ended)
        _logger.info("started worker %d", process.pid)

    def _watch(self, worker: _Worker, waited: float) -> None:
        pulse = worker.pulse
        pulse.observe(waited, stopped=worker.is_stopped)
        if pulse.began and not worker.reported:
            worker.reported = True
            if worker.replaces is not None:
                _logger.info(
                    "worker %d serves in place of worker %d, %.1f s after its start",
                    worker.process.pid,
                    worker.replaces,
                    time.monotonic() - worker.started_at,
                )
        if self._timeout and pulse.silent_seconds >= self._timeout and not worker.killed_for:
            worker.killed_for = (
                f"{'was stopped by a signal' if worker.is_stopped else 'gave no sign of life'} "
                f"for {self._timeout:g} s (--worker-timeout-seconds) and was killed"
            )
            worker.process.kill()

    def _release(self, slot: _Slot, worker: _Worker, code: int, now: float) -> None:
        reason = "unresponsive" if worker.killed_for else "killed" if code < 0 else "ended"
        self._ended(slot.number, reason)
        delay = slot.release(worker, now)
        _logger.error(
            "worker %d %s; restarting it%s",
            worker.process.pid,
            worker.killed_for or how_it_ended(code),
            f" in {delay:.0f} s" if delay else "",
        )
