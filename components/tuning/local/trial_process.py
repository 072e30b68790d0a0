"""The process of a local trial: its reports while it runs, and how it ended."""

import math
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kfp_tabular.components.common.process.child_process import ChildProcess, last_lines
from kfp_tabular.components.tuning.search import objective
from kfp_tabular.components.tuning.search.objective import Objective, Strategy, counted
from kfp_tabular.components.tuning.search.trials import Trial, telling_line

GRACE_SECONDS = 10.0
"""How long a trial may take to end after SIGTERM."""


class TrialProcess(ChildProcess):
    """The process of a running trial.

    It dies with the tuning task, however that ends, so that no trial still writes where a retried
    task starts it again.

    Args:
        command: The program and its arguments.
        environment: All environment variables of the process.
        metrics_file: Where the program writes its metrics.
        log_file: Where its output goes.
        metric: The metric to watch.
        additional: More metrics to collect.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        metrics_file: Path,
        log_file: Path,
        metric: str,
        additional: Iterable[str] = (),
    ) -> None:
        super().__init__(command, environment, log=log_file, death_signal=signal.SIGKILL)
        self.reports: list[float] = []
        self.additional: dict[str, list[float]] = {name: [] for name in additional}
        self.is_stopping = False
        self._metrics_file = metrics_file
        self._log_file = log_file
        self._metric = metric
        self._read = 0
        self._started = time.monotonic()
        self._kill_at = math.inf

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self._started

    def update(self) -> int | None:
        """Read new reports; return the exit code, or None while the process is running."""
        code = self.poll()
        self._read_reports(ended=code is not None)
        if code is None and time.monotonic() > self._kill_at:
            self.kill()
        return code

    def stop_early(self) -> None:
        """Ask the process to end; `update` kills it if it has not ended after the grace time."""
        if not self.is_stopping:
            self.is_stopping = True
            self._kill_at = time.monotonic() + GRACE_SECONDS
            self.terminate()

    def explanation(self) -> str:
        """Return the line of the log that best explains a failure."""
        return telling_line(last_lines(self._log_file))

    def _read_reports(self, ended: bool) -> None:
        try:
            with self._metrics_file.open("rb") as stream:
                stream.seek(self._read)
                new = stream.read()
        except FileNotFoundError:
            return
        # While the process runs, the last line may be incomplete.
        whole = len(new) if ended else new.rfind(b"\n") + 1
        self._read += whole
        text = new[:whole].decode("utf-8", errors="replace")
        self.reports += objective.reports(text, self._metric)
        for name, values in self.additional.items():
            values.extend(objective.reports(text, name))


def outcome(
    trial: Trial,
    process: TrialProcess,
    code: int,
    objective: Objective,
    additional: Mapping[str, Strategy],
) -> Trial:
    """Return a trial with how it ended.

    Args:
        trial: The trial as it was started.
        process: Its process, which has ended.
        code: The exit code; negative for a signal.
        objective: The objective of the search.
        additional: The additional metrics, with the report that counts.
    """
    value = objective.value(process.reports)
    metrics = {name: counted(process.additional[name], how) for name, how in additional.items()}
    ended = replace(
        trial,
        reports=tuple(process.reports),
        seconds=round(process.seconds, 2),
        additional={name: found for name, found in metrics.items() if found is not None},
    )
    if process.is_stopping:
        return replace(ended, state="early_stopped", objective=value)
    if code != 0:
        reason = f"signal {-code}" if code < 0 else f"exit code {code}"
        return replace(ended, state="failed", message=f"{reason}: {process.explanation()}")
    if value is not None:
        return replace(ended, state="succeeded", objective=value)
    if process.reports:
        return replace(ended, state="diverged", message="the objective was never finite")
    return replace(ended, state="failed", message=f"it did not report {objective.metric!r}")
