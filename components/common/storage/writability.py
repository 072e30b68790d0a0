"""Whether this process may write to a place, found out by trying, before long work for it."""

import errno
import grp
import os
import pwd
import stat
import uuid
from pathlib import Path

from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.storage.location import parse
from kfp_tabular.components.common.storage.store_factory import open_store

PROBE = ".kfp-tabular-probe-"
"""Begins the name of a probe. A directory that is scanned for files ignores names with a dot."""

# More than a file system keeps beside a file's name, so that a full disk is noticed.
_PROBE_BYTES = 8192


def check(uri: str, argument: str) -> None:
    """Check that this process may write below a path or a URI. Leaves nothing behind.

    Args:
        uri: A directory, which need not exist: a local path, `file://`, `gs://`, `s3://` or
            `minio://`.
        argument: The argument that names it, for the message.

    Raises:
        UserError: If it may not. The message names the directory, its owner and mode, and the user
            of this process.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     check(f"{folder}/models", "model_repository")
        ...     list(Path(folder).iterdir())
        []
    """
    location = parse(uri)
    if location.is_local:
        _check_directory(location.path.absolute(), argument)
    else:
        key = "/".join(part for part in (location.key, f"{PROBE}{uuid.uuid4().hex[:8]}") if part)
        try:
            open_store(location).probe_write(key)
        except UserError as error:
            message = str(error).replace(key, location.key or "")
            raise UserError(f"{argument}: cannot write there: {message}") from error


def denied(path: Path, argument: str, error: OSError) -> UserError:
    """Return the error for a path that cannot be written, with what decides about it.

    Args:
        path: The file or directory that could not be written, or an ancestor that exists.
        argument: The argument that names the place.
        error: What the system answered.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = denied(Path(folder), "model_repository", PermissionError(13, "denied"))
        ...     str(found).startswith(f"model_repository: cannot write to {folder}: denied. It")
        True
    """
    problem = f"{argument}: cannot write to {path}: {error.strerror or error}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"{problem} Free space there, or use another place.")
    if error.errno == errno.EROFS:
        return UserError(f"{problem} Mount the volume for writing, or use another place.")
    try:
        found = path.stat()
    except OSError:
        return UserError(f"{problem} {_process()}.")
    user, group = os.getuid(), os.getgid()
    return UserError(
        f"{problem} It belongs to {_user(found.st_uid)} and {_group(found.st_gid)} with mode "
        f"{stat.filemode(found.st_mode)} ({stat.S_IMODE(found.st_mode):04o}); {_process()}. On "
        "Kubernetes, give the volume a group with fsGroup, or set prepare: true for it in the "
        f"configuration; elsewhere: chown {user}:{group} {path}."
    )


def _check_directory(path: Path, argument: str) -> None:
    existing = path
    while True:
        try:
            found = existing.stat()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except PermissionError as error:
            # An ancestor that this process may not enter.
            raise denied(_entered(existing), argument, error) from error
        except (OSError, ValueError) as error:
            # A name that is too long, links in a circle, a null character.
            problem = getattr(error, "strerror", None) or error
            raise UserError(f"{argument}: not a path that can be used: {problem}.") from error
        else:
            break
        if existing.is_symlink():
            target = existing.readlink()
            raise UserError(f"{argument}: {existing} is a link to {target}, which does not exist.")
        if existing == existing.parent:
            raise UserError(f"{argument}: {path} does not exist, and nothing above it.")
        existing = existing.parent
    if not stat.S_ISDIR(found.st_mode):
        raise UserError(f"{argument}: {existing} is a file, not a directory.")
    probe = existing / f"{PROBE}{uuid.uuid4().hex[:8]}"
    try:
        stream = probe.open("xb")
    except OSError as error:
        raise denied(existing, argument, error) from error
    # From here on there is a file to remove; before, a directory that is closed to this process
    # would refuse that as well.
    try:
        with stream:
            stream.write(b"\0" * _PROBE_BYTES)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise denied(existing, argument, error) from error
    finally:
        probe.unlink(missing_ok=True)


def _entered(path: Path) -> Path:
    """Return the ancestor whose entries this process may not look up."""
    for ancestor in path.parents:
        try:
            ancestor.stat()
        except PermissionError:
            continue
        return ancestor
    return path


def _process() -> str:
    groups = sorted({os.getgid(), *os.getgroups()})
    return f"this process runs as uid {os.getuid()} with gid {', '.join(map(str, groups))}"


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def _group(gid: int) -> str:
    try:
        return f"group {grp.getgrgid(gid).gr_name} (gid {gid})"
    except KeyError:
        return f"gid {gid}"
