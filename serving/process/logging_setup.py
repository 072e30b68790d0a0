"""Logging: one format, only warnings from libraries, and no start-up notes of TensorFlow."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_NOTE = re.compile(
    rb"I\d{4} "
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions"
    # A missing GPU is not an error.
    rb"|E\d{4} .*failed call to cuInit"
)


def configure(*, with_process: bool = False) -> None:
    """Configure the process's logging, to standard error.

    Args:
        with_process: Whether each line holds the process id.
    """
    line = _FORMAT.replace("%(name)s", "%(name)s[%(process)d]") if with_process else _FORMAT
    logging.basicConfig(level=logging.WARNING, format=line, stream=sys.stderr)
    logging.getLogger("kfp_tabular").setLevel(logging.INFO)
    set_access_log(False)
    # KServe adds its own handlers unless there are some; the root's are enough.
    logging.getLogger("kserve").setLevel(logging.WARNING)


def set_access_log(enabled: bool) -> None:
    """Set whether method, path and status of every HTTP request are logged."""
    logger = logging.getLogger("uvicorn.access")
    logger.setLevel(logging.INFO if enabled else logging.WARNING)
    logger.addFilter(_without_query)


def _without_query(record: logging.LogRecord) -> bool:
    """Remove the query from an access log line: no path takes one, and it may hold a key."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            part.partition("?")[0] if isinstance(part, str) else part for part in record.args
        )
    return True


@contextmanager
def without_start_up_notes() -> Iterator[None]:
    """Filter the notes that TensorFlow's libraries write to standard error while they are loaded.

    They write them before any of their logging settings takes effect. All other lines are passed
    on at the end of the block, even after an exception.
    """
    _flush()
    kept = os.dup(2)
    # In memory: on a full disk, a write to standard error would fail.
    with os.fdopen(os.memfd_create("stderr"), "rb") as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            _flush()
            os.dup2(kept, 2)
            os.close(kept)
            captured.seek(0)
            with contextlib.suppress(OSError):
                sys.stderr.buffer.writelines(line for line in captured if not _NOTE.match(line))
            _flush()


def _flush() -> None:
    # Standard error may be a file on a full disk, or a pipe that nobody reads any more.
    with contextlib.suppress(OSError):
        sys.stderr.flush()
