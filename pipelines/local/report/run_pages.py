"""The pages of a run's tasks, side by side in one folder and linked to one another."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kfp_tabular.components.common import files, html
from kfp_tabular.components.common.html import PageLink
from kfp_tabular.pipelines.local.report import markdown
from kfp_tabular.pipelines.local.report.artifact_links import ArtifactLink

PAGES_FOLDER = "pages"
MODEL_CARD = "model_card"
"""The artifact of `evaluate_model` that is the model's card."""

_HTML, _MARKDOWN = "HTML", "Markdown"


@dataclass(frozen=True)
class RunPage:
    """A page of a task.

    Attributes:
        task: The task's name.
        artifact: The name of the artifact that it shows.
        file: Its name in `PAGES_FOLDER`.
        source: The artifact's file.
        is_markdown: Whether the artifact is Markdown, not HTML.
    """

    task: str
    artifact: str
    file: str
    source: Path
    is_markdown: bool = False

    @property
    def target(self) -> str:
        """The link to it from the run's report."""
        return f"{PAGES_FOLDER}/{quote(self.file)}"


def pages_of(artifacts: Mapping[str, Sequence[ArtifactLink]]) -> list[RunPage]:
    """Return the pages among the artifacts, in the order of the tasks."""
    return [
        RunPage(
            task,
            artifact.name,
            f"{task}.{artifact.name}.html",
            artifact.path,
            artifact.type == _MARKDOWN,
        )
        for task, links in artifacts.items()
        for artifact in links
        if artifact.type in (_HTML, _MARKDOWN) and artifact.path.is_file()
    ]


def written(folder: Path, tasks: Iterable[str]) -> list[Path]:
    """Return the pages of tasks that are in a folder, and nothing that others put there."""
    if not folder.is_dir():
        return []
    named = re.compile(rf"(?:{'|'.join(map(re.escape, tasks))})\.[^/]*\.html")
    return sorted(path for path in folder.iterdir() if named.fullmatch(path.name))


def write(
    pages: Sequence[RunPage], folder: Path, report: str, context: Sequence[str], label: str = ""
) -> None:
    """Write the pages, each with links to the report and to the others.

    Args:
        pages: The pages.
        folder: The folder to write them to, beside the report.
        report: The report's file name.
        context: What tells the run from others, for the titles.
        label: The label, for titles that do not name it.
    """
    for page in pages:
        text = page.source.read_text(encoding="utf-8", errors="replace")
        if page.is_markdown:
            text = markdown.to_page(text, page.task)
        links = list(_links(pages, page, quote(f"../{report}"), ""))
        named = label in text.partition("</title>")[0].rpartition("<title>")[2]
        shown = ", ".join(context if named else (label, *context))
        files.write_text(folder / page.file, html.within_run(text, links, context=shown))


def links_from_report(pages: Sequence[RunPage], report: str) -> list[PageLink]:
    """Return the links of the report itself."""
    return list(_links(pages, None, quote(report), f"{PAGES_FOLDER}/"))


def _links(
    pages: Sequence[RunPage], current: RunPage | None, report: str, folder: str
) -> Iterator[PageLink]:
    yield PageLink("Run report", report, current is None)
    tasks = [page.task for page in pages]
    for page in pages:
        name = page.task.replace("-", " ").capitalize()
        if tasks.count(page.task) > 1:
            name = f"{name}: {page.artifact.replace('_', ' ')}"
        yield PageLink(name, f"{folder}{quote(page.file)}", page == current)
