"""The `report.html` of a run: the verdict, findings, tasks and times, links to outputs."""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kfp_tabular.components.common import files, html
from kfp_tabular.components.common.artifacts import findings_page
from kfp_tabular.components.common.html import Section
from kfp_tabular.pipelines.local.report import (
    record_sections,
    result_section,
    run_pages,
    task_section,
)
from kfp_tabular.pipelines.local.report.artifact_links import ArtifactLink
from kfp_tabular.pipelines.local.report.run_pages import PAGES_FOLDER, RunPage
from kfp_tabular.pipelines.local.report.run_summary import RunSummary

__all__ = ["PAGES_FOLDER", "ArtifactLink", "write_report"]


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
    pages = run_pages.pages_of(artifacts)
    began = f"{datetime.fromtimestamp(summary.started, UTC):%Y-%m-%d %H:%M} UTC"
    source, label = _source(summary), str(summary.parameters.get("label") or "")
    folder = final.with_name(PAGES_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    for page in run_pages.written(folder, [task.name for task in summary.tasks]):
        files.remove(page)
    context = [part for part in (source, f"run {began}") if part]
    run_pages.write(pages, folder, final.name, context, label)
    about = ", ".join(filter(None, (label, source, began)))
    document = html.page(
        f"Run {summary.status}: {about}",
        list(_sections(summary, spec, artifacts, pages, final.parent)),
        subtitle=f"{summary.pipeline} pipeline, {final.parent}",
    )
    if pages:
        document = html.within_run(document, run_pages.links_from_report(pages, final.name))
    files.write_text(final, document)


def _source(summary: RunSummary) -> str:
    """Return the name of the run's data, without the folders that it is in."""
    return str(summary.parameters.get("data_uri") or "").rstrip("/").rpartition("/")[2]


def _sections(
    summary: RunSummary,
    spec: Mapping[str, Any],
    artifacts: Mapping[str, Sequence[ArtifactLink]],
    pages: Sequence[RunPage],
    home: Path,
) -> Iterator[Section]:
    """Yield the sections in the order of a reader's questions, times and records last."""
    failures = result_section.failures(summary.tasks, pages, home)
    if failures:
        yield Section("What went wrong", failures)
    yield Section("Result", tuple(result_section.result(summary, artifacts, pages, home)))
    found = findings_page.section(
        summary.findings, [task_section.link_to(finding.task) for finding in summary.findings]
    )
    if found is not None:
        yield found
    yield Section("Tasks", tuple(task_section.blocks(summary, spec, pages, home)))
    yield from record_sections.sections(summary, spec, artifacts, home)
