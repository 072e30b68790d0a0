"""The `report.html` of a run: findings, results, the graph of tasks, timings, links to outputs."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kfp_tabular.components.common import files, html
from kfp_tabular.components.common.artifacts import findings_page
from kfp_tabular.components.common.artifacts.lineage import FILE_NAME as LINEAGE_FILE
from kfp_tabular.components.common.html import Markup, Section
from kfp_tabular.components.common.html.blocks import Tone
from kfp_tabular.pipelines.local.report import markdown
from kfp_tabular.pipelines.local.report.run_summary import RunStatus, RunSummary, TaskRecord
from kfp_tabular.pipelines.local.report.svg_drawing import anchor, draw_graph, draw_timing, duration
from kfp_tabular.pipelines.local.report.task_graph import read_graph
from kfp_tabular.pipelines.progress import TaskStatus

PAGES_FOLDER = "pages"

_KEY_METRICS = {
    "auc": "AUC",
    "pr_auc": "PR-AUC",
    "accuracy": "accuracy",
    "log_loss": "log loss",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
}
_NO_BREAK = "\N{NO-BREAK SPACE}"
_TONES: Mapping[TaskStatus, Tone] = {
    "succeeded": "good",
    "failed": "error",
    "skipped": "neutral",
    "cached": "good",
    "stopped": "warning",
}
_RUN_TONES: Mapping[RunStatus, Tone] = {
    "succeeded": "good",
    "failed": "error",
    "stopped": "warning",
}
_HTML, _MARKDOWN = "HTML", "Markdown"
_LOG_LINES = 30
_LOG_BYTES = 32_768
_DIGEST_LENGTH = 19  # "sha256:" and twelve digits tell artifacts apart


@dataclass(frozen=True)
class ArtifactLink:
    """An artifact that a task wrote.

    Attributes:
        name: The output's name.
        type: KFP's type, such as `Dataset` or `HTML`.
        path: Its location; it need not exist.
        metadata: The metadata that the task set.
    """

    name: str
    type: str
    path: Path
    metadata: Mapping[str, Any]


def write_report(
    summary: RunSummary,
    spec: Mapping[str, Any],
    artifacts: Mapping[str, Sequence[ArtifactLink]],
    path: str | os.PathLike[str],
) -> None:
    """Write the report, and `pages/` beside it.

    Links are relative, so the run's folder can be moved as a whole. Artifacts have no file
    extension, which browsers need: HTML artifacts are copied to `pages/`, and Markdown artifacts
    are converted to HTML there.

    Args:
        summary: The summary of the run.
        spec: The compiled pipeline spec that was run.
        artifacts: The artifacts of each task, by the task's name.
        path: The HTML file.

    Example:
        >>> import tempfile
        >>> from kfp_tabular.pipelines import spec
        >>> from kfp_tabular.pipelines.validation.pipeline import validation_pipeline
        >>> summary = RunSummary("validation", "succeeded", 0, 61, (), {}, None, None, "")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = Path(folder) / "report.html"
        ...     write_report(summary, spec.of(validation_pipeline), {}, page)
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['pages', 'report.html']
    """
    final = Path(path).absolute()
    with files.atomic_directory(final.with_name(PAGES_FOLDER)) as folder:
        pages = _write_pages(artifacts, folder)
    sections = list(_sections(summary, spec, artifacts, pages, final.parent))
    began = datetime.fromtimestamp(summary.started, UTC)
    subtitle = f"{summary.pipeline} pipeline, {began:%Y-%m-%d %H:%M:%S} UTC"
    files.write_text(final, html.page(f"Run {summary.status}", sections, subtitle=subtitle))


def _write_pages(
    artifacts: Mapping[str, Sequence[ArtifactLink]], folder: Path
) -> dict[tuple[str, str], str]:
    """Write the pages of a run; return their links by task and artifact."""
    pages = {}
    for task, links in artifacts.items():
        for artifact in links:
            if artifact.type not in (_HTML, _MARKDOWN) or not artifact.path.is_file():
                continue
            name = f"{task}.{artifact.name}.html"
            if artifact.type == _HTML:
                shutil.copyfile(artifact.path, folder / name)
            else:
                text = artifact.path.read_text(encoding="utf-8", errors="replace")
                section = Section(artifact.name, markdown.to_blocks(text))
                files.write_text(folder / name, html.page(task, [section]))
            pages[task, artifact.name] = f"{PAGES_FOLDER}/{quote(name)}"
    return pages


def _sections(
    summary: RunSummary,
    spec: Mapping[str, Any],
    artifacts: Mapping[str, Sequence[ArtifactLink]],
    pages: Mapping[tuple[str, str], str],
    home: Path,
) -> Iterator[Section]:
    failed = [task for task in summary.tasks if task.status == "failed"]
    if failed:
        yield Section("What went wrong", tuple(b for task in failed for b in _failure(task, home)))
    found = findings_page.section(
        summary.findings, [_task_link(finding.task) for finding in summary.findings]
    )
    if found is not None:
        yield found
    yield Section("Result", tuple(_result(summary, home)))
    tasks = {task.name: task for task in summary.tasks}
    yield Section(
        "Tasks",
        (
            draw_graph(read_graph(spec), tasks),
            draw_timing(summary.tasks, summary.started, summary.seconds),
            _task_table(summary.tasks, artifacts, pages, home),
        ),
    )
    if artifacts:
        yield Section("Artifacts", (_artifact_table(artifacts, home),), collapsed=True)
    if summary.metrics:
        rows = sorted(summary.metrics.items())
        yield Section("All metrics", (html.table(("metric", "value"), rows),), collapsed=True)
    yield Section("Parameters", tuple(_parameters(summary, spec)))
    yield Section("Versions", (html.facts(summary.versions),), collapsed=True)


def _task_link(task: str) -> Markup:
    return html.link(task, f"#{anchor(task)}")


def _failure(task: TaskRecord, home: Path) -> Iterator[Markup]:
    yield html.paragraph(
        Markup(f"{html.badge(task.name, 'error')} {html.escape(task.error or 'failed')}")
    )
    log = Path(task.log)
    if task.log and log.is_file():
        last = _last_lines(log)
        yield html.details(f"the last {len(last)} lines of its log", html.code("\n".join(last)))
        yield html.paragraph(html.link("the whole log", _target(log, home)))


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _LOG_BYTES))
        return stream.read().decode("utf-8", errors="replace").splitlines()[-_LOG_LINES:]


def _result(summary: RunSummary, home: Path) -> Iterator[Markup]:
    tiles: dict[str, object] = {
        "run": html.badge(summary.status, _RUN_TONES[summary.status]),
        "took": duration(summary.seconds),
    }
    if summary.blessed is not None:
        tiles["model"] = html.badge(
            *(("blessed", "good") if summary.blessed else ("not blessed", "warning"))
        )
    tiles.update(
        (label, summary.metrics[name])
        for name, label in _KEY_METRICS.items()
        if name in summary.metrics
    )
    yield html.facts(tiles)
    if summary.why:
        yield html.paragraph(summary.why)
    if summary.model:
        model = Path(summary.model)
        shown = html.link(model, _target(model, home)) if model.exists() else summary.model
        yield html.paragraph(Markup(f"Model: {html.escape(shown)}"))
    if summary.blessed is False:
        yield html.paragraph("The model did not pass its evaluation, so it was not deployed.")


def _task_table(
    tasks: Sequence[TaskRecord],
    artifacts: Mapping[str, Sequence[ArtifactLink]],
    pages: Mapping[tuple[str, str], str],
    home: Path,
) -> Markup:
    rows = []
    for task in tasks:
        named = Markup(
            f"<span id='{html.escape(anchor(task.name))}'>{html.escape(task.name)}</span>"
        )
        links = [
            html.link(artifact.name, pages[task.name, artifact.name])
            for artifact in artifacts.get(task.name, ())
            if (task.name, artifact.name) in pages
        ]
        log = Path(task.log) if task.log else None
        rows.append(
            (
                named,
                html.badge(task.status, _TONES[task.status]),
                duration(task.seconds).replace(" ", _NO_BREAK)
                if task.status != "skipped"
                else None,
                task.image.rpartition("/")[2] or None,
                Markup(", ".join(links)) if links else None,
                html.link("log", _target(log, home)) if log and log.is_file() else None,
            )
        )
    return html.table(("task", "status", "time", "image", "pages", "log"), rows)


def _artifact_table(artifacts: Mapping[str, Sequence[ArtifactLink]], home: Path) -> Markup:
    rows = []
    for task, links in artifacts.items():
        for artifact in links:
            exists = artifact.path.exists()
            place = _target(artifact.path, home)
            lineage = artifact.path / LINEAGE_FILE
            rows.append(
                (
                    task,
                    html.link(artifact.name, place) if exists else artifact.name,
                    artifact.type,
                    _row_counts(artifact.metadata.get("rows")),
                    str(artifact.metadata.get("digest", ""))[:_DIGEST_LENGTH] or None,
                    html.link("lineage", _target(lineage, home)) if lineage.is_file() else None,
                )
            )
    return html.table(("task", "artifact", "type", "rows", "digest", "made from"), rows)


def _row_counts(rows: object) -> str | None:
    if not isinstance(rows, Mapping):
        return None
    return ", ".join(f"{split} {html.format_number(count)}" for split, count in rows.items())


def _parameters(summary: RunSummary, spec: Mapping[str, Any]) -> Iterator[Markup]:
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    given = [(name, _shown(value)) for name, value in summary.parameters.items()]
    yield html.table(("given", "value"), given)
    defaults = [
        (name, _shown(entry.get("defaultValue")))
        for name, entry in declared.items()
        if name not in summary.parameters
    ]
    if defaults:
        yield html.details("left at their defaults", html.table(("parameter", "value"), defaults))


def _shown(value: Any) -> object:
    """Return a value as it would be written on the command line."""
    if value is None or value == "":
        return Markup("<span class='subtitle'>empty</span>")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return Markup(f"<code>{html.escape(text)}</code>")


def _target(path: Path, home: Path) -> str:
    """Return a link from the report to a file."""
    return quote(os.path.relpath(path.absolute(), home))
