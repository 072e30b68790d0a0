"""A model repository on a file system: `<root>/<name>/<version>/`, as TensorFlow Serving reads it.

Versions are whole numbers from 1 on. A version appears complete, by a rename, and never changes.
"""

import errno
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage, model_signature
from kfp_tabular.components.common.storage import writability

_VERSION = re.compile(r"[0-9]+")
_LOCK = ".lock"
_PARTIAL = ".partial-"

ARGUMENT = "model_repository"
"""The argument that names a repository, for messages."""


@dataclass(frozen=True)
class PublishedVersion:
    """A version in a repository.

    Attributes:
        path: Its directory, absolute.
        version: Its number.
        is_new: Whether this call created it; False where the newest version already held this
            model.
    """

    path: Path
    version: int
    is_new: bool


def versions(directory: Path) -> dict[int, Path]:
    """Return the versions in a model's directory of a repository, by number.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("1", "2", ".partial-0a1b"):
        ...         (Path(folder) / name).mkdir()
        ...     sorted(versions(Path(folder)))
        [1, 2]
    """
    return {
        int(entry.name): entry for entry in directory.iterdir() if _VERSION.fullmatch(entry.name)
    }


def publish(model: Path, root: Path, name: str, signing_key: str = "") -> PublishedVersion:
    """Add a model to a repository as its newest version.

    Publishers of the same model take turns by a file lock. On a file system that does not keep
    locks between machines, versions still never collide: a directory cannot be renamed onto one
    that is not empty.

    Args:
        model: Directory of the model artifact.
        root: The repository; created if it does not exist.
        name: The model's name in it.
        signing_key: File of the private key to sign it with; empty for none.

    Returns:
        The new version; or the newest one where it already holds exactly this model, so that a
        retry changes nothing.

    Raises:
        UserError: If the repository cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model, root = Path(folder) / "model", Path(folder) / "repository"
        ...     model.mkdir()
        ...     _ = (model / "saved_model.pb").write_bytes(b"graph")
        ...     first, again = publish(model, root, "taxi"), publish(model, root, "taxi")
        ...     first.version, first.is_new, again.version, again.is_new
        (1, True, 1, False)
    """
    directory = root.absolute() / name
    check_writable(root, name)
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(directory):
            for leftover in directory.glob(f"{_PARTIAL}*"):
                files.remove(leftover)
            return _publish(model, directory, signing_key)
    except PermissionError as error:
        # Such as an earlier version, or what an interrupted publisher left, of another user.
        raise writability.denied(Path(error.filename or directory), ARGUMENT, error) from error


def check_writable(root: Path, name: str) -> None:
    """Check that a model can be published. Leaves nothing behind.

    Args:
        root: The repository; it need not exist.
        name: The model's name in it.

    Raises:
        UserError: If the repository cannot be written; the message names the directory or file,
            its owner and mode, and the user of this process.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     check_writable(Path(folder), "taxi")
        ...     list(Path(folder).iterdir())
        []
    """
    directory = root.absolute() / name
    writability.check(str(directory), ARGUMENT)
    lock = directory / _LOCK
    if lock.exists() and not os.access(lock, os.W_OK):
        error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise writability.denied(lock, ARGUMENT, error)


def _publish(model: Path, directory: Path, signing_key: str) -> PublishedVersion:
    digest = lineage.digest(model)
    existing = versions(directory)
    newest = max(existing, default=0)
    signed = existing and (existing[newest] / model_signature.FILE_NAME).is_file()
    same = existing and lineage.digest(existing[newest]) == digest
    # A version never changes, so what was published without a signature gets a version of its own.
    if same and (signed or not signing_key):
        return PublishedVersion(existing[newest], newest, is_new=False)
    partial = directory / f"{_PARTIAL}{uuid.uuid4().hex[:8]}"
    try:
        shutil.copytree(model, partial)
        if lineage.digest(partial) != digest:
            raise OSError(f"{partial}: the copy of {model} differs from it.")
        if signing_key:
            files.remove(partial / model_signature.FILE_NAME)
            signature = model_signature.sign(partial, Path(signing_key))
            files.write_text(partial / model_signature.FILE_NAME, signature)
        version = _claim_version(partial, directory)
    finally:
        files.remove(partial)
    return PublishedVersion(directory / str(version), version, is_new=True)


def _claim_version(partial: Path, directory: Path) -> int:
    while True:
        version = max(versions(directory), default=0) + 1
        final = directory / str(version)
        try:
            partial.rename(final)
        except OSError:
            # Another publisher took the number in between.
            if not final.exists():
                raise
        else:
            return version


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with (directory / _LOCK).open("w") as stream:
        # Released when the file is closed, also when the process is killed.
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
