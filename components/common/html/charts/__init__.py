"""Charts, drawn as SVG: one module per kind, on common axes."""

from kfp_tabular.components.common.html.charts.bar_chart import bar_chart
from kfp_tabular.components.common.html.charts.dependence_chart import (
    DependenceLines,
    dependence_dots,
    dependence_lines,
)
from kfp_tabular.components.common.html.charts.heatmap import heatmap
from kfp_tabular.components.common.html.charts.histogram import histogram
from kfp_tabular.components.common.html.charts.interval_bars import interval_bars
from kfp_tabular.components.common.html.charts.line_chart import line_chart
from kfp_tabular.components.common.html.charts.parallel import parallel_coordinates
from kfp_tabular.components.common.html.charts.waterfall import signed, waterfall

__all__ = [
    "DependenceLines",
    "bar_chart",
    "dependence_dots",
    "dependence_lines",
    "heatmap",
    "histogram",
    "interval_bars",
    "line_chart",
    "parallel_coordinates",
    "signed",
    "waterfall",
]
