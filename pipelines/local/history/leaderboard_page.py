"""The page that ranks runs."""

import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from kfp_tabular.components.common import html
from kfp_tabular.components.common.html import Markup, Section
from kfp_tabular.components.common.html.blocks import Tone
from kfp_tabular.pipelines.local import run_folder
from kfp_tabular.pipelines.local.history import run_entry
from kfp_tabular.pipelines.local.history.run_entry import RunEntry

_TONES: dict[str, Tone] = {"succeeded": "good", "failed": "error", "stopped": "warning"}
_MOST_METRICS = 4
_LARGE = 1_000


def page(entries: Sequence[RunEntry], title: str, target: Path) -> str:
    """Return a page with a table of runs by data and label, the best of each first.

    Args:
        entries: The runs.
        title: The page's title.
        target: Where it will be written: links to reports are relative to it.

    Example:
        >>> run = RunEntry("a", "a", "succeeded", "training", 0, 1, {"label": "y"}, {}, None)
        >>> "<h2>label y" in page([run], "Runs", Path("runs.html"))
        True
    """
    groups: dict[tuple[str, str], list[RunEntry]] = {}
    for entry in entries:
        groups.setdefault((entry.data_uri, entry.label), []).append(entry)
    # Files of the same name in different folders are different data.
    headings = Counter(_heading(runs[0].data, label) for (_, label), runs in groups.items())
    sections = []
    for (data_uri, label), runs in groups.items():
        short = _heading(runs[0].data, label)
        heading = short if headings[short] == 1 else _heading(data_uri, label)
        sections.append(Section(heading, (_table(_ordered(runs), target.absolute().parent),)))
    count = f"{len(entries)} {'run' if len(entries) == 1 else 'runs'}"
    return html.page(title, sections or [Section("No runs", ())], subtitle=count)


def _heading(data: str, label: str) -> str:
    words = ", ".join(filter(None, (data, f"label {label}" if label else "")))
    return words or "without data and label"


def _ordered(runs: Sequence[RunEntry]) -> list[RunEntry]:
    metric = run_entry.common_metric(runs)
    ranked = run_entry.rank(runs, metric) if metric else []
    return [*ranked, *(entry for entry in runs if entry not in ranked)]


def _table(runs: Sequence[RunEntry], home: Path) -> Markup:
    shown = [
        name for name in run_entry.KEY_METRICS if any(name in entry.metrics for entry in runs)
    ][:_MOST_METRICS]
    varied = _varied(runs)
    rows = [
        (
            _link(entry, home),
            html.badge(entry.status, _TONES.get(entry.status, "neutral")),
            None if entry.blessed is None else _blessed(entry.blessed),
            *(_fixed(entry.metrics.get(name)) for name in shown),
            ", ".join(
                f"{name}={_short(entry.parameters[name])}"
                for name in varied
                if name in entry.parameters
            )
            or None,
            None if entry.seconds is None else f"{entry.seconds:.0f} s",
            None
            if entry.started is None
            else f"{datetime.fromtimestamp(entry.started, UTC):%Y-%m-%d %H:%M}",
        )
        for entry in runs
    ]
    return html.table(
        ("run", "status", "model", *shown, "differs in", "took", "started (UTC)"), rows
    )


def _fixed(value: float | None) -> object:
    if value is None:
        return None
    return html.fixed(value, 4 if abs(value) < _LARGE else 0)


def _varied(runs: Sequence[RunEntry]) -> list[str]:
    """Return the parameters that are not the same in all runs."""
    names = sorted({name for entry in runs for name in entry.parameters} - {"model_repository"})
    return [name for name in names if len({repr(entry.parameters.get(name)) for entry in runs}) > 1]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 30 else f"{text[:30]}..."


def _link(entry: RunEntry, home: Path) -> object:
    report = Path(entry.folder) / run_folder.REPORT_FILE
    if not report.is_file():
        return entry.name
    return html.link(entry.name, quote(os.path.relpath(report.absolute(), home)))


def _blessed(blessed: bool) -> Markup:
    return html.badge("blessed", "good") if blessed else html.badge("not blessed", "warning")
