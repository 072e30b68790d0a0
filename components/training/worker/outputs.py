"""Outputs of a training process: model and logs, on disk or in an object store.

In a store, the file written last shows readers that the rest is complete: `_lineage.json` of the
model, and `training.json` of the logs, which follow the model. A retry removes `_lineage.json`
before it changes anything, so that a reader never takes an incomplete model for a complete one.
"""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder
from kfp_tabular.components.training.training_record import RESULT_FILE

_LOG_SECONDS = 15.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outputs:
    """A process's directories, and where their content goes.

    Attributes:
        model: Directory of the model; None for no model.
        logs: Directory of the logs; None for none.
        remote_model: Where the model is uploaded to; None if it stays in its directory.
        remote_logs: Where the logs are uploaded to; None if they stay.
    """

    model: Path | None
    logs: Path | None
    remote_model: Folder | None = None
    remote_logs: Folder | None = None

    def publish_model(self) -> None:
        """Upload the model; readers see it whole or not at all."""
        if self.remote_model is not None and self.model is not None:
            publish(self.model, self.remote_model, lineage.FILE_NAME)
            _logger.info("model uploaded to %s", self.remote_model)

    def publish_logs(self) -> None:
        """Upload the logs, `training.json` last if it exists."""
        if self.remote_logs is not None and self.logs is not None:
            upload_logs(self.logs, self.remote_logs)
            _logger.info("logs uploaded to %s", self.remote_logs)


def publish(directory: Path, target: Folder, marker: str) -> None:
    """Upload a directory so that its marker appears last.

    Args:
        directory: The directory, which holds the marker.
        target: The folder to upload to.
        marker: Name of a file directly in the directory.
    """
    files = _files(directory)
    last = files.pop(marker)
    target.remove([marker])
    target.upload(files)
    target.upload({marker: last})


def upload_logs(directory: Path, target: Folder) -> None:
    """Upload logs, `training.json` last. Event files of other attempts stay."""
    files = _files(directory)
    last = files.pop(RESULT_FILE, None)
    target.upload(files)
    if last is not None:
        target.upload({RESULT_FILE: last})


class LogUploads:
    """Uploads the logs in the background from time to time, so that TensorBoard can follow.

    Args:
        outputs: The outputs; nothing is uploaded if the logs stay on disk.
        seconds: Shortest time between two uploads.
    """

    def __init__(self, outputs: Outputs, seconds: float = _LOG_SECONDS) -> None:
        self._outputs = outputs
        self._seconds = seconds
        self._last = time.monotonic()
        self._running: Future[None] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="log-uploads")

    def due(self) -> None:
        """Start an upload if one is due and none is running.

        Raises:
            UserError: If the last one was denied. Other failures are only logged.
        """
        logs, target = self._outputs.logs, self._outputs.remote_logs
        if logs is None or target is None:
            return
        if self._running is not None:
            if not self._running.done():
                return
            self._collect()
        if time.monotonic() - self._last >= self._seconds:
            self._last = time.monotonic()
            self._running = self._pool.submit(upload_logs, logs, target)

    def close(self) -> None:
        """Wait for a running upload."""
        self._pool.shutdown(wait=True)

    def _collect(self) -> None:
        running, self._running = self._running, None
        error = running.exception() if running is not None else None
        if isinstance(error, UserError):
            raise error
        if error is not None:
            _logger.warning("uploading the logs failed, will retry: %s", error)


def _files(directory: Path) -> dict[str, Path]:
    return {
        path.relative_to(directory).as_posix(): path
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
