"""Ownership of the folders that containers write to, in runs that root starts.

Containers never run as root. If root starts a run, as in a development container, the container's
user owns the folders that a task writes to while the task runs; afterwards root owns them again.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kfp_tabular.components.common.errors import UserError


@dataclass(frozen=True)
class Loan:
    """The caller's folders that another user owns while a task runs.

    Attributes:
        folders: The folders, with all their content. Missing ones are created.
        ways: Their parent folders, which may be closed to others; without their content.
        user: The other user, `uid:gid`.
    """

    folders: Sequence[Path]
    ways: Sequence[Path]
    user: str

    def give(self) -> None:
        """Transfer the folders to the other user."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        self._change(self.user)

    def take_back(self) -> None:
        """Transfer the folders back to the caller."""
        self._change(f"{os.getuid()}:{os.getgid()}")

    def _change(self, user: str) -> None:
        for folder in self.folders:
            _own([folder, *folder.rglob("*")], user)
        _own(self.ways, user)


def check_readable(paths: Iterable[Path], user: str) -> None:
    """Check by their modes that another user may read files and folders.

    Args:
        paths: The files and folders.
        user: The user, for the message.

    Raises:
        UserError: For the first that it may not read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:  # only its owner may read it
        ...     check_readable([Path(folder)], "65532:65532")
        Traceback (most recent call last):
            ...
        kfp_tabular.components.common.errors.UserError: ...: only root may read this, and
        containers run as 65532:65532. Let others read it ('chmod -R o+rX ...'), or start the run as
        the user who owns it.
    """
    for path in paths:
        needed = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
        if path.stat().st_mode & needed != needed:
            raise UserError(
                f"{path}: only root may read this, and containers run as {user}. Let others read "
                f"it ('chmod -R o+rX {path}'), or start the run as the user who owns it."
            )


def _own(paths: Iterable[Path], user: str) -> None:
    uid, gid = map(int, user.split(":"))
    for path in paths:
        # A temporary file may have been removed meanwhile. Of a symbolic link only the link itself
        # changes hands.
        with contextlib.suppress(FileNotFoundError):
            os.chown(path, uid, gid, follow_symlinks=False)
