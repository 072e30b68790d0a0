"""Termination of a worker: SIGTERM, timeouts and lost peers, each with its exit code.

A call into TensorFlow that waits for other processes runs no Python, so neither signal handlers
nor timeouts of the main thread work during it. Another thread does the work.
"""

import contextlib
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE
from kfp_tabular.components.training.distributed.peers import PeersError
from kfp_tabular.components.training.distributed.replica_role import ReplicaRole

LOST_EXIT_CODE = 138
"""Exit code after another process of the job was lost. The Training Operator's restart policy
`ExitCode` restarts a pod after codes from 128 on (`IsRetryableExitCode`)."""

_TELLING = ("heartbeat", "grpc_message", "onnection", "eadline", "unhealthy")

_logger = logging.getLogger(__name__)


@contextlib.contextmanager
def within(seconds: float, message: str, exit_code: int = LOST_EXIT_CODE) -> Iterator[None]:
    """End the process if the block takes longer.

    Args:
        seconds: How long the block may take.
        message: Logged before the process ends.
        exit_code: The exit code.
    """
    timer = threading.Timer(seconds, end, (exit_code, message))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def within_a_call(seconds: float) -> Iterator[None]:
    """End the process with 1 and a traceback if a call that holds Python's lock takes longer.

    No Python thread runs during such a call; the interpreter's own watchdog does.

    Args:
        seconds: How long the call may take.
    """
    faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def where_peers_are_lost(replica: ReplicaRole) -> Iterator[None]:
    """End the process with `LOST_EXIT_CODE` if the block fails because a peer is lost.

    TensorFlow notices a process that died within seconds, because its connections break, and one
    that hangs or whose machine is gone after the 10 s of its coordination service's heartbeat. A
    strategy cannot recover from that; a new process can, from the checkpoint.

    Args:
        replica: This process's role; without peers, nothing is caught.
    """
    try:
        yield
    except Exception as error:
        if not replica.peers or not _is_loss(error):
            raise
        end(LOST_EXIT_CODE, f"another process of the job was lost: {telling_line(str(error))}")


@contextlib.contextmanager
def on_termination(grace_seconds: float) -> Iterator[None]:
    """End the process with 143 after SIGTERM, at once or when training has saved its state.

    Outside of the training loop, which has its own handler, SIGTERM raises `SystemExit`. This
    matters in containers: the kernel ignores SIGTERM for process 1 unless it has a handler. If
    the process waits for others and is still running after the grace period, it is ended.

    Args:
        grace_seconds: How long the process may take to end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    watch = threading.Thread(
        target=_end_after_sigterm, args=(reader, grace_seconds), name="termination", daemon=True
    )
    watch.start()
    handler = signal.signal(signal.SIGTERM, _leave)
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, handler)
        # The thread reads the end of the stream, unless it is counting down.
        writer.close()


def telling_line(message: str) -> str:
    r"""Return the line of a TensorFlow error that names what happened to the other process.

    Example:
        >>> telling_line("Collective ops failed.\n/job:worker/task:1 heartbeat timeout\nAborting.")
        '/job:worker/task:1 heartbeat timeout'
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    telling = (line for line in lines if any(word in line for word in _TELLING))
    return next(telling, lines[0] if lines else "no reason given")


def end(exit_code: int, message: str) -> None:
    """End the process at once, whatever its other threads wait for."""
    _logger.error("%s", message)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)


def _is_loss(error: Exception) -> bool:
    from tensorflow import errors

    return isinstance(
        error,
        (
            PeersError,
            errors.AbortedError,
            errors.CancelledError,
            errors.DeadlineExceededError,
            errors.FailedPreconditionError,
            errors.InternalError,
            errors.UnavailableError,
            errors.UnknownError,
        ),
    )


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - its interface
    raise SystemExit(TERMINATED_EXIT_CODE)


def _end_after_sigterm(reader: socket.socket, grace_seconds: float) -> None:
    with reader:
        while numbers := reader.recv(64):
            if signal.SIGTERM in numbers:
                break
        else:
            return
        # Nothing is logged if the process ends by itself in time.
        reader.settimeout(grace_seconds)
        with contextlib.suppress(TimeoutError):
            while reader.recv(64):
                pass
            return
    end(TERMINATED_EXIT_CODE, f"still running {grace_seconds:.0f} s after SIGTERM; ending now")
