"""Self-contained HTML pages: tables, figures and charts, without scripts or external resources.

The Kubeflow UI shows a task's page in a sandboxed frame, so a page is plain HTML with inline CSS
and charts drawn as SVG; tooltips are `<title>` elements and folding is `<details>`. Light and dark
follow the reader's setting. All text except `Markup` is escaped.

Example:
    >>> document = page("Report", [Section("Rows", (facts({"train": 210_000}),))])
    >>> document.startswith("<!doctype html>"), "<dd>210,000</dd>" in document
    (True, True)
"""

from kfp_tabular.components.common.html.blocks import (
    badge,
    code,
    details,
    entry,
    facts,
    lead,
    legend,
    link,
    note,
    paragraph,
    row,
    table,
)
from kfp_tabular.components.common.html.charts import (
    DependenceLines,
    bar_chart,
    dependence_dots,
    dependence_lines,
    heatmap,
    histogram,
    interval_bars,
    line_chart,
    parallel_coordinates,
    signed,
    waterfall,
)
from kfp_tabular.components.common.html.markup import (
    Figure,
    Markup,
    change,
    decimals,
    escape,
    fixed,
    format_number,
    format_value,
    interval,
)
from kfp_tabular.components.common.html.navigation import PageLink, within_run
from kfp_tabular.components.common.html.page import Section, page

__all__ = [
    "DependenceLines",
    "Figure",
    "Markup",
    "PageLink",
    "Section",
    "badge",
    "bar_chart",
    "change",
    "code",
    "decimals",
    "dependence_dots",
    "dependence_lines",
    "details",
    "entry",
    "escape",
    "facts",
    "fixed",
    "format_number",
    "format_value",
    "heatmap",
    "histogram",
    "interval",
    "interval_bars",
    "lead",
    "legend",
    "line_chart",
    "link",
    "note",
    "page",
    "paragraph",
    "parallel_coordinates",
    "row",
    "signed",
    "table",
    "waterfall",
    "within_run",
]
