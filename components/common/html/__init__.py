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
    legend,
    link,
    note,
    paragraph,
    row,
    table,
)
from kfp_tabular.components.common.html.charts import bar_chart, heatmap, histogram, line_chart
from kfp_tabular.components.common.html.markup import Markup, escape, format_number, format_value
from kfp_tabular.components.common.html.page import Section, page
from kfp_tabular.components.common.html.parallel import parallel_coordinates

__all__ = [
    "Markup",
    "Section",
    "badge",
    "bar_chart",
    "code",
    "details",
    "entry",
    "escape",
    "facts",
    "format_number",
    "format_value",
    "heatmap",
    "histogram",
    "legend",
    "line_chart",
    "link",
    "note",
    "page",
    "paragraph",
    "parallel_coordinates",
    "row",
    "table",
]
