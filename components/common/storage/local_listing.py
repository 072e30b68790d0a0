"""The files that a local path names."""

import errno
import glob
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from kfp_tabular.components.common.errors import UserError, closest, shown
from kfp_tabular.components.common.storage.location import Location, matcher

_logger = logging.getLogger(__name__)

_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def find(location: Location) -> list[Path]:
    """Return the files that a local location names, sorted; at least one.

    Of a directory, all files below it whose names start neither with `_` nor with `.`. Links to
    directories are followed, each directory once.

    Raises:
        UserError: Nothing is found, or something there may not be read or is no file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     data = Path(folder, "data")
        ...     data.mkdir()
        ...     _ = (data / "a.csv").write_text("x")
        ...     (data / "again").symlink_to(data)
        ...     Path(folder, "link").symlink_to(data)
        ...     [path.name for path in find(Location("file", "", f"{folder}/link"))]
        ['a.csv']
    """
    path = location.path
    mode = mode_of(location)
    if mode is None:
        matches = (file for file in _matches(location) if file.is_file())
        found = [file for file in matches if not is_left_out(location, str(file))]
    elif stat.S_ISDIR(mode):
        found = list(_below(path))
    elif stat.S_ISREG(mode):
        found = [path]
    else:
        kind = _SPECIAL.get(stat.S_IFMT(mode), "not a file")
        raise UserError(f"{shown(path)}: this is {kind}. Write the data to a file and give that.")
    if not found:
        raise UserError(missing(location))
    return [_readable(file) for file in _once(found)]


def mode_of(location: Location) -> int | None:
    """Return the type and mode of what a local location names; None where there is nothing.

    Raises:
        UserError: The path cannot be looked up.
    """
    path = location.path
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise UserError(
                f"{shown(path)}: this is a link to {shown(path.readlink())}, which does not exist."
            ) from None
        return None
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from error


def missing(location: Location) -> str:
    """Return the message for a local location that names no file."""
    path, name = location.path, shown(location.path)
    if path.is_dir():
        hidden = any(path.iterdir())
        return f"{name}: the directory has no files" + (
            ", except those whose names start with '_' or '.'." if hidden else "."
        )
    if location.is_pattern:
        return f"{name}: no file matches this pattern."
    try:
        siblings = [shown(entry.relative_to(path.parent)) for entry in path.parent.iterdir()]
    except OSError:
        siblings = []
    return f"{name}: not found.{closest(path.name, siblings)}"


def is_left_out(pattern: Location, key: str) -> bool:
    """Whether a match of a pattern is bookkeeping that the pattern does not ask for."""
    folder = pattern.fixed_prefix.rpartition("/")[0]
    asked_for = is_bookkeeping(PurePath(pattern.key.removeprefix(folder).lstrip("/")))
    found = PurePath(key.removeprefix(folder).lstrip("/"))
    return not asked_for and is_bookkeeping(found)


def is_bookkeeping(relative: PurePath) -> bool:
    """Whether a name, or that of a folder above it, starts with `_` or `.`.

    Folders such as `_region=EU` are partitions, whatever the column is called.

    Example:
        >>> is_bookkeeping(PurePath("_temporary/a.csv")), is_bookkeeping(PurePath("_of=EU/a.csv"))
        (True, False)
    """
    return any(part[0] in "_." and "=" not in part for part in relative.parts)


def _matches(pattern: Location) -> Iterable[Path]:
    if "**" not in pattern.key:
        return map(Path, glob.glob(pattern.key))  # noqa: PTH207 - Path.glob takes no absolute pattern
    # The standard library goes round in circles of links.
    root = Path(pattern.fixed_prefix.rpartition("/")[0] or ("/" if pattern.key[0] == "/" else "."))
    matches = matcher(str(pattern.path)).fullmatch
    below = _below(root, hidden=True) if root.is_dir() else ()
    return (file for file in below if matches(str(file)))


def _below(root: Path, *, hidden: bool = False) -> Iterator[Path]:
    """Yield the files below a directory. Directories themselves come before links to them."""
    seen: set[tuple[int, int]] = set()
    waiting, links = [root], list[Path]()
    while waiting or links:
        folder = waiting.pop() if waiting else links.pop(0)
        try:
            found = folder.stat()
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            entries = sorted(folder.iterdir())
        except OSError as error:
            raise _unusable(folder, error) from error
        for entry in entries:
            if not hidden and is_bookkeeping(PurePath(entry.name)):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else waiting).append(entry)
            elif entry.is_file():
                yield entry
            elif entry.is_symlink():
                raise UserError(
                    f"{shown(entry)}: this is a link to {shown(entry.readlink())}, which does not "
                    "exist. Remove it, or restore the file."
                )


def _once(found: Iterable[Path]) -> list[Path]:
    """Return the paths sorted, without links to files that are among them."""
    files: dict[Path, Path] = {}
    for path in sorted(found, key=lambda path: (path.is_symlink(), path)):
        first = files.setdefault(path.resolve(), path)
        if first != path:
            _logger.info("%s is %s, which is read once", shown(path), shown(first))
    return sorted(files.values())


def _readable(file: Path) -> Path:
    try:
        file.open("rb").close()
    except OSError as error:
        raise _unusable(file, error) from error
    return file


def _unusable(path: Path, error: OSError | ValueError) -> UserError:
    number = getattr(error, "errno", None)
    problem = getattr(error, "strerror", None) or error
    if number == errno.ELOOP:
        problem = "symbolic links in a circle"
    elif number in (errno.EACCES, errno.EPERM):
        problem = f"permission denied to uid {os.geteuid()}. Change its mode or owner"
    return UserError(f"{shown(path)}: cannot be read: {problem}.")
