"""The end of a process that has done its work: at once, without a shutdown of the interpreter.

After TensorFlow was loaded, Python takes one to four seconds to tear down modules and thread pools
that nothing needs any more.
"""

import atexit
import gc
import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any


@contextmanager
def without_shutdown() -> Iterator[None]:
    """End the process after the block without the interpreter's shutdown, if the block succeeds.

    For a program's whole work, as its `__main__` calls it. After an exception or an exit code,
    Python ends as usual.

    What else Python does at the end of a process still happens: it waits for threads that are not
    daemons, and calls what was registered with `atexit`. Then the log, the output streams and all
    files that are still open are flushed.

    Example:
        >>> import subprocess
        >>> program = '''
        ... import atexit
        ... from kfp_tabular.components.common.process.process_exit import without_shutdown
        ... atexit.register(print, "cleaned up")
        ... with without_shutdown():
        ...     print("written")
        ... '''
        >>> print(subprocess.check_output([sys.executable, "-c", program], text=True).strip())
        written
        cleaned up
    """
    # Measured or debugged: such tools write what they found when the interpreter shuts down.
    shuts_down = "coverage" in sys.modules or sys.gettrace() is not None
    yield
    if not shuts_down:
        # Python's own first steps at its end; it does not repeat them if _end returns.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        _end()


def _end() -> None:
    """End the process with code 0; return if not all output could be flushed.

    Python's own shutdown reports that, with exit code 120.
    """
    try:
        logging.shutdown()
        for stream in _open_streams():
            stream.flush()
    except (OSError, ValueError):
        return
    os._exit(0)


def _open_streams() -> list[IO[Any]]:
    """Return Python's open files, text before the bytes below it; stdout and stderr are among them.

    A file that someone's own function left open loses what its buffer holds, otherwise.
    """
    # By exact type: `isinstance` would wake objects that load a module when they are looked at.
    kinds = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    found = gc.get_objects()
    opened: list[Any] = [sys.stdout, sys.stderr]
    opened += [stream for kind in kinds for stream in found if type(stream) is kind]
    return [stream for stream in opened if stream is not None and not stream.closed]
