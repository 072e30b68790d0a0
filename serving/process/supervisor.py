"""The supervisor: starts worker processes that serve one port, and restarts those that end.

The workers share the HTTP socket, so connections that wait when a worker dies are accepted by
another. gRPC's library cannot use an existing socket: there the kernel distributes connections over
the workers' own sockets.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE
from kfp_tabular.serving.metrics.sharing import SharedMetrics
from kfp_tabular.serving.process.listening_socket import refuse_new_connections
from kfp_tabular.serving.settings.server_settings import ServerSettings

_logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_STABLE_SECONDS = 60.0
"""A worker that ran for this long is restarted at once; others are restarted after a delay."""
_FIRST_DELAY_SECONDS = 1.0
_LONGEST_DELAY_SECONDS = 30.0
_KILL_AFTER_SECONDS = 5.0
"""The time after the grace period when workers that still run are killed."""


@dataclass
class _WorkerSlot:
    """One of the workers: its current process, and the failures of those before."""

    child: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    restart_at: float = 0.0

    def release(self, now: float) -> float:
        """Record that the process has ended; return the seconds until the next may start."""
        self.child = None
        self.failures = 0 if now - self.started_at >= _STABLE_SECONDS else self.failures + 1
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


def supervise(
    settings: ServerSettings,
    arguments: Sequence[str],
    listener: socket.socket,
    grpc_port: int | None,
) -> int:
    """Start workers and restart those that end, until SIGTERM or SIGINT.

    Args:
        settings: How to serve.
        arguments: The server's command line, for the workers.
        listener: A bound socket for HTTP.
        grpc_port: The reserved port for gRPC; None for no gRPC.

    Returns:
        The exit code: 0 after a signal, or a worker's own if the first workers fail because of an
        invalid setting or model.
    """
    signals = _Signals()
    # Nothing is written: workers read its end when this process has ended in any way.
    lifeline, parent_end = os.pipe()
    shared = SharedMetrics.create()
    pool = _WorkerPool(
        [
            *(sys.executable, "-m", "kfp_tabular.serving.process.serving_worker"),
            *(str(listener.fileno()), str(lifeline)),
            "off" if grpc_port is None else str(grpc_port),
            *arguments,
        ],
        (listener.fileno(), lifeline),
        shared,
        settings.workers,
    )
    try:
        code = pool.run(signals)
        pool.stop(signals, listener, settings)
    finally:
        pool.kill()
        shared.remove()
        os.close(parent_end)
        os.close(lifeline)
    _logger.info("stopped")
    return code


class _Signals:
    """Records SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self._received: list[int] = []
        self._any = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._record)

    def __len__(self) -> int:
        return len(self._received)

    @property
    def first(self) -> int:
        """The first signal; SIGTERM if there was none."""
        return self._received[0] if self._received else signal.SIGTERM

    def wait(self, seconds: float) -> None:
        """Wait for the first signal, but not longer."""
        self._any.wait(seconds)

    def _record(self, number: int, _: object) -> None:
        self._received.append(number)
        self._any.set()


class _WorkerPool:
    """The workers.

    Args:
        command: Starts a worker.
        descriptors: The file descriptors that workers inherit.
        shared: The metrics that workers share.
        workers: How many there are.
    """

    def __init__(
        self,
        command: Sequence[str],
        descriptors: Sequence[int],
        shared: SharedMetrics,
        workers: int,
    ) -> None:
        self._command = command
        self._descriptors = descriptors
        self._shared = shared
        self._slots = [_WorkerSlot() for _ in range(workers)]
        self._settled = False

    def run(self, signals: _Signals) -> int:
        """Keep the workers running until a signal comes, or the first ones cannot start."""
        begin = time.monotonic()
        while not signals:
            now = time.monotonic()
            self._settled = self._settled or now - begin >= _STABLE_SECONDS
            for slot in self._slots:
                if slot.child is None:
                    if now >= slot.restart_at:
                        self._start(slot, now)
                    continue
                code = slot.child.poll()
                if code is None:
                    continue
                self._shared.retire(slot.child.pid)
                if code == USER_ERROR_EXIT_CODE and not self._settled:
                    slot.child = None
                    return code
                pid, delay = slot.child.pid, slot.release(now)
                _logger.error(
                    "worker %d ended with code %d; restarting it%s",
                    pid,
                    code,
                    f" in {delay:.0f} s" if delay else "",
                )
            signals.wait(_POLL_SECONDS)
        return 0

    def stop(self, signals: _Signals, listener: socket.socket, settings: ServerSettings) -> None:
        """Tell the workers to end, and wait until they have, or their time is up."""
        begin = time.monotonic()
        drained = begin + (settings.drain_seconds if signals.first == signal.SIGTERM else 0.0)
        deadline = drained + settings.grace_seconds + _KILL_AFTER_SECONDS
        self._signal(signals.first)
        sent, closed = max(1, len(signals)), False
        while self._running() and time.monotonic() < deadline:
            if len(signals) > sent:
                sent = len(signals)
                drained = begin
                self._signal(signals.first)
            if not closed and time.monotonic() >= drained:
                # The workers accept the waiting connections, and close the socket.
                refuse_new_connections(listener)
                closed = True
            time.sleep(_POLL_SECONDS / 5)
        for child in self._running():
            _logger.warning("worker %d did not end in time; killing it", child.pid)

    def kill(self) -> None:
        """Kill the workers that still run."""
        for child in self._running():
            child.kill()
            child.wait()

    def _running(self) -> list[subprocess.Popen[bytes]]:
        children = [slot.child for slot in self._slots if slot.child is not None]
        return [child for child in children if child.poll() is None]

    def _signal(self, number: int) -> None:
        for child in self._running():
            child.send_signal(number)

    def _start(self, slot: _WorkerSlot, now: float) -> None:
        slot.child = subprocess.Popen(
            self._command,
            pass_fds=self._descriptors,
            env={**os.environ, **self._shared.environment},
            # Ctrl-C signals a terminal's whole group; this process signals the workers itself.
            start_new_session=True,
        )
        slot.started_at = now
        _logger.info("started worker %d", slot.child.pid)
