"""Digests of files and folders as a task may read them.

Each run reads a file in full: neither its size nor its times show that the content is the same.
Within a run it is read once, as long as size, inode and times stay; the time of the last change
(ctime) is the kernel's, and no program can set it.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_Signature = tuple[int, int, int, int]


class UnreadableContentError(Exception):
    """What is at a path has no content that could be compared: a pipe, a device, no permission."""


class Contents:
    """Reads digests, and remembers them for the duration of a run."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[_Signature, str]] = {}

    def of(self, path: Path) -> str:
        """Return the digest of a file's bytes, or of a folder's names and files.

        All files count, hidden ones, too; links are followed. Byte code of Python does not count.

        Args:
            path: A file or a folder.

        Raises:
            UnreadableContentError: For anything else, also within the folder.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     file = Path(folder) / "data.csv"
            ...     _ = file.write_text("a", encoding="utf-8")
            ...     before = Contents().of(Path(folder))
            ...     _ = file.write_text("b", encoding="utf-8")
            ...     Contents().of(Path(folder)) == before
            False
        """
        try:
            if not path.is_dir():
                return self._file(path)
            whole = hashlib.sha256()
            for name, file in _files(path):
                whole.update(f"{name}\0{self._file(file) if file else 'folder'}\n".encode())
        except (OSError, UnicodeEncodeError) as error:
            raise UnreadableContentError(f"{path}: {error}") from error
        return whole.hexdigest()

    def _file(self, path: Path) -> str:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableContentError(f"{path}: not a file")
        signature = (found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
        known = self._known.get(str(path))
        if known and known[0] == signature:
            return known[1]
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self._known[str(path)] = signature, digest
        return digest


def _files(folder: Path) -> Iterator[tuple[str, Path | None]]:
    """Yield the files below a folder by relative name, in order; for an empty folder, None."""
    visited: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_raise):
        found = Path(place).stat()
        if (found.st_dev, found.st_ino) in visited:  # links in a circle
            folders.clear()
            continue
        visited.add((found.st_dev, found.st_ino))
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        relative = Path(place).relative_to(folder).as_posix()
        if not folders and not names:
            yield relative, None
        for name in sorted(names):
            yield f"{relative}/{name}", Path(place) / name


def _raise(error: OSError) -> None:
    raise error
