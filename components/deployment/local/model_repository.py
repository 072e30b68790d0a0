"""A model repository on a file system: `<root>/<name>/<version>/`, as TensorFlow Serving reads it.

Versions are whole numbers from 1 on. A version appears whole, by renaming, and never changes.
"""

import fcntl
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts import lineage
from kfp_tabular.components.common.errors import UserError

_VERSION = re.compile(r"[0-9]+")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LONGEST_NAME = 50
_LOCK = ".lock"
_PARTIAL = ".partial-"


@dataclass(frozen=True)
class Published:
    """A version in a repository.

    Attributes:
        path: Its directory, absolute.
        version: Its number.
        new: Whether this call made it; else the newest version already held this model.
    """

    path: Path
    version: int
    new: bool


def check_name(name: str) -> None:
    """Checks a model's name, which names a directory, an endpoint's path and a Kubernetes object.

    Raises:
        UserError: Where it is not lower-case letters, digits and inner hyphens, 50 at most.
    """
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise UserError(
            f"model_name: {name!r} is not fit; use at most {_LONGEST_NAME} lower-case letters, "
            "digits and hyphens, with a letter or digit first and last."
        )


def versions(directory: Path) -> dict[int, Path]:
    """Gives the versions below a model's directory in a repository, by number."""
    return {
        int(entry.name): entry for entry in directory.iterdir() if _VERSION.fullmatch(entry.name)
    }


def publish(model: Path, root: Path, name: str) -> Published:
    """Adds a model to a repository as its newest version.

    Publishers of one model take turns. Should the file system not keep a lock between machines,
    versions still never collide: a directory cannot be renamed onto one that holds something.

    Args:
        model: A model artifact's directory.
        root: The repository; made where there is none.
        name: The model's name in it.

    Returns:
        The version made, or the newest one where it already holds exactly this model, so that a
        retry changes nothing.

    Raises:
        UserError: For a name that is not fit, or a repository that cannot be written.
    """
    check_name(name)
    directory = root.absolute() / name
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UserError(
            f"model_repository {root}: cannot make {directory}: {error.strerror}."
        ) from error
    with _turn(directory):
        for leftover in directory.glob(f"{_PARTIAL}*"):
            files.remove(leftover)
        return _publish(model, directory)


def _publish(model: Path, directory: Path) -> Published:
    digest = lineage.digest(model)
    existing = versions(directory)
    newest = max(existing, default=0)
    if existing and lineage.digest(existing[newest]) == digest:
        return Published(existing[newest], newest, new=False)
    partial = directory / f"{_PARTIAL}{uuid.uuid4().hex[:8]}"
    try:
        shutil.copytree(model, partial)
        if lineage.digest(partial) != digest:
            raise OSError(f"{partial}: the copy of {model} differs from it.")
        version = _claim(partial, directory)
    finally:
        files.remove(partial)
    return Published(directory / str(version), version, new=True)


def _claim(partial: Path, directory: Path) -> int:
    while True:
        version = max(versions(directory), default=0) + 1
        final = directory / str(version)
        try:
            partial.rename(final)
        except OSError:
            # Somebody else took the number in between.
            if not final.exists():
                raise
        else:
            return version


@contextmanager
def _turn(directory: Path) -> Iterator[None]:
    try:
        stream = (directory / _LOCK).open("w")
    except PermissionError as error:
        raise UserError(f"model_repository: {directory} cannot be written.") from error
    with stream:
        # Released when the file is closed, also by the end of a killed process.
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
