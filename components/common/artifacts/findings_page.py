"""Shows findings on the pages of tasks and runs: errors and warnings first, notes folded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts.findings import Finding, Severity, one_line
from kfp_tabular.components.common.html import Markup, Section
from kfp_tabular.components.common.html.blocks import Tone

TITLE = "Findings"

_TONES: Mapping[Severity, Tone] = {"error": "error", "warning": "warning", "note": "neutral"}
_MOST_ROWS = 500
_MARKDOWN_SPECIAL = "\\|<>*_[]`#&"


@dataclass(frozen=True)
class _Row:
    finding: Finding
    task: Markup | None = None


def section(found: Iterable[Finding], tasks: Sequence[Markup] = ()) -> Section | None:
    """Return the section of a page that lists findings; None without any.

    Args:
        found: The findings, in the order to show them.
        tasks: The task of each finding, for a page about several tasks.

    Example:
        >>> shown = section([Finding("warning", "leak", "'refund' alone predicts the label.")])
        >>> "<span class='badge warning'>warning</span>" in shown.blocks[0]
        True
    """
    rows = [_Row(finding) for finding in found]
    if tasks:
        rows = [_Row(row.finding, task) for row, task in zip(rows, tasks, strict=True)]
    urgent = [row for row in rows if row.finding.severity != "note"]
    notes = [row for row in rows if row.finding.severity == "note"]
    if not rows:
        return None
    blocks = [_table(urgent) if urgent else html.paragraph("No errors and no warnings.")]
    if notes:
        count = "1 note" if len(notes) == 1 else f"{len(notes)} notes"
        blocks.append(html.details(f"{count} on what was decided", _table(notes)))
    return Section(TITLE, tuple(blocks))


def sections(found: Iterable[Finding]) -> list[Section]:
    """Return the section of a task's page as a list: empty without findings."""
    shown = section(found)
    return [] if shown is None else [shown]


def markdown(found: Iterable[Finding]) -> str:
    r"""Return the findings of a task for its Markdown page; empty without any.

    Example:
        >>> print(markdown([Finding("note", "day-first", "'when' is read day first.")]))
        ## Findings
        <BLANKLINE>
        - **note**: 'when' is read day first.
    """
    lines = []
    for finding in found:
        option = f" Option: {_plain(finding.option)}." if finding.option else ""
        lines.append(f"- **{finding.severity}**: {_plain(finding.message)}{option}")
    more = len(lines) - _MOST_ROWS
    if more > 0:
        lines[_MOST_ROWS:] = [f"- And {more} more."]
    return "\n".join([f"## {TITLE}", "", *lines]) if lines else ""


def _table(rows: Sequence[_Row]) -> Markup:
    cells = []
    for row in rows[:_MOST_ROWS]:
        finding = row.finding
        text = html.escape(one_line(finding.message))
        if finding.option:
            option = f"<code>{html.escape(one_line(finding.option))}</code>"
            text = Markup(f"{text} <span class='option'>Option: {option}</span>")
        badge = html.badge(finding.severity, _TONES[finding.severity])
        cells.append([badge, *([] if row.task is None else [row.task]), text])
    headers = ["severity", *(["task"] if any(row.task for row in rows) else []), "finding"]
    more = len(rows) - _MOST_ROWS
    caption = f"The first {_MOST_ROWS}; {more} more are in _findings.json." if more > 0 else ""
    return html.table(headers, cells, caption=caption)


def _plain(text: str) -> str:
    return "".join(
        f"\\{character}" if character in _MARKDOWN_SPECIAL else character
        for character in one_line(text)
    )
