"""The progress of a run's tasks: a live table on a terminal, plain lines elsewhere.

The findings of a task are printed when it ends.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Literal, Protocol

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from kfp_tabular.components.common.artifacts.findings import Finding, Severity
from kfp_tabular.pipelines import task_findings

TaskStatus = Literal["succeeded", "failed", "skipped", "cached", "stopped"]
"""`skipped`: the task did not run, for its condition, or as the run ended before. `cached`: the
outputs are those of an earlier run. `stopped`: it was running when the run was stopped.
"""

KubeflowTaskStatus = TaskStatus | Literal["not run", "unknown"]
"""On Kubeflow, `skipped` is only for a condition. `not run`: a task before it failed. `unknown`:
the server does not know its end.
"""

_LOG_PREFIX = re.compile(r"^\[KFP Executor [^\]]*\]:\s*")
# Log lines of TensorFlow's C++ code are of no use here.
_NOISE = re.compile(r"^[IWEF]\d{4} ")
_LINE_WIDTH = 88
_SECONDS_PER_LINE = 60.0
"""Seconds of a task between two lines about it, where there is no live table."""
_WORDS: Mapping[KubeflowTaskStatus, tuple[str, str]] = {
    "succeeded": ("done", "[green]done[/]"),
    "skipped": ("skipped", "[dim]skipped[/]"),
    "failed": ("FAILED", "[red]failed[/]"),
    "cached": ("cached", "[green]cached[/]"),
    "stopped": ("stopped", "[yellow]stopped[/]"),
    "not run": ("not run", "[dim]not run[/]"),
    "unknown": ("unknown", "[yellow]unknown[/]"),
}
"""The words on plain lines, and in the table."""
_TIMELESS = ("skipped", "cached", "not run", "unknown")
"""The ends of tasks that did not work, as far as is known."""
_STYLES: Mapping[Severity, str] = {"error": "bold red", "warning": "yellow", "note": "dim"}


class TaskOutcome(Protocol):
    """The end of a task."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def status(self) -> KubeflowTaskStatus:
        """Its status."""

    @property
    def seconds(self) -> float:
        """Its duration."""

    @property
    def findings(self) -> Sequence[Finding]:
        """What it found that a person should know."""


class Progress:
    """Shows the tasks of a run. Use it as a context manager around the run.

    Args:
        names: The tasks that may run, in order.
        console: The console to draw on.
        now: Returns a time in seconds.
    """

    def __init__(
        self,
        names: Sequence[str],
        console: Console,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = list(names)
        self._console = console
        self._now = now
        self._started: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._lines: dict[str, str] = {}
        self._results: dict[str, TaskOutcome] = {}
        self._live = Live(
            get_renderable=self._table,
            console=console,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "Progress":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def started(self, name: str) -> None:
        """A task has started."""
        self._started[name] = self._told[name] = self._now()
        if name not in self._names:
            self._names.append(name)

    def printed(self, name: str, line: str) -> None:
        """A task has printed a line."""
        text = _LOG_PREFIX.sub("", line)
        if text and text[0] not in "{}[]\"'" and not _NOISE.match(text):
            self._lines[name] = text[:_LINE_WIDTH]
            self._tell(name)

    def _tell(self, name: str) -> None:
        """Print now and then how far a long task is, where there is no live table."""
        now = self._now()
        if self._console.is_terminal or now - self._told.get(name, now) < _SECONDS_PER_LINE:
            return
        self._told[name] = now
        line = Text(
            f"  {name:<24} running {now - self._started[name]:>6.0f} s  {self._lines[name]}"
        )
        self._console.print(line, soft_wrap=True)

    def finished(self, result: TaskOutcome) -> None:
        """A task has ended."""
        self._results[result.name] = result
        if not self._console.is_terminal:
            state = _WORDS[result.status][0]
            self._console.print(f"  {result.name:<24} {state:<7} {_duration(result):>8}".rstrip())
        elif result.findings:
            self._console.print(f"  {result.name}", style="bold", markup=False)
        for severity, text in task_findings.console_lines(result.findings):
            # Long lines are left to the terminal, so that they can be searched and copied.
            line = Text.assemble("    ", (f"{severity}:", _STYLES[severity]), " ", text)
            self._console.print(line, soft_wrap=True)

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 2), show_header=False)
        for name in self._names:
            table.add_row(*self._row(name))
        return table

    def _row(self, name: str) -> tuple[str, str, str, str]:
        result = self._results.get(name)
        if result:
            return name, _WORDS[result.status][1], _duration(result), ""
        if name in self._started:
            seconds = self._now() - self._started[name]
            line = escape(self._lines.get(name, ""))
            return f"[bold]{name}[/]", "[cyan]running[/]", f"{seconds:.0f} s", f"[dim]{line}[/]"
        return f"[dim]{name}[/]", "[dim]waiting[/]", "", ""


def _duration(result: TaskOutcome) -> str:
    return "" if result.status in _TIMELESS else f"{result.seconds:.1f} s"
