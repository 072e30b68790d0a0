"""An interpreter that has imported TensorFlow once and forks a process for each task.

Importing TensorFlow takes longer than most tasks on small data. On a machine that runs a whole
pipeline, the import happens once per environment, while earlier tasks run. Every task is still a
process of its own, with its own memory, arguments, environment and exit code; `python_shim` passes
the call on and waits.

It is started with `--socket PATH --preload MODULE,MODULE:FUNCTION`; such a function imports more.
"""

import argparse
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

Task = Callable[[], None]


class ForkRequest(TypedDict):
    """A call to run: `python -m ARGUMENTS` in a directory and an environment."""

    arguments: list[str]
    directory: str
    environment: dict[str, str]


def main() -> None:
    """Import the modules and call the functions, then serve until the standard input closes.

    The standard input is a pipe from the process that started this one, so that nothing is left
    running when that process dies, however it dies.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", required=True, type=Path)
    parser.add_argument("--preload", required=True)
    arguments = parser.parse_args()
    for wanted in arguments.preload.split(","):
        module, _, function = wanted.partition(":")
        imported = importlib.import_module(module)
        if function:
            getattr(imported, function)()
    # Objects that live to the end are left out of collection: children then share their memory.
    gc.collect()
    gc.freeze()
    task = _serve(arguments.socket)
    if task is not None:
        task()


def _serve(address: Path) -> Task | None:
    """Fork for each connection. Return in the parent at the end, in a child with its task."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"{address}.partial")
    listener.listen()
    # Named only once it answers, so a caller that sees the file can connect.
    Path(f"{address}.partial").rename(address)
    while True:
        readable, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in readable:
            return None
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return _supervise(connection)
        connection.close()


def _supervise(connection: socket.socket) -> Task | None:
    """Fork the task and report how it ended; kill it if the caller disconnects."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # An interrupted run ends its tasks through the processes that called them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request, streams = _receive(connection)
    child = os.fork()
    if child == 0:
        connection.close()
        return lambda: _run(request, streams)
    # A second call from the parent's side, since either of the two may come first.
    with contextlib.suppress(PermissionError):
        os.setpgid(child, child)
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{child}\n".encode())
    ended = os.pidfd_open(child)
    readable, _, _ = select.select([connection.fileno(), ended], [], [])
    if ended not in readable:
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(f"{code if code >= 0 else 128 - code}\n".encode())
    os._exit(0)


def _receive(connection: socket.socket) -> tuple[ForkRequest, list[int]]:
    header, streams, _, _ = socket.recv_fds(connection, 8, 3)
    size = int.from_bytes(header, "big")
    with connection.makefile("rb") as stream:
        return json.loads(stream.read(size)), streams


def _run(request: ForkRequest, streams: list[int]) -> None:
    """Become `python -m MODULE ARGS` with the caller's streams, directory and environment."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
        os.close(stream)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    module, *arguments = request["arguments"]
    search = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:0] = [os.getcwd(), *search]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
