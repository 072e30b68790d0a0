"""Atomic writes: a directory or file appears complete, or not at all."""

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty directory beside `path`, and rename it to `path` when the block succeeds.

    A directory or file at `path` is replaced, so a retried task has the same result. If the block
    raises, the new directory is removed and `path` stays as it was.

    Args:
        path: The final directory. Missing parents are created.

    Yields:
        The directory to write into.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     with atomic_directory(f"{parent}/model") as directory:
        ...         write_text(directory / "model.json", "{}")
        ...     (Path(parent) / "model" / "model.json").read_text()
        '{}'
    """
    final = Path(path)
    if is_special(final):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(final))
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.partial-{uuid.uuid4().hex[:8]}")
    partial.mkdir()
    try:
        yield partial
        remove(final)
        partial.rename(final)
    finally:
        remove(partial)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 file atomically: beside `path` first, then renamed.

    Args:
        path: The final file. Missing parents are created. A link stays, and what it leads to is
            written; a device or a pipe is written into.
        text: The whole content.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     write_text(f"{parent}/reports/summary.txt", "3 rows")
        ...     (Path(parent) / "reports" / "summary.txt").read_text()
        '3 rows'
    """
    final = Path(path)
    if is_special(final):
        final.write_text(text, encoding="utf-8")
        return
    final = final.resolve() if final.is_symlink() else final
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


def is_special(path: Path) -> bool:
    """Whether a path is a device, a pipe or a socket: renaming to it would put a file there."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def remove(path: Path) -> None:
    """Remove a file, or a directory with its content, if it exists.

    Args:
        path: What to remove. Of a symbolic link, only the link is removed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     write_text(f"{parent}/model/model.json", "{}")
        ...     remove(Path(parent) / "model")
        ...     remove(Path(parent) / "model")  # a missing path is ignored
        ...     list(Path(parent).iterdir())
        []
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
