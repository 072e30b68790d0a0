"""Lets an unprivileged container write into folders of root, and gives root what it wrote.

Containers never run as root. Where root starts a run, as in a development container, the folders
that a task writes are the container's user's for as long as the task runs.
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
    """The caller's folders that are another user's while a task runs.

    Attributes:
        folders: With all they hold. They are made where they do not exist.
        ways: Folders on the way there, which may be closed to others; without what they hold.
        user: The other user, `uid:gid`.
    """

    folders: Sequence[Path]
    ways: Sequence[Path]
    user: str

    def give(self) -> None:
        """Gives the folders away."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        self._change(self.user)

    def take_back(self) -> None:
        """Makes them the caller's again."""
        self._change(f"{os.getuid()}:{os.getgid()}")

    def _change(self, user: str) -> None:
        for folder in self.folders:
            _own([folder, *folder.rglob("*")], user)
        _own(self.ways, user)


def check_readable(paths: Iterable[Path], user: str) -> None:
    """Makes sure that another user may read files and folders, as far as their modes tell.

    Args:
        paths: What it is to read.
        user: The user, for the message.

    Raises:
        UserError: For the first that it may not.
    """
    for path in paths:
        needed = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
        if path.stat().st_mode & needed != needed:
            raise UserError(
                f"{path}: only root may read this, and containers run as {user}. Let others read "
                f"it ('chmod -R o+rX {path}'), or start the run as the user that it belongs to."
            )


def _own(paths: Iterable[Path], user: str) -> None:
    uid, gid = map(int, user.split(":"))
    for path in paths:
        # A temporary file may have gone meanwhile. A symbolic link is given itself, never what it
        # points to.
        with contextlib.suppress(FileNotFoundError):
            os.chown(path, uid, gid, follow_symlinks=False)
