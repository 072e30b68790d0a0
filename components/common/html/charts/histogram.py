"""Charts of distributions over bins."""

from collections.abc import Callable, Mapping, Sequence

from kfp_tabular.components.common.html.charts import svg
from kfp_tabular.components.common.html.charts.axes import fit
from kfp_tabular.components.common.html.charts.time_axis import FIRST, LAST, TimeScale, written
from kfp_tabular.components.common.html.markup import Markup, format_number

_HALF = 0.5  # where an axis of counts begins that is logarithmic: one row is visible


def histogram(
    edges: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    y_label: str = "",
    size: tuple[float, float] = (svg.WIDTH, 240.0),
    legend: bool = True,
    tooltips: bool = True,
    times: bool = False,
    logarithmic: bool = False,
) -> Markup:
    """Return a chart of distributions over the same bins, drawn over one another.

    Args:
        edges: The edges of the bins, ascending; one more than there are bins. Bins with an edge
            that is not finite are left out.
        series: A height per bin, by the name of the series. For bins of different widths, pass
            densities.
        title: The title above the chart.
        y_label: The label of the heights.
        size: Width and height in pixels.
        legend: Whether to name several series above the chart.
        tooltips: Whether bins show their values; without them, a page of many charts stays small.
        times: Whether edges are points in time, in seconds since 1970.
        logarithmic: Whether the axis of heights is logarithmic, for counts that span magnitudes.

    Raises:
        ValueError: The number of heights of a series differs from the number of bins.

    Example:
        >>> chart = histogram([0, 10, 20], {"train": [0.7, 0.3], "eval": [0.6, 0.4]})
        >>> chart.count("class='area"), "<title>0 to 10" in chart
        (2, True)
        >>> histogram([0, 10, 20], {"train": [0.7, 0.3, 0.0]})
        Traceback (most recent call last):
        ...
        ValueError: series 'train' has 3 values, not 2
    """
    svg.check_lengths(series, max(len(edges) - 1, 0))
    bins = [i for i in range(len(edges) - 1) if svg.finite(edges[i]) and svg.finite(edges[i + 1])]
    width, height = size
    bottom = height - 26
    tall = [h for heights in series.values() for h in heights]
    if logarithmic:
        tall = [_HALF, *(h for h in tall if h > 0)]
    y = fit(tall, bottom, 8, zero=True, logarithmic=logarithmic)
    base = y(y.low) if logarithmic else y(0)
    rows = max(2, int(height / 45))
    left = svg.label_width(y, rows) + (16 if y_label else 2)
    used = [float(edge) for i in bins for edge in edges[i : i + 2]]
    x = fit(used, left, width - 14, rounded=False)
    shown: Callable[[float], str] = format_number
    if times and used and used[0] >= FIRST and used[-1] <= LAST:
        x, shown = TimeScale(x.low, x.high, x.start, x.end), written
    plot = svg.Plot(width, height, left, 8, width - 14, bottom)
    parts = svg.left_axis(plot, y, y_label, rows)
    for index, heights in enumerate(series.values()):
        points = [(x(used[0]), base)] if bins else []
        for place, i in enumerate(bins):
            top = y(heights[i]) if svg.finite(heights[i]) else base
            points += [(x(used[2 * place]), top), (x(used[2 * place + 1]), top)]
        if points:
            points.append((x(used[-1]), base))
            parts.append(f"<path class='area {svg.color(index)}' d='{svg.path(points)}Z'/>")
    if tooltips:
        for place, i in enumerate(bins):
            start, end = used[2 * place], used[2 * place + 1]
            values = [f"{name}: {format_number(heights[i])}" for name, heights in series.items()]
            tip = "\n".join([f"{shown(start)} to {shown(end)}", *values])
            parts.append(svg.rect((x(start), 8, x(end) - x(start), bottom - 8), "hit", tip))
    parts += svg.bottom_axis(plot, x, ticks=max(2, int(width / (85 if times else 90))))
    return svg.figure(
        width,
        height,
        parts,
        title=title,
        named=list(series) if legend and len(series) > 1 else (),
        grows=width >= svg.WIDTH,
    )
