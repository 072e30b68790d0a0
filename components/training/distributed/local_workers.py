"""Several workers on this machine: processes that train together over the loopback interface."""

import json
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from kfp_tabular.components.common.errors import USER_ERROR_EXIT_CODE, UserError, find_user_error
from kfp_tabular.components.common.process.child_process import ChildProcess, last_lines, stop
from kfp_tabular.components.common.process.termination import TERMINATED_EXIT_CODE, termination
from kfp_tabular.components.common.training_options import WORKER_MODULE, WorkerLocations
from kfp_tabular.components.training.distributed.worker_termination import LOST_EXIT_CODE
from kfp_tabular.components.training.worker_settings import WorkerSettings, worker_arguments

_HOST = "127.0.0.1"
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 20.0
_LAST_LINES = 20

_logger = logging.getLogger(__name__)


class WorkerError(RuntimeError):
    """A worker failed, and not for a user error."""


class _Worker(ChildProcess):
    def __init__(self, command: Sequence[str], index: int, tf_config: str, log: Path) -> None:
        self.index = index
        self.log = log
        environment = {**os.environ, "TF_CONFIG": tf_config}
        super().__init__(command, environment, log=log, death_signal=signal.SIGTERM)


def tf_configs(ports: Sequence[int]) -> list[str]:
    """Return TF_CONFIG for each worker of a job on this machine; the first is the chief.

    Args:
        ports: A free port for each worker.

    Example:
        >>> tf_configs([2222, 2223])[1]
        '{"cluster": {"worker": ["127.0.0.1:2222", "127.0.0.1:2223"]}, "task": {"type": "worker",
        "index": 1}}'
    """
    cluster = {"worker": [f"{_HOST}:{port}" for port in ports]}
    return [
        json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        for index in range(len(ports))
    ]


def run(settings: WorkerSettings, workers: int) -> None:
    """Train with several worker processes, and wait for all of them.

    The chief's log is copied to standard error while it is written; the logs of all workers are in
    `workers/` in the logs. If one worker fails, all are stopped.

    Args:
        settings: The settings of every worker; `logs` is not None.
        workers: Number of workers, at least two.

    Raises:
        UserError: If a worker reports one.
        WorkerError: If a worker fails for another reason; it holds the last lines of its log.
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
        command = [sys.executable, "-m", WORKER_MODULE, *worker_flags(settings, document)]
        started = [
            _Worker(command, index, config, logs / f"worker-{index}.log")
            for index, config in enumerate(tf_configs(_free_ports(workers)))
        ]
        stack.callback(stop, started, _GRACE_SECONDS)
        _logger.info("started %d workers; their logs are in %s", workers, logs)
        shown = 0
        while True:
            exit_codes = [worker.poll() for worker in started]
            shown = _show(started[0].log, shown)
            if terminated.is_set():
                _logger.warning("SIGTERM: stopping %d workers", workers)
                stop(started, _GRACE_SECONDS)
                _show(started[0].log, shown)
                raise SystemExit(TERMINATED_EXIT_CODE)
            failed = [worker for worker, code in zip(started, exit_codes, strict=True) if code]
            if failed:
                stop(started, _GRACE_SECONDS)
                _show(started[0].log, shown)
                raise _failure(_root_cause(failed), workers)
            if all(code == 0 for code in exit_codes):
                return
            time.sleep(_POLL_SECONDS)


def worker_flags(settings: WorkerSettings, document: Path) -> list[str]:
    """Return the flags that tell a worker on this machine the settings.

    Args:
        settings: The settings.
        document: The file that holds their hyperparameters, or will hold them.

    Example:
        >>> settings = WorkerSettings(Path("examples"), Path("graph"), Path("model"), Path("logs"))
        >>> flags = worker_flags(settings, Path("hyperparameters.json"))
        >>> [flag for flag in flags if "=" in flag and flag.endswith(("model", ".json"))]
        ['--output=model', '--hyperparameters=hyperparameters.json']
    """
    locations = WorkerLocations(
        transformed_examples=str(settings.transformed_examples),
        transform_graph=str(settings.transform_graph),
        output=str(settings.output or ""),
        logs=str(settings.logs or ""),
        checkpoints=settings.checkpoints,
        hyperparameters=str(document),
        metrics_file=str(settings.metrics_file or ""),
    )
    return worker_arguments(settings, locations).flags()


def _free_ports(count: int) -> list[int]:
    # All are bound before any is released, so that they differ.
    with ExitStack() as stack:
        ports = []
        for _ in range(count):
            listener = stack.enter_context(socket.socket())
            listener.bind((_HOST, 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


def _root_cause(failed: Sequence[_Worker]) -> _Worker:
    """Return a worker that failed by itself; the others end because they lost it."""
    return min(failed, key=lambda worker: worker.exit_code == LOST_EXIT_CODE)


def _show(log: Path, shown: int) -> int:
    with log.open("rb") as stream:
        stream.seek(shown)
        new = stream.read()
    sys.stderr.write(new.decode("utf-8", errors="replace"))
    sys.stderr.flush()
    return shown + len(new)


def _failure(worker: _Worker, workers: int) -> Exception:
    lines = last_lines(worker.log)
    if worker.exit_code == USER_ERROR_EXIT_CODE:
        message = find_user_error(lines)
        if message:
            return UserError(message)
    tail = "\n".join(lines[-_LAST_LINES:])
    return WorkerError(
        f"worker {worker.index + 1} of {workers} ended with exit code {worker.exit_code}; all "
        f"workers are stopped. The last lines of its log:\n{tail}"
    )
