"""Charts of lines through points."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kfp_tabular.components.common.html.charts import svg
from kfp_tabular.components.common.html.charts.axes import Scale, fit
from kfp_tabular.components.common.html.markup import Markup, escape, format_number

_MARKED_POINTS = 60  # beyond, points with tooltips crowd the line and swell the page
_DRAWN_POINTS = 1200
_LARGEST_COUNT = 1e15  # beyond, every number is whole
_HEIGHT = 270.0
_MARK_WIDTH = 60.0  # of the name of a mark

SQUARE = 380.0
"""The width of a chart with equal axes, in pixels."""


def line_chart(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    diagonal: bool = False,
    equal: bool = False,
    levels: Mapping[str, float] | None = None,
    marks: Mapping[str, float] | None = None,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> Markup:
    """Return a chart of lines through points.

    Args:
        series: The points `(x, y)` of each line by name. Points that are not finite are left out;
            a long line is thinned, but keeps its highs and lows.
        x_label: The label of the horizontal axis.
        y_label: The label of the vertical axis.
        title: The title above the chart.
        diagonal: Whether to draw the line x = y, dashed.
        equal: Whether both axes have the same range, in a square plot.
        levels: Values on the vertical axis to draw as dashed lines, by name.
        marks: The same on the horizontal axis.
        x_range: The ends of the horizontal axis; None to take them from the data.
        y_range: The ends of the vertical axis; None to take them from the data.

    Example:
        >>> chart = line_chart({"loss": [(1, 0.7), (2, 0.5)]}, x_label="epoch", y_label="loss")
        >>> chart.startswith("<figure")
        True
    """
    lines = {
        name: [(float(x), float(y)) for x, y in points if svg.finite(x) and svg.finite(y)]
        for name, points in series.items()
    }
    every = [point for points in lines.values() for point in points]
    levels = {name: value for name, value in (levels or {}).items() if svg.finite(value)}
    marks = {name: value for name, value in (marks or {}).items() if svg.finite(value)}
    across = list(x_range or [*(p[0] for p in every), *marks.values()])
    upward = list(y_range or [*(p[1] for p in every), *levels.values()])
    if equal:
        across = upward = across + upward
    width, bottom = (SQUARE, 0.0) if equal else (svg.WIDTH, _HEIGHT - 44)
    y = fit(upward, bottom, 10, rounded=y_range is None)
    left = svg.label_width(y) + 20
    x = fit(across, left, width - 14, rounded=equal and x_range is None)
    if equal:
        bottom = 10 + width - 14 - left
        y = replace(y, start=bottom)
    plot = svg.Plot(width, bottom + 44, left, 10, width - 14, bottom)
    whole = bool(every) and all(abs(p[0]) < _LARGEST_COUNT and p[0] == int(p[0]) for p in every)
    written = svg.bottom_axis(plot, x, x_label, whole=whole and x.high - x.low >= 1)
    parts = svg.left_axis(plot, y, y_label) + written
    if diagonal:
        ends = max(x.low, y.low), min(x.high, y.high)
        parts.append(f"<path class='dash' d='{svg.path((x(e), y(e)) for e in ends)}'/>")
    for index, (name, points) in enumerate(lines.items()):
        line = _line(name, points, (x, y), (x_label, y_label))
        parts.append(f"<g class='{svg.color(index)}'>{line}</g>")
    drawn = [(x(a), y(b)) for a, b in every]
    parts += _levels(levels, plot, y, drawn) + _marks(marks, plot, x)
    return svg.figure(
        width,
        bottom + 44,
        parts,
        title=title,
        named=list(lines) if len(lines) > 1 else (),
        label=f"{title or 'Lines'}: {y_label} by {x_label}",
        grows=not equal,
    )


def _levels(
    levels: Mapping[str, float],
    plot: svg.Plot,
    scale: Scale,
    drawn: Sequence[tuple[float, float]],
) -> list[str]:
    """Return dashed lines with their names, each at the end that the lines leave free."""
    parts = []
    middle = (plot.left + plot.right) / 2
    for name, value in levels.items():
        y = scale(value)
        free = [
            min((abs(b - y) for a, b in drawn if (a < middle) == is_left), default=plot.height)
            for is_left in (True, False)
        ]
        at, anchor = (plot.left + 4, "start") if free[0] > free[1] else (plot.right - 2, "end")
        parts.append(f"<path class='dash' d='{svg.path([(plot.left, y), (plot.right, y)])}'/>")
        place = y - 5 if y > plot.top + 14 else y + 14
        parts.append(svg.text(at, place, name, anchor=anchor, css="halo al"))
    return parts


def _marks(marks: Mapping[str, float], plot: svg.Plot, scale: Scale) -> list[str]:
    parts = []
    before, row = -_MARK_WIDTH, 0
    for name, value in sorted(marks.items(), key=lambda mark: mark[1]):
        x = scale(value)
        # Names of neighbors are below each other.
        row = row + 1 if x - before < _MARK_WIDTH else 0
        before = x
        parts.append(f"<path class='dash' d='{svg.path([(x, plot.top), (x, plot.bottom)])}'/>")
        right = x > (plot.left + plot.right) / 2
        at, anchor = (x - 5, "end") if right else (x + 5, "start")
        down = plot.top + 10 + 14 * row
        parts.append(svg.text(at, down, name, anchor=anchor, css="halo al"))
    return parts


def _line(
    name: str,
    points: Sequence[tuple[float, float]],
    scales: tuple[Scale, Scale],
    labels: tuple[str, str],
) -> str:
    if not points:
        return ""
    x, y = scales
    drawn = _thinned(points)
    shape = f"<path class='ln' d='{svg.path((x(a), y(b)) for a, b in drawn)}'>"
    parts = [shape, f"<title>{escape(name)}</title></path>"]
    few = len(drawn) <= _MARKED_POINTS
    for a, b in drawn[:: max(1, math.ceil(len(drawn) / _MARKED_POINTS))]:
        tip = f"{name}\n{labels[0]}: {format_number(a)}\n{labels[1]}: {format_number(b)}"
        radius, kind = ("2.6", "pt") if few and len(drawn) <= 30 else ("7", "hit")
        parts.append(
            f"<circle class='{kind}' cx='{svg.pixels(x(a))}' cy='{svg.pixels(y(b))}' "
            f"r='{radius}'><title>{escape(tip)}</title></circle>"
        )
    return "".join(parts)


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """Return the first, lowest, highest and last point of each stretch."""
    if len(points) <= _DRAWN_POINTS:
        return points
    stretch = math.ceil(len(points) / (_DRAWN_POINTS // 4))
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), stretch):
        here = range(start, min(start + stretch, len(points)))
        low = min(here, key=lambda i: points[i][1])
        high = max(here, key=lambda i: points[i][1])
        kept += [points[i] for i in sorted({here[0], low, high, here[-1]})]
    return kept
