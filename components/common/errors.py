"""The two kinds of failure, and how a task reports them.

A `UserError` is bad input or configuration: one clear line, exit code 2, never retried.
Everything else is a failure of the system: a traceback, exit code 1, may be retried.
"""

import difflib
import errno
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

USER_ERROR_EXIT_CODE = 2
USER_ERROR_PREFIX = "kfp-tabular: error: "

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_USABLE = (
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)

_logger = logging.getLogger(__name__)


class UserError(Exception):
    """Bad input or configuration.

    The message is one line that names the file, column, row or field at fault and what to do.
    """


def closest(name: str, candidates: Iterable[str], most: int = 3) -> str:
    """Return a hint at similar names, to append to an error message.

    Args:
        name: The name that was given.
        candidates: The names that are accepted.
        most: The largest number of names in the hint.

    Returns:
        The hint with a leading space; the empty string if no name is similar.

    Example:
        >>> "Unknown column 'Lable'." + closest("Lable", ["label", "amount"])
        "Unknown column 'Lable'. Did you mean 'label'?"
    """
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    matches = difflib.get_close_matches(name.casefold(), by_folded, n=most, cutoff=0.6)
    if not matches:
        return ""
    return f" Did you mean {' or '.join(repr(by_folded[match]) for match in matches)}?"


def storage_error(error: OSError) -> UserError | None:
    """Return what to tell about a disk that is full or a path that cannot be used; else None.

    Example:
        >>> print(storage_error(OSError(errno.ENOSPC, "No space left on device", "/data/run")))
        /data/run: no space left on device. Free space there, or use another place.
        >>> storage_error(OSError(errno.EIO, "Input/output error")) is None
        True
    """
    if error.errno not in (*_FULL, *_NOT_USABLE):
        return None
    place = "the output" if error.filename is None else shown(error.filename)
    problem = os.strerror(error.errno)
    if error.errno in _FULL:
        hint = "Free space there, or use another place."
    else:
        hint = "Give another path, or change its mode or owner."
    return UserError(f"{place}: {problem[0].lower()}{problem[1:]}. {hint}")


def shown(path: str | bytes | os.PathLike[str]) -> str:
    r"""Return a path as text that can be written everywhere; bytes that are no text as `\xNN`.

    Example:
        >>> shown("data\udce9.csv")
        'data\\xe9.csv'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def find_user_error(log: Sequence[str]) -> str:
    """Return the message of the last user error that a process reported in its log.

    Args:
        log: Lines of the log.

    Returns:
        The message without the prefix; the empty string where the log holds none.

    Example:
        >>> find_user_error(["epoch 1", "kfp-tabular: error: houses.csv has no rows.", "exit"])
        'houses.csv has no rows.'
    """
    for line in reversed(log):
        _, found, message = line.partition(USER_ERROR_PREFIX)
        if found:
            return message
    return ""


@contextmanager
def reported_to_user() -> Iterator[None]:
    """Report a `UserError` as one line in the task's log, and exit with code 2.

    The interface of every component runs its logic inside. A full disk and a path that cannot be
    used are reported alike. Other exceptions pass through.

    Raises:
        SystemExit: With code 2, if the block raised `UserError`.

    Example:
        >>> try:
        ...     with reported_to_user():
        ...         raise UserError("houses.csv has no rows.")
        ... except SystemExit as end:
        ...     end.code
        2
    """
    try:
        yield
    except (UserError, OSError) as error:
        told = error if isinstance(error, UserError) else storage_error(error)
        if told is None:
            raise
        message = " ".join(str(told).split())
        _logger.error("%s%s", USER_ERROR_PREFIX, message)
        raise SystemExit(USER_ERROR_EXIT_CODE) from error
