"""Several processes that answer on one port, and one that watches over them.

They share the socket that REST listens on: what waits to be accepted when a worker dies is accepted
by another. gRPC's library cannot take a socket over, so there the kernel spreads connections over
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
from kfp_tabular.serving.process.listening_socket import take_no_more
from kfp_tabular.serving.settings.server_settings import ServerSettings

_logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
_STABLE_SECONDS = 60.0
"""A worker that lived so long is started anew at once; one that did not, after a while."""
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_KILL_AFTER_SECONDS = 5.0
"""Beyond what a worker was given to end by itself."""


@dataclass
class _Worker:
    """A worker's place: whoever holds it now, and what became of those before."""

    child: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    failures: int = 0
    not_before: float = 0.0

    def ended(self, now: float) -> float:
        """Notes that the worker has ended; gives the seconds until the next may begin."""
        self.child = None
        self.failures = 0 if now - self.began >= _STABLE_SECONDS else self.failures + 1
        pause = pause_seconds(self.failures)
        self.not_before = now + pause
        return pause


def pause_seconds(failures: int) -> float:
    """Says how long to wait before a worker is started anew.

    Args:
        failures: Workers in a row that did not live for long. The first is no reason to wait: a
            process that is killed is missed.
    """
    if failures <= 1:
        return 0.0
    return min(_FIRST_PAUSE_SECONDS * 2.0 ** (failures - 2), _LONGEST_PAUSE_SECONDS)


def supervise(
    settings: ServerSettings,
    arguments: Sequence[str],
    listener: socket.socket,
    grpc_port: int | None,
) -> int:
    """Starts workers and starts those anew that end, until SIGTERM or SIGINT.

    Args:
        settings: How to serve.
        arguments: The server's command line, for the workers.
        listener: A bound socket for REST.
        grpc_port: The port that is reserved for gRPC; None for no gRPC.

    Returns:
        The exit code: 0 after a signal; a worker's own where the first ones cannot start because
        of a wrong setting or model.
    """
    signals = _Signals()
    # Nothing is ever written: workers see its end when this process has ended, however it did.
    lifeline, kept = os.pipe()
    shared = SharedMetrics.create()
    pool = _Pool(
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
        os.close(kept)
        os.close(lifeline)
    _logger.info("stopped")
    return code


class _Signals:
    """Hears SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self._received: list[int] = []
        self._any = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def __len__(self) -> int:
        return len(self._received)

    @property
    def first(self) -> int:
        """The first that came; SIGTERM where none has."""
        return self._received[0] if self._received else signal.SIGTERM

    def wait(self, seconds: float) -> None:
        """Waits for the first, for so long at most."""
        self._any.wait(seconds)

    def _hear(self, number: int, _: object) -> None:
        self._received.append(number)
        self._any.set()


class _Pool:
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
        self._workers = [_Worker() for _ in range(workers)]
        self._settled = False

    def run(self, signals: _Signals) -> int:
        """Keeps the workers running until a signal comes, or the first ones cannot be started."""
        begin = time.monotonic()
        while not signals:
            now = time.monotonic()
            self._settled = self._settled or now - begin >= _STABLE_SECONDS
            for worker in self._workers:
                if worker.child is None:
                    if now >= worker.not_before:
                        self._start(worker, now)
                    continue
                code = worker.child.poll()
                if code is None:
                    continue
                self._shared.retire(worker.child.pid)
                if code == USER_ERROR_EXIT_CODE and not self._settled:
                    worker.child = None
                    return code
                pid, pause = worker.child.pid, worker.ended(now)
                _logger.error(
                    "worker %d ended with code %d; starting another%s",
                    pid,
                    code,
                    f" in {pause:.0f} s" if pause else "",
                )
            signals.wait(_LOOK_SECONDS)
        return 0

    def stop(self, signals: _Signals, listener: socket.socket, settings: ServerSettings) -> None:
        """Lets the workers end by themselves, and helps those that do not."""
        begin = time.monotonic()
        drained = begin + (settings.drain_seconds if signals.first == signal.SIGTERM else 0.0)
        deadline = drained + settings.grace_seconds + _KILL_AFTER_SECONDS
        self._tell(signals.first)
        told, closed = max(1, len(signals)), False
        while self._running() and time.monotonic() < deadline:
            if len(signals) > told:
                told = len(signals)
                drained = begin
                self._tell(signals.first)
            if not closed and time.monotonic() >= drained:
                # The workers accept what waits now, and close their ends.
                take_no_more(listener)
                closed = True
            time.sleep(_LOOK_SECONDS / 5)
        for child in self._running():
            _logger.warning("worker %d did not end in time; killing it", child.pid)

    def kill(self) -> None:
        """Ends the workers that are left."""
        for child in self._running():
            child.kill()
            child.wait()

    def _running(self) -> list[subprocess.Popen[bytes]]:
        children = [worker.child for worker in self._workers if worker.child is not None]
        return [child for child in children if child.poll() is None]

    def _tell(self, number: int) -> None:
        for child in self._running():
            child.send_signal(number)

    def _start(self, worker: _Worker, now: float) -> None:
        worker.child = subprocess.Popen(
            self._command,
            pass_fds=self._descriptors,
            env={**os.environ, **self._shared.environment},
            # Ctrl-C goes to a terminal's whole group; the workers are told by this process.
            start_new_session=True,
        )
        worker.began = now
        _logger.info("started worker %d", worker.child.pid)
