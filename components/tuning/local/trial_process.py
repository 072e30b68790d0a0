"""A trial's process: how it is started, watched and ended."""

import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kfp_tabular.components.common.errors import find_user_error
from kfp_tabular.components.common.process.child_process import (
    ChildProcess,
    last_lines,
    wait_or_kill,
)
from kfp_tabular.components.tuning.search import objective

_GRACE_SECONDS = 10.0
_LONGEST_MESSAGE = 400


class TrialProcess:
    """A running trial.

    Args:
        argv: The program and its arguments; the program as an absolute path.
        environment: The process's whole environment.
        metrics_file: Where the program writes its metrics.
        log_file: Where its output goes.
        metric: The metric to watch.
        additional: Further metrics to collect.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        metrics_file: Path,
        log_file: Path,
        metric: str,
        additional: Iterable[str] = (),
    ) -> None:
        self.reports: list[float] = []
        self.additional: dict[str, list[float]] = {name: [] for name in additional}
        self.stopping = False
        self._metrics_file = metrics_file
        self._log_file = log_file
        self._metric = metric
        self._read = 0
        self._started = time.monotonic()
        self._kill_at = float("inf")
        # A trial ends with the tuning task however that ends: none goes on writing into a
        # directory where the retried task starts it again.
        self._process = ChildProcess(argv, environment, log=log_file, death_signal=signal.SIGKILL)

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self._started

    def poll(self) -> int | None:
        """Takes in new reports; gives the exit code once the process has ended, else None."""
        code = self._process.poll()
        self._read_reports(ended=code is not None)
        if code is None and time.monotonic() > self._kill_at:
            self._process.kill()
        return code

    def stop(self) -> None:
        """Asks the process to end; `poll` kills it where it has not done so in ten seconds."""
        if not self.stopping:
            self.stopping = True
            self._kill_at = time.monotonic() + _GRACE_SECONDS
            self._process.terminate()

    def wait(self) -> None:
        """Wait for the end of a process that was asked to end."""
        wait_or_kill([self._process], self._kill_at - time.monotonic())

    def last_words(self) -> str:
        """Gives the line of the log that says most about a failure: the error, or the last."""
        return telling_line(last_lines(self._log_file))

    def _read_reports(self, ended: bool) -> None:
        try:
            with self._metrics_file.open("rb") as stream:
                stream.seek(self._read)
                new = stream.read()
        except FileNotFoundError:
            return
        # A line may be half-written as long as the process runs.
        whole = len(new) if ended else new.rfind(b"\n") + 1
        self._read += whole
        text = new[:whole].decode("utf-8", errors="replace")
        self.reports += objective.reports(text, self._metric)
        for name, values in self.additional.items():
            values.extend(objective.reports(text, name))


def telling_line(log: Sequence[str]) -> str:
    """Gives the line of a log that says most about a failure: the error, or the last.

    Args:
        log: The end of the log.
    """
    lines = [line.strip() for line in log if line.strip()]
    telling = find_user_error(lines) or (lines[-1] if lines else "nothing in its log")
    return telling[:_LONGEST_MESSAGE]
