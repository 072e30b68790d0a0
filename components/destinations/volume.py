"""Makes a volume writable for a group, as Kubernetes does with `fsGroup`.

Pipelines' platform document has no `fsGroup`, and a container that it starts as root has no
capabilities. What remains to root are the rights of an owner: over the files that root owns it may
set the mode, and the group to its own.
"""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from kfp_tabular.components.common.errors import UserError

_GROUP = stat.S_IRWXG


def prepare(mount: Path, places: Sequence[Path] = ()) -> list[Path]:
    """Make a volume writable for the group of this process.

    Changes the volume's root, the directories from there to each place, and the files directly in
    the place, such as the lock of an earlier publisher. What the group may write already, and all
    else on the volume, stays as it is.

    Args:
        mount: Where the volume is mounted.
        places: Directories on it that will be written to; they need not exist.

    Returns:
        What was changed.

    Raises:
        UserError: If the volume is not mounted there, or belongs to another user.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mount = Path(folder)
        ...     mount.chmod(0o755)
        ...     changed = prepare(mount), prepare(mount)
        ...     [len(each) for each in changed], oct(mount.stat().st_mode & 0o7777)
        ([1, 0], '0o2775')
    """
    if not mount.is_dir():
        raise UserError(f"prepare: {mount} is not a directory; no volume is mounted there.")
    wanted = [mount]
    for place in places:
        way = [parent for parent in reversed(place.parents) if parent.is_relative_to(mount)]
        wanted += [path for path in (*way, place) if path.is_dir()]
        if place.is_dir():
            wanted += [path for path in sorted(place.iterdir()) if path.is_file()]
    # A link, or `..`, could lead out of the volume, also from a directory further up.
    root = mount.resolve()
    own = [
        path for path in dict.fromkeys(wanted) if path.resolve() == root / path.relative_to(mount)
    ]
    return [path for path in own if _open(path)]


def _open(path: Path) -> bool:
    """Give a file or directory to this process's group; return whether anything changed."""
    found, group = path.stat(), os.getgid()
    is_directory = stat.S_ISDIR(found.st_mode)
    # New entries of a directory with this bit belong to the directory's group.
    rights = _GROUP | stat.S_ISGID if is_directory else stat.S_IRGRP | stat.S_IWGRP
    needed = _GROUP if is_directory else rights
    if found.st_gid == group and found.st_mode & needed == needed:
        return False
    try:
        if found.st_gid != group:
            os.chown(path, -1, group)
        path.chmod(stat.S_IMODE(found.st_mode) | rights)
    except PermissionError as error:
        raise UserError(
            f"prepare: {path} belongs to uid {found.st_uid}, gid {found.st_gid} with mode "
            f"{stat.S_IMODE(found.st_mode):04o}, and this process runs as uid {os.getuid()}, gid "
            f"{group}: only its owner may open it to a group. Ask for fsGroup, or change its owner "
            "where the volume is provided."
        ) from error
    return True
