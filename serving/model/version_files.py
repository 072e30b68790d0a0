"""The files of a model version: what may be among them, found without opening any.

A version is regular files in directories. Links are followed while they stay inside:

- The version's directory itself may be a link, as git-sync and KServe's modelcars have it.
- A file or directory in it may be a link to another place in it, as Kubernetes' `..data` is.
- If everything in it is a link into one other directory, that is its content: KServe's storage
  initializer makes this of a model on a volume.

Anything else is refused: a named pipe keeps its reader waiting for good, a device never ends, two
links to the directory that holds them make endless paths, and a link that leads elsewhere brings
files that nobody published. Names that start with a dot belong to the tool that copied the files.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kfp_tabular.components.common.errors import UserError

SAVED_MODEL = "saved_model.pb"

MOST_FILES = 10_000

Fingerprint = frozenset[tuple[str, int, int]]

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class VersionFile:
    """A regular file of a version.

    Attributes:
        name: Its name relative to the version, with `/`.
        path: Where it is.
        size: In bytes.
        changed: The time of its content, in nanoseconds.
    """

    name: str
    path: Path
    size: int
    changed: int


@dataclass(frozen=True)
class VersionFiles:
    """What a version's directory holds.

    Attributes:
        files: Its regular files, by name.
        problem: What is among them that must not be; empty if nothing is. Begins with the path.
    """

    files: Sequence[VersionFile]
    problem: str = ""

    @property
    def fingerprint(self) -> Fingerprint:
        """Name, size and time of each file. It changes when content does."""
        found = {(file.name, file.size, file.changed) for file in self.files}
        return frozenset(found | ({(self.problem, -1, -1)} if self.problem else set()))

    @property
    def total_bytes(self) -> int:
        """The size of all files."""
        return sum(file.size for file in self.files)


class _RefusedError(Exception):
    """Something that a version must not hold."""


def list_files(directory: Path) -> VersionFiles:
    """Return the files of a version.

    Args:
        directory: The version's directory, or a link to it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     os.mkfifo(f"{folder}/saved_model.pb")
        ...     list_files(Path(folder)).problem.removeprefix(folder)
        '/saved_model.pb: a named pipe; a version holds regular files only'
    """
    found: list[VersionFile] = []
    try:
        for file in _Walk(directory).files():
            found.append(file)
            if len(found) > MOST_FILES:
                raise _RefusedError(f"{directory}: more than {MOST_FILES} files")
    except _RefusedError as refused:
        return VersionFiles(found, str(refused))
    return VersionFiles(sorted(found, key=lambda file: file.name.split("/")))


class _Walk:
    def __init__(self, directory: Path) -> None:
        self._root = directory
        self._seen: set[tuple[int, int]] = set()
        self._allowed: list[str] = []

    def files(self) -> Iterator[VersionFile]:
        # Removed, not a directory or not reachable: no files.
        top = _entries(self._root)
        self._allowed = [os.path.realpath(self._root)]
        shown = [entry for entry in top if not entry.name.startswith(".")]
        if shown and all(entry.is_symlink() for entry in shown):
            parents = {str(Path(os.path.realpath(entry.path)).parent) for entry in shown}
            if len(parents) == 1:
                self._allowed += parents
        try:
            state = self._root.stat()
        except OSError:
            return
        self._seen.add((state.st_dev, state.st_ino))
        yield from self._within(shown, "")

    def _within(self, entries: Sequence["os.DirEntry[str]"], prefix: str) -> Iterator[VersionFile]:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            try:
                if entry.is_symlink():
                    self._check_link(entry)
                state = entry.stat()
            except OSError as error:
                if entry.is_symlink():
                    raise _RefusedError(f"{entry.path}: a link that leads nowhere") from error
                # Removed since it was listed; the next look sees the change.
                continue
            if stat.S_ISDIR(state.st_mode):
                identity = state.st_dev, state.st_ino
                if identity in self._seen:
                    raise _RefusedError(
                        f"{entry.path}: a link to a directory that is listed already"
                    )
                self._seen.add(identity)
                if len(self._seen) > MOST_FILES:
                    raise _RefusedError(f"{self._root}: more than {MOST_FILES} directories")
                yield from self._within(_entries(Path(entry.path)), f"{name}/")
            elif stat.S_ISREG(state.st_mode):
                yield VersionFile(name, Path(entry.path), state.st_size, state.st_mtime_ns)
            else:
                kind = _KINDS.get(stat.S_IFMT(state.st_mode), "not a regular file")
                raise _RefusedError(f"{entry.path}: {kind}; a version holds regular files only")

    def _check_link(self, entry: "os.DirEntry[str]") -> None:
        target = os.path.realpath(entry.path)
        if not any(target == root or target.startswith(f"{root}/") for root in self._allowed):
            raise _RefusedError(
                f"{entry.path}: a link that leaves the version; copy its target into the version"
            )


def _entries(directory: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(directory) as entries:
            found = []
            for entry in entries:
                found.append(entry)
                if len(found) > MOST_FILES:
                    raise _RefusedError(f"{directory}: more than {MOST_FILES} entries")
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


@contextmanager
def open_file(file: VersionFile) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Raises:
        UserError: If it cannot be opened, or not be read within the block.
    """
    try:
        # Not blocking, should a named pipe have taken its place.
        with os.fdopen(os.open(file.path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            yield stream
    except OSError as error:
        raise UserError(f"{file.path}: cannot be read: {error.strerror}.") from error


def read_whole(file: VersionFile, most_bytes: int) -> bytes:
    """Return a small file's content.

    Args:
        file: The file.
        most_bytes: How large it may be.

    Raises:
        UserError: If it is larger, or cannot be read.
    """
    with open_file(file) as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise UserError(f"{file.path}: larger than {most_bytes // 2**20} MiB.")
    return content
