"""Several workers on this machine: real processes that train together over the loopback."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.errors import (
    USER_ERROR_EXIT_CODE,
    UserError,
    find_user_error,
)
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE, termination
from kfp_tabular.components.training.distributed.worker_termination import LOST_EXIT_CODE
from kfp_tabular.components.training.settings import WORKER_MODULE, Settings

_HOST = "127.0.0.1"
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 20.0
_LAST_LINES = 20

_logger = logging.getLogger(__name__)


class WorkerError(RuntimeError):
    """A worker ended with a failure that is not the user's."""


@dataclass(frozen=True)
class _Worker:
    index: int
    process: "subprocess.Popen[bytes]"
    log: Path


def tf_configs(ports: Sequence[int]) -> list[str]:
    """Gives TF_CONFIG for each worker of a job on this machine; the first is the chief.

    Args:
        ports: A free port for each worker.
    """
    cluster = {"worker": [f"{_HOST}:{port}" for port in ports]}
    return [
        json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        for index in range(len(ports))
    ]


def run(settings: Settings, workers: int) -> None:
    """Trains with several worker processes, and waits for all of them.

    The chief's log goes to standard error as it comes, the others' into `workers/` in the logs.
    Where one fails, all are stopped.

    Args:
        settings: What every worker is told; the logs are not None.
        workers: How many, at least two.

    Raises:
        UserError: Where a worker reports one.
        WorkerError: Where a worker fails in another way; it holds the last lines of its log.
        SystemExit: After SIGTERM, once the workers have saved a checkpoint.
    """
    if settings.logs is None:
        raise ValueError("several workers need a directory for their logs")
    logs = settings.logs / "workers"
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        terminated = stack.enter_context(termination())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kfp-tabular-")))
        document = folder / "hyperparameters.json"
        settings.hyperparameters.save(document)
        command = [sys.executable, "-m", WORKER_MODULE, f"--parent={os.getpid()}"]
        command += settings.arguments(document)
        started = [
            _start(command, index, config, logs / f"worker-{index}.log")
            for index, config in enumerate(tf_configs(_free_ports(workers)))
        ]
        stack.callback(_stop, started)
        _logger.info("%d workers started; their logs are in %s", workers, logs)
        shown = 0
        while True:
            ended = [worker.process.poll() for worker in started]
            shown = _show(started[0].log, shown)
            if terminated.is_set():
                _logger.warning("told to stop: stopping %d workers", workers)
                _stop(started)
                _show(started[0].log, shown)
                raise SystemExit(TERMINATED_EXIT_CODE)
            failed = [worker for worker, code in zip(started, ended, strict=True) if code]
            if failed:
                _stop(started)
                _show(started[0].log, shown)
                raise _failure(_culprit(failed), workers)
            if all(code == 0 for code in ended):
                return
            time.sleep(_POLL_SECONDS)


def _free_ports(count: int) -> list[int]:
    # All are bound before any is let go, so that they differ.
    with ExitStack() as stack:
        ports = []
        for _ in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind((_HOST, 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


def _start(command: Sequence[str], index: int, tf_config: str, log: Path) -> _Worker:
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env={**os.environ, "TF_CONFIG": tf_config},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return _Worker(index, process, log)


def _stop(workers: Sequence[_Worker]) -> None:
    """Asks all to end, and kills what has not after a while: one without peers cannot answer."""
    running = [worker.process for worker in workers if worker.process.poll() is None]
    for process in running:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _culprit(failed: Sequence[_Worker]) -> _Worker:
    """Gives the worker that failed by itself: the others end because they lost it."""
    return min(failed, key=lambda worker: worker.process.returncode == LOST_EXIT_CODE)


def _show(log: Path, shown: int) -> int:
    with log.open("rb") as stream:
        stream.seek(shown)
        new = stream.read()
    sys.stderr.write(new.decode("utf-8", errors="replace"))
    sys.stderr.flush()
    return shown + len(new)


def _failure(worker: _Worker, workers: int) -> Exception:
    lines = worker.log.read_text(encoding="utf-8", errors="replace").splitlines()
    if worker.process.returncode == USER_ERROR_EXIT_CODE:
        message = find_user_error(lines)
        if message:
            return UserError(message)
    tail = "\n".join(lines[-_LAST_LINES:])
    return WorkerError(
        f"worker {worker.index + 1} of {workers} ended with exit code "
        f"{worker.process.returncode}; all are stopped. Its last lines:\n{tail}"
    )
