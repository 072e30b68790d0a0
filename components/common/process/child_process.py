"""Child processes: how one is started, signalled and stopped, and the end of its log.

A child leads a session of its own, so ctrl-C in a terminal reaches only the parent, which decides
what becomes of its children, and a signal to the child reaches its children, too. `termination`
tells the parent that it should stop.

The endpoint's supervisor does not use this: it passes on the signal it received, waits for
connections to drain, replaces workers that end, and shares sockets with them.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

_TAIL_BYTES = 65_536

# 1 is PR_SET_PDEATHSIG of prctl(2). The setting survives execv. A parent that ended before it took
# effect is noticed by its number.
_WITH_DEATH_SIGNAL = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(1, int(sys.argv[1]))\n"
    "if os.getppid() != int(sys.argv[2]): sys.exit('the parent process has ended')\n"
    "os.execvp(sys.argv[3], sys.argv[3:])\n"
)


class ChildProcess:
    """A running child process, the leader of its own session.

    Args:
        command: The program and its arguments.
        environment: All of its variables; None for those of this process.
        log: The file that receives its output, standard error included. None to read the output
            with `lines`.
        death_signal: The signal that the kernel sends to the child when this process ends in
            whatever way, SIGKILL included; None for none. Linux sends it when the thread that
            started the child ends, so start such a child in the main thread.

    Example:
        >>> child = ChildProcess([sys.executable, "-c", "print('ready')"])
        >>> list(child.lines()), child.wait()
        (['ready'], 0)
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        log: Path | None = None,
        death_signal: signal.Signals | None = None,
    ) -> None:
        wrapper: list[str] = []
        if death_signal is not None:
            wrapper = [sys.executable, "-I", "-S", "-c", _WITH_DEATH_SIGNAL]
            wrapper += [str(int(death_signal)), str(os.getpid())]
        self._process = self._start([*wrapper, *command], environment, log)

    @staticmethod
    def _start(
        command: Sequence[str], environment: Mapping[str, str] | None, log: Path | None
    ) -> "subprocess.Popen[str]":
        stream = subprocess.PIPE if log is None else log.open("wb")
        try:
            return subprocess.Popen(
                command,
                env=None if environment is None else dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        finally:
            if not isinstance(stream, int):
                stream.close()

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group and session."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended, as far as `poll` or `wait` has seen: negative for a signal."""
        return self._process.returncode

    def lines(self) -> Iterator[str]:
        """Yield the output line by line as it comes, without line ends, until it is closed."""
        if self._process.stdout is None:
            return
        with self._process.stdout as stream:
            for line in stream:
                yield line.removesuffix("\n")

    def poll(self) -> int | None:
        """Return the exit code, or None while the process is running."""
        return self._process.poll()

    def wait(self, seconds: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            TimeoutError: It is still running after `seconds`.
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"process {self.pid} is running after {seconds} s") from error

    def terminate(self) -> None:
        """Send SIGTERM to the process and its children, unless it has ended."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the process and its children, unless it has ended."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # Another thread may collect it between the two calls.
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)


Child = TypeVar("Child", bound=ChildProcess)


def stop(children: Sequence[Child], grace_seconds: float) -> list[Child]:
    """Stop processes together: SIGTERM to all, SIGKILL to those still running after the grace time.

    Args:
        children: The processes; those that have ended are left alone.
        grace_seconds: How long all of them have together, from now.

    Returns:
        Those that were killed. All have ended.

    Example:
        >>> child = ChildProcess(["sleep", "60"])
        >>> stop([child], grace_seconds=5), child.wait() == -signal.SIGTERM
        ([], True)
    """
    for child in children:
        child.terminate()
    return wait_or_kill(children, grace_seconds)


def wait_or_kill(children: Sequence[Child], grace_seconds: float) -> list[Child]:
    """Wait for processes that were told to stop, and kill those still running after the grace time.

    Args:
        children: The processes.
        grace_seconds: How long all of them have together, from now.

    Returns:
        Those that were killed. All have ended.

    Example:
        >>> child = ChildProcess(["sleep", "60"])
        >>> wait_or_kill([child], grace_seconds=0) == [child], child.wait() == -signal.SIGKILL
        (True, True)
    """
    deadline = time.monotonic() + grace_seconds
    killed = []
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            child.kill()
            child.wait()
            killed.append(child)
    return killed


def last_lines(log: Path, count: int | None = None) -> list[str]:
    """Return the last lines of a log, read from its last 64 KiB.

    Args:
        log: A text file; bytes that are not valid UTF-8 are replaced.
        count: At most so many lines; None for all that were read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     log = Path(directory) / "worker.log"
        ...     _ = ChildProcess(["seq", "9"], log=log).wait()
        ...     last_lines(log, 2)
        ['8', '9']
    """
    with log.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - _TAIL_BYTES))
        lines = stream.read().decode("utf-8", errors="replace").splitlines()
    return lines if count is None else lines[-count:]
