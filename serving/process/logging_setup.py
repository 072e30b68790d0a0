"""Tidy logs: one format, warnings of libraries only, and none of TensorFlow's start-up notes."""

import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_NOTE = re.compile(
    rb"I\d{4} "
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|To enable the following instructions"
    # There is no GPU, which is no error.
    rb"|E\d{4} .*failed call to cuInit"
)


def configure(*, with_process: bool = False) -> None:
    """Sets the process's logging up, to standard error.

    Args:
        with_process: Whether to name the process in each line.
    """
    line = _FORMAT.replace("%(name)s", "%(name)s[%(process)d]") if with_process else _FORMAT
    logging.basicConfig(level=logging.WARNING, format=line, stream=sys.stderr)
    logging.getLogger("kfp_tabular").setLevel(logging.INFO)
    set_access_log(False)
    # KServe configures its own handlers unless it finds some; the root's are enough.
    logging.getLogger("kserve").setLevel(logging.WARNING)


def set_access_log(wanted: bool) -> None:
    """Says whether to log a line per REST request (method, path and status)."""
    logger = logging.getLogger("uvicorn.access")
    logger.setLevel(logging.INFO if wanted else logging.WARNING)
    logger.addFilter(_without_query)


def _without_query(record: logging.LogRecord) -> bool:
    """Cuts the query off an access line: nothing here takes one, and it may hold a key."""
    if isinstance(record.args, tuple):
        record.args = tuple(
            part.partition("?")[0] if isinstance(part, str) else part for part in record.args
        )
    return True


@contextmanager
def without_start_up_notes() -> Iterator[None]:
    """Keeps from standard error what TensorFlow's libraries note while they are loaded.

    They do so before any of their settings for logging can take effect. Everything that is not
    such a note is passed on when the block ends, however it ends.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            captured.seek(0)
            for line in captured:
                if not _NOTE.match(line):
                    sys.stderr.buffer.write(line)
            sys.stderr.flush()
