"""Directories and files that are written whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives an empty directory beside `path` and renames it to `path` when the block succeeds.

    A directory (or file) already at `path` is replaced, so that a retried task gives the same
    result. Nothing is left behind where the block raises.

    Args:
        path: The final directory. Its parents are made.

    Yields:
        The directory to write into.
    """
    final = Path(path)
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
    """Writes a UTF-8 file beside `path` and renames it. Parents are made.

    Args:
        path: The final file.
        text: Its whole content.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.partial-{uuid.uuid4().hex[:8]}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Removes a file or a directory with all it holds; nothing happens where there is none.

    Args:
        path: What to remove. A symbolic link is removed itself, never what it points to.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
