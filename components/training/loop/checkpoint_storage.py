"""Where complete checkpoints are kept: a directory, or an object store.

TensorFlow writes to a directory. If checkpoints belong in an object store, they are uploaded from
there in the background, `ckpt-<step>.json` last: a checkpoint without that file is incomplete and
is never resumed from. TensorFlow 2.21 itself reads `gs://` but not `s3://`; here all stores are
accessed the same way as for data.
"""

import json
import logging
import re
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any, Protocol

from kfp_tabular.components.common import files
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage import Folder, is_remote

KEPT = 2
"""Number of checkpoints kept: the newest may turn out to be damaged."""

NAME = "ckpt"
"""Prefix of a checkpoint's files."""

_MARKER = re.compile(rf"{NAME}-(\d+)\.json")

_logger = logging.getLogger(__name__)


class CheckpointStorage(Protocol):
    """Complete checkpoints by step."""

    def newest(self) -> int:
        """Return the step of the newest complete checkpoint; 0 if there is none."""

    def fetch(self, step: int) -> str | None:
        """Return a checkpoint's local path prefix, or None if it is not there."""

    def put(self, step: int) -> None:
        """Store the checkpoint that was just written to the local directory."""

    def flush(self) -> None:
        """Wait until every checkpoint is stored."""

    def remove(self) -> None:
        """Remove all checkpoints of the training."""


def storage(path: str, local: Path) -> CheckpointStorage:
    """Return the storage of checkpoints at a path or URI.

    Args:
        path: From `checkpoints.directory`.
        local: An existing directory, to stage those of an object store.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, "ckpt-100.index").touch()
        ...     found = storage(folder, Path(folder))
        ...     found.fetch(100) == f"{folder}/ckpt-100", found.fetch(200)
        (True, None)
    """
    return RemoteStorage(Folder(path), local) if is_remote(path) else LocalStorage(Path(path))


class LocalStorage:
    """Checkpoints in a directory that TensorFlow itself manages.

    Args:
        path: The directory. Workers on several machines must share it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest(self) -> int:
        """Return the step of the newest complete checkpoint; 0 if there is none."""
        import tensorflow as tf

        latest = tf.train.latest_checkpoint(str(self._path))
        return int(latest.rpartition("-")[2]) if latest else 0

    def fetch(self, step: int) -> str | None:
        """Return a checkpoint's path prefix, or None if it is not there."""
        prefix = self._path / f"{NAME}-{step}"
        return str(prefix) if prefix.with_name(f"{prefix.name}.index").is_file() else None

    def put(self, step: int) -> None:
        """Do nothing: TensorFlow wrote it here."""

    def flush(self) -> None:
        """Do nothing: TensorFlow wrote it here."""

    def remove(self) -> None:
        """Remove the directory."""
        files.remove(self._path)


class RemoteStorage:
    """Checkpoints in an object store, uploaded in the background.

    A checkpoint that waits for an upload is replaced by a newer one.

    Args:
        folder: The folder in the store.
        local: The directory that TensorFlow writes to.
    """

    def __init__(self, folder: Folder, local: Path) -> None:
        self._folder = folder
        self._local = local
        self._waiting: tuple[int, Path] | None = None
        self._busy = False
        self._error: Exception | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def newest(self) -> int:
        """Return the step of the newest complete checkpoint; 0 if there is none."""
        return max(self._complete(), default=0)

    def fetch(self, step: int) -> str | None:
        """Download a checkpoint; return its local path prefix, or None if it is not there."""
        found = self._complete().get(step)
        if found is None:
            return None
        into = self._local / "restored"
        into.mkdir(exist_ok=True)
        self._folder.download(found, into)
        return str(into / f"{NAME}-{step}")

    def put(self, step: int) -> None:
        """Upload a checkpoint in the background; it replaces one that still waits.

        Raises:
            UserError: If an earlier upload was denied.
        """
        copy = Path(tempfile.mkdtemp(prefix="upload-", dir=self._local))
        for path in self._local.glob(f"{NAME}-{step}.*"):
            # TensorFlow removes its own files when there are newer ones.
            (copy / path.name).hardlink_to(path)
        with self._changed:
            self._raise_denied()
            if self._waiting is not None:
                shutil.rmtree(self._waiting[1])
            self._waiting = (step, copy)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._upload_all, name="checkpoint-uploads", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until no upload is running or waiting.

        Raises:
            UserError: If an upload was denied.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting is None and not self._busy)
            self._raise_denied()

    def remove(self) -> None:
        """Remove all checkpoints of the training, markers first."""
        self.flush()
        names = list(self._folder.list())
        markers = [name for name in names if _MARKER.fullmatch(name)]
        self._folder.remove(markers)
        self._folder.remove([name for name in names if name not in markers])

    def _complete(self) -> dict[int, dict[str, Any]]:
        """Return the objects of every complete checkpoint, by step."""
        stored = self._folder.list()
        found = {}
        for name in stored:
            match = _MARKER.fullmatch(name)
            if match is None:
                continue
            parts = json.loads(self._folder.read_text(name) or "{}")
            if parts and all(
                part in stored and stored[part].size == size for part, size in parts.items()
            ):
                found[int(match[1])] = {part: stored[part] for part in parts}
        return found

    def _upload_all(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None:
                    self._changed.wait()
                (step, copy), self._waiting, self._busy = self._waiting, None, True
            try:
                self._upload(step, copy)
            except Exception as error:  # noqa: BLE001 - the main thread raises it
                self._error = error
                if not isinstance(error, UserError):
                    _logger.warning("the checkpoint of step %d was not uploaded: %s", step, error)
            finally:
                shutil.rmtree(copy, ignore_errors=True)
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()

    def _upload(self, step: int, copy: Path) -> None:
        parts = {path.name: path for path in sorted(copy.iterdir())}
        marker = f"{NAME}-{step}.json"
        # Another attempt may have reached this step, too.
        self._folder.remove([marker])
        self._folder.upload(parts)
        sizes = {name: path.stat().st_size for name, path in parts.items()}
        self._folder.write_text(marker, json.dumps(sizes))
        self._remove_old(step)

    def _remove_old(self, step: int) -> None:
        """Remove checkpoints that are older than those kept, and incomplete ones."""
        names = list(self._folder.list())
        steps = sorted(int(match[1]) for name in names if (match := _MARKER.fullmatch(name)))
        kept = {str(known) for known in steps if known <= step}
        kept = set(sorted(kept, key=int)[-KEPT:])
        old = [
            name
            for name in names
            if name.startswith(f"{NAME}-") and name[len(NAME) + 1 :].partition(".")[0] not in kept
        ]
        old.sort(key=lambda name: not name.endswith(".json"))
        for name in old:
            self._folder.remove([name])

    def _raise_denied(self) -> None:
        error, self._error = self._error, None
        if isinstance(error, UserError):
            raise error
