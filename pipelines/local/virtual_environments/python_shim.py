"""Replaces `python3` on a task's PATH and passes the call to a preloaded interpreter.

Run by file name with the image's own interpreter, isolated and without site-packages
(`python3 -IS python_shim.py SOCKET REAL_PYTHON ARGS...`), so it starts in milliseconds and imports
the standard library only. Calls other than `-m MODULE` go to the real interpreter.
"""

import array
import json
import os
import signal
import socket
import sys


def main() -> int:
    """Run the call in a child of the preloaded interpreter, as if it ran here.

    Returns:
        The child's exit code; 128 + N where signal N ended it.
    """
    address, python, *arguments = sys.argv[1:]
    if arguments[:1] != ["-m"]:
        os.execv(python, [python, *arguments])  # noqa: S606 - a task's own command
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(address)
    request = json.dumps(
        {"arguments": arguments[1:], "directory": os.getcwd(), "environment": dict(os.environ)}
    ).encode()
    streams = array.array("i", [0, 1, 2]).tobytes()
    connection.sendmsg(
        [len(request).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)]
    )
    connection.sendall(request)
    replies = connection.makefile("r")
    pid = int(replies.readline())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: os.killpg(pid, received))
    answer = replies.readline()
    # Without an answer the preloaded interpreter has ended, and its tasks with it.
    return int(answer) if answer else 1


if __name__ == "__main__":
    sys.exit(main())
