"""Snapshots of a training of trees, from which a killed one resumes.

CatBoost writes a snapshot to a scratch directory. It would continue from one that is damaged, or
that belongs to other parameters, without a word. So each is kept with a header of its own: the
identity of the training, and a digest.
"""

import hashlib
import json
import logging
import os
from pathlib import Path

from kfp_tabular.components.common.storage import writability

_FILE = "trees.snapshot"
_HEADER_BYTES = 1 << 12

_logger = logging.getLogger(__name__)


class Snapshots:
    """The last snapshot of a training, in a directory that outlives the process.

    Args:
        directory: Where it is kept; made if it is missing.
        scratch: The file that CatBoost reads and writes.
        identity: Everything that decides the result of the training, as text.

    Raises:
        UserError: If the directory is not writable.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     scratch = Path(folder, "scratch")
        ...     _ = scratch.write_bytes(b"trees")
        ...     _ = Snapshots(Path(folder), scratch, "seed 0").keep()
        ...     scratch.unlink()
        ...     other = Snapshots(Path(folder), scratch, "seed 1").restore()
        ...     other, Snapshots(Path(folder), scratch, "seed 0").restore()
        (False, True)
    """

    def __init__(self, directory: Path, scratch: Path, identity: str) -> None:
        writability.check(str(directory), "checkpoint_uri")
        directory.mkdir(parents=True, exist_ok=True)
        self._file = directory / _FILE
        self._scratch = scratch
        self._identity = hashlib.sha256(identity.encode()).hexdigest()
        self._kept: tuple[int, int] | None = None

    def restore(self) -> bool:
        """Put the snapshot where CatBoost finds it; return whether there is one to resume from.

        One that is damaged, or of another training, is not used.
        """
        try:
            with self._file.open("rb") as stream:
                header, content = stream.readline(_HEADER_BYTES), stream.read()
        except FileNotFoundError:
            return False
        problem = self._problem(header, content)
        if problem:
            _logger.warning("%s: %s; the trees start over.", self._file, problem)
            return False
        self._scratch.write_bytes(content)
        self._kept = self._state()
        return True

    def keep(self) -> bool:
        """Keep what CatBoost has written since the last call; return whether there was any."""
        state = self._state()
        if state is None or state == self._kept:
            return False
        content = self._scratch.read_bytes()
        header = {"identity": self._identity, "sha256": hashlib.sha256(content).hexdigest()}
        partial = self._file.with_name(f".{_FILE}.partial")
        partial.write_bytes(json.dumps(header).encode() + b"\n" + content)
        partial.replace(self._file)
        self._kept = state
        return True

    def _problem(self, header: bytes, content: bytes) -> str:
        try:
            found = json.loads(header)
            identity, digest = found["identity"], found["sha256"]
        except (ValueError, TypeError, KeyError):
            return "not a snapshot of trees"
        if identity != self._identity:
            return "the snapshot is of other data or parameters"
        if digest != hashlib.sha256(content).hexdigest():
            return "the snapshot is damaged"
        return ""

    def _state(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._scratch)  # noqa: PTH116
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino
