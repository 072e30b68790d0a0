"""What the end of a process uses of Python beyond its documented interface."""

import subprocess
import sys

from tests.private_seams import seam

PROGRAM = """
import atexit, threading, time
from concurrent.futures import ThreadPoolExecutor

atexit.register(print, "first registered")
atexit.register(print, "last registered")
ThreadPoolExecutor().submit(lambda: (time.sleep(0.2), print("pool")))
threading.Thread(target=lambda: (time.sleep(0.4), print("thread"))).start()
threading._shutdown()
print("threads have ended")
atexit._run_exitfuncs()
print("end")
"""


def test_the_first_steps_of_a_shutdown_can_be_taken_once() -> None:
    with seam(
        "Python",
        "threading._shutdown and atexit._run_exitfuncs",
        user="components/common/process/process_exit.py",
    ):
        command = [sys.executable, "-c", PROGRAM]
        printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout

        # Python's own shutdown, which follows, neither waits nor calls anything again.
        assert printed.splitlines() == [
            "pool",
            "thread",
            "threads have ended",
            "last registered",
            "first registered",
            "end",
        ]
