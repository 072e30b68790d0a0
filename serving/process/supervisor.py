"""The supervisor: starts worker processes that serve one port, and restarts those that end.

The workers share the HTTP socket, so connections that wait when a worker dies are accepted by
another. gRPC's library cannot use an existing socket: there the kernel distributes connections over
the workers' own sockets.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence

from kfp_tabular.serving.metrics.sharing import EndReason, SharedMetrics
from kfp_tabular.serving.process.listening_socket import refuse_new_connections
from kfp_tabular.serving.process.worker_pool import POLL_SECONDS, WorkerPool
from kfp_tabular.serving.settings.server_settings import ServerSettings

_logger = logging.getLogger(__name__)

_KILL_AFTER_SECONDS = 5.0
"""The time after the grace period when workers that still run are killed."""


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
        The exit code: 0 after a signal, a worker's own if the first workers fail because of an
        invalid setting or model, or 1 if no worker stays.
    """
    signals = _Signals()
    # Nothing is written: workers read its end when this process has ended in any way.
    lifeline, parent_end = os.pipe()
    shared = _shared_metrics(settings.workers)

    def command(number: int, heartbeat: int) -> Sequence[str]:
        return [
            *(sys.executable, "-m", "kfp_tabular.serving.process.serving_worker"),
            *(str(listener.fileno()), str(lifeline), str(heartbeat)),
            *("off" if shared is None else str(shared.descriptor), str(number)),
            "off" if grpc_port is None else str(grpc_port),
            *arguments,
        ]

    def ended(number: int, reason: EndReason) -> None:
        if shared is not None:
            shared.worker_ended(number, reason)

    inherited = [listener.fileno(), lifeline, *([] if shared is None else [shared.descriptor])]
    pool = WorkerPool(command, inherited, settings.workers, settings.worker_timeout_seconds, ended)
    try:
        code = None
        while not signals and code is None:
            code = pool.look()
            signals.wait(POLL_SECONDS)
        _stop(pool, signals, listener, settings)
    finally:
        pool.kill()
        os.close(parent_end)
        os.close(lifeline)
    _logger.info("stopped")
    return code or 0


def _shared_metrics(workers: int) -> SharedMetrics | None:
    try:
        return SharedMetrics.create(workers)
    except OSError as error:
        _logger.error(
            "no memory to share metrics (%s): the workers serve without, and /metrics answers 503; "
            "for metrics, set --workers 1 or give the process more memory",
            error.strerror,
        )
        return None


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


def _stop(
    pool: WorkerPool, signals: _Signals, listener: socket.socket, settings: ServerSettings
) -> None:
    """Tell the workers to end, and wait until they have, or their time is up."""
    begin = time.monotonic()
    drained = begin + (settings.drain_seconds if signals.first == signal.SIGTERM else 0.0)
    deadline = drained + settings.grace_seconds + _KILL_AFTER_SECONDS
    pool.signal(signals.first)
    sent, closed = max(1, len(signals)), False
    while any(True for _ in pool.running()) and time.monotonic() < deadline:
        if len(signals) > sent:
            sent = len(signals)
            drained = begin
            pool.signal(signals.first)
        if not closed and time.monotonic() >= drained:
            # The workers accept the waiting connections, and close the socket.
            refuse_new_connections(listener)
            closed = True
        time.sleep(POLL_SECONDS / 5)
    for process in pool.running():
        _logger.warning("worker %d did not end in time; killing it", process.pid)
