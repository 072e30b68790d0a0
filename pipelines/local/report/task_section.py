"""The section of a run's report about its tasks: the graph, when each ran, and their pages."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.html import Markup
from kfp_tabular.components.common.html.blocks import Tone
from kfp_tabular.pipelines.local.report.artifact_links import target
from kfp_tabular.pipelines.local.report.run_pages import RunPage
from kfp_tabular.pipelines.local.report.run_summary import RunSummary, TaskRecord
from kfp_tabular.pipelines.local.report.svg_drawing import anchor, draw_graph
from kfp_tabular.pipelines.local.report.task_graph import read_graph
from kfp_tabular.pipelines.local.report.timing_bars import draw_timing, duration
from kfp_tabular.pipelines.progress import TaskStatus

_NO_BREAK = "\N{NO-BREAK SPACE}"
_TONES: Mapping[TaskStatus, Tone] = {
    "succeeded": "good",
    "failed": "error",
    "skipped": "neutral",
    "cached": "good",
    "stopped": "warning",
}


def blocks(
    summary: RunSummary, spec: Mapping[str, Any], pages: Sequence[RunPage], home: Path
) -> Iterator[Markup]:
    """Yield the graph, the times and the table of a run's tasks."""
    yield draw_graph(read_graph(spec), {task.name: task for task in summary.tasks})
    yield draw_timing(summary.tasks, summary.started, summary.seconds)
    yield _table(summary.tasks, pages, home)


def link_to(task: str) -> Markup:
    """Return a link to a task's row in the table."""
    return html.link(task, f"#{anchor(task)}")


def _table(tasks: Sequence[TaskRecord], pages: Sequence[RunPage], home: Path) -> Markup:
    rows = []
    for task in tasks:
        name = html.escape(task.name)
        links = [html.link(page.artifact, page.target) for page in pages if page.task == task.name]
        log = Path(task.log) if task.log else None
        rows.append(
            (
                Markup(f"<span id='{html.escape(anchor(task.name))}'>{name}</span>"),
                html.badge(task.status, _TONES[task.status]),
                html.Figure(html.escape(duration(task.seconds).replace(" ", _NO_BREAK)))
                if task.status != "skipped"
                else None,
                Markup(", ".join(links)) if links else None,
                html.link("log", target(log, home)) if log and log.is_file() else None,
                task.image.rpartition("/")[2] or None,
            )
        )
    return html.table(("task", "status", "time", "pages", "log", "image"), rows)
