"""What a person sees while tasks run."""

import io

import pytest
from rich.console import Console

from kfp_tabular.pipelines.progress import Progress


class Clock:
    """A time that only passes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def lines(after: list[tuple[float, str]], *, terminal: bool = False) -> list[str]:
    """Return what is printed of a task that prints lines after so many seconds."""
    clock, stream = Clock(), io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=200)
    progress = Progress(["train-model"], console, now=clock)
    progress.started("train-model")
    for seconds, line in after:
        clock.seconds = 100.0 + seconds
        progress.printed("train-model", line)
    return stream.getvalue().splitlines()


def test_a_long_task_says_how_far_it_is_once_a_minute() -> None:
    prefix = "[KFP Executor 2026-11-30 12:00:00,000 INFO]: "
    told = lines(
        [(at, f"{prefix}tabm, {at}% of at most 100 steps: step={at}") for at in range(0, 200, 7)]
    )
    assert told == [
        "  train-model              running     63 s  tabm, 63% of at most 100 steps: step=63",
        "  train-model              running    126 s  tabm, 126% of at most 100 steps: step=126",
        "  train-model              running    189 s  tabm, 189% of at most 100 steps: step=189",
    ]


@pytest.mark.parametrize(
    ("after", "terminal"), [([(59.0, "step=1")], False), ([(90.0, "x")], True)]
)
def test_short_tasks_and_terminals_have_no_such_lines(
    after: list[tuple[float, str]], terminal: bool
) -> None:
    assert lines(after, terminal=terminal) == []


def test_lines_with_markup_are_printed_as_they_are() -> None:
    (line,) = lines([(61.0, "reading [red]a/b[/] and [/bold]")])
    assert line.endswith("reading [red]a/b[/] and [/bold]")
