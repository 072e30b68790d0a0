"""Charts with axes: lines, bars, histograms and heat maps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.html import svg
from kfp_tabular.components.common.html.axes import Scale, fit
from kfp_tabular.components.common.html.markup import Markup, escape, format_number

_WIDTH, _HEIGHT = 640.0, 320.0
_MARKED_POINTS = 60  # beyond, points with tooltips crowd the line and swell the page
_DRAWN_POINTS = 1200
_WRITTEN_CELLS = 400  # a heat map with more cells shows its values in tooltips alone


def line_chart(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_label: str,
    y_label: str,
    title: str = "",
    diagonal: bool = False,
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
        x_range: The ends of the horizontal axis; None to take them from the data.
        y_range: The ends of the vertical axis; None to take them from the data.

    Example:
        >>> chart = line_chart({"loss": [(1, 0.7), (2, 0.5)]}, x_label="epoch", y_label="loss")
        >>> chart.startswith("<figure>")
        True
    """
    lines = {
        name: [(float(x), float(y)) for x, y in points if svg.finite(x) and svg.finite(y)]
        for name, points in series.items()
    }
    every = [point for points in lines.values() for point in points]
    bottom = _HEIGHT - 44
    y = fit(y_range or [p[1] for p in every], bottom, 10, rounded=y_range is None)
    left = svg.label_width(y) + 20
    x = fit(x_range or [p[0] for p in every], left, _WIDTH - 14, rounded=False)
    plot = svg.Plot(_WIDTH, _HEIGHT, left, 10, _WIDTH - 14, bottom)
    parts = svg.left_axis(plot, y, y_label) + svg.bottom_axis(plot, x, x_label)
    if diagonal:
        ends = max(x.low, y.low), min(x.high, y.high)
        parts.append(f"<path class='dash' d='{svg.path((x(e), y(e)) for e in ends)}'/>")
    for index, (name, points) in enumerate(lines.items()):
        line = _line(name, points, (x, y), (x_label, y_label))
        parts.append(f"<g class='{svg.color(index)}'>{line}</g>")
    return svg.figure(
        _WIDTH, _HEIGHT, parts, title=title, named=list(lines) if len(lines) > 1 else ()
    )


def bar_chart(
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    y_label: str = "",
    upright: bool | None = None,
    size: tuple[float, float] = (_WIDTH, 280.0),
    legend: bool = True,
    tooltips: bool = True,
) -> Markup:
    """Return a chart of bars by label; several series are side by side.

    Args:
        labels: The label of each group of bars.
        series: A value per label, by the name of the series. Values that are not finite have no
            bar.
        title: The title above the chart.
        y_label: The label of the values.
        upright: Whether bars are vertical; None for vertical if the labels are few and short.
        size: Width and height in pixels; horizontal bars take the height they need.
        legend: Whether to name several series above the chart.
        tooltips: Whether bars show their values; without them, a page of many charts stays small.

    Raises:
        ValueError: The number of values of a series differs from the number of labels.

    Example:
        >>> labels = ["cash", "card", "other"]
        >>> bar_chart(labels, {"share": [0.4, 0.6, float("nan")]}).count("<rect")
        2
        >>> bar_chart(labels, {"share": [0.4, 0.6]})
        Traceback (most recent call last):
        ...
        ValueError: series 'share' has 2 values, not 3
    """
    _check_lengths(series, len(labels))
    look = _Look(title, y_label, size, legend and len(series) > 1, tooltips)
    if upright is None:
        longest = max((len(str(label)) for label in labels), default=0)
        group = max(longest * svg.CHARACTER + 8, 18.0 * len(series))
        upright = len(labels) * group <= size[0] - 70
    return _upright_bars(labels, series, look) if upright else _lying_bars(labels, series, look)


def histogram(
    edges: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    y_label: str = "",
    size: tuple[float, float] = (_WIDTH, 260.0),
    legend: bool = True,
    tooltips: bool = True,
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
    _check_lengths(series, max(len(edges) - 1, 0))
    bins = [i for i in range(len(edges) - 1) if svg.finite(edges[i]) and svg.finite(edges[i + 1])]
    width, height = size
    bottom = height - 26
    y = fit([h for heights in series.values() for h in heights], bottom, 8, zero=True)
    rows = max(2, int(height / 45))
    left = svg.label_width(y, rows) + (16 if y_label else 2)
    used = [float(edge) for i in bins for edge in edges[i : i + 2]]
    x = fit(used, left, width - 14, rounded=False)
    plot = svg.Plot(width, height, left, 8, width - 14, bottom)
    parts = svg.left_axis(plot, y, y_label, rows)
    for index, heights in enumerate(series.values()):
        points = [(x(used[0]), y(0))] if bins else []
        for place, i in enumerate(bins):
            top = y(heights[i]) if svg.finite(heights[i]) else y(0)
            points += [(x(used[2 * place]), top), (x(used[2 * place + 1]), top)]
        if points:
            points.append((x(used[-1]), y(0)))
            parts.append(f"<path class='area {svg.color(index)}' d='{svg.path(points)}Z'/>")
    if tooltips:
        for place, i in enumerate(bins):
            start, end = used[2 * place], used[2 * place + 1]
            values = [f"{name}: {format_number(heights[i])}" for name, heights in series.items()]
            written = "\n".join([f"{format_number(start)} to {format_number(end)}", *values])
            parts.append(svg.rect((x(start), 8, x(end) - x(start), bottom - 8), "hit", written))
    parts += svg.bottom_axis(plot, x, ticks=max(2, int(width / 90)))
    return svg.figure(
        width,
        height,
        parts,
        title=title,
        named=list(series) if legend and len(series) > 1 else (),
        grows=width >= _WIDTH,
    )


def heatmap(
    values: Sequence[Sequence[float]],
    *,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    row_title: str,
    column_title: str,
    title: str = "",
) -> Markup:
    """Return a grid of cells; the larger a value, the darker its cell.

    Args:
        values: A row of values per row label; NaN leaves a cell blank.
        row_labels: The names of the rows, from the top.
        column_labels: The names of the columns, from the left.
        row_title: The label of the rows.
        column_title: The label of the columns.
        title: The title above the chart.

    Raises:
        ValueError: The numbers of values and labels differ.

    Example:
        >>> names = ["no", "yes"]
        >>> titles = {"row_title": "actual", "column_title": "predicted"}
        >>> chart = heatmap([[50, 3], [7, 40]], row_labels=names, column_labels=names, **titles)
        >>> chart.count("<rect")
        4
        >>> heatmap([[50, 3]], row_labels=names, column_labels=names, **titles)
        Traceback (most recent call last):
        ...
        ValueError: values are not 2 rows of 2
    """
    if len(values) != len(row_labels) or any(len(r) != len(column_labels) for r in values):
        raise ValueError(f"values are not {len(row_labels)} rows of {len(column_labels)}")
    largest = max((abs(v) for r in values for v in r if svg.finite(v)), default=0) or 1.0
    rows, columns = len(row_labels), max(len(column_labels), 1)
    margin = svg.CHARACTER * max((min(len(str(n)), 24) for n in row_labels), default=1)
    left, top = margin + 34, 22.0
    cell = min(max(560.0 / columns, 6.0), 84.0)
    tall = min(cell, max(520.0 / max(rows, 1), 4.0), 48.0)
    written = rows * columns <= _WRITTEN_CELLS and cell >= 26
    turned = any(len(str(n)) * svg.CHARACTER > cell - 4 for n in column_labels)
    below = svg.CHARACTER * max((min(len(str(n)), 24) for n in column_labels), default=1)
    grid_bottom = top + rows * tall
    height = grid_bottom + (below + 14 if turned else 20)
    width = max(left + columns * cell + 8, 240.0)
    parts = [
        svg.text(left + columns * cell / 2, 13, column_title, anchor="middle", css="al"),
        svg.text(11, top + rows * tall / 2, row_title, anchor="middle", css="al", turn=-90),
    ]
    every_row, every_column = math.ceil(13 / tall), math.ceil(13 / cell)
    for i, name in enumerate(row_labels):
        y = top + i * tall
        if i % every_row == 0:
            parts.append(svg.text(left - 6, y + tall / 2 + 4, svg.shorten(name, 24), anchor="end"))
        for j, other in enumerate(column_labels):
            at = left + j * cell, y, cell, tall
            tip = f"{row_title}: {name}\n{column_title}: {other}"
            parts.append(_heat_cell(values[i][j], largest, at, tip, written))
    for j, name in enumerate(column_labels):
        x = left + (j + 0.5) * cell
        if turned and j % every_column == 0:
            short = svg.shorten(name, 24)
            parts.append(svg.text(x + 4, grid_bottom + 8, short, anchor="end", turn=-90))
        elif not turned:
            parts.append(svg.text(x, grid_bottom + 15, name, anchor="middle"))
    return svg.figure(width, height, parts, title=title, grows=False)


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


@dataclass(frozen=True)
class _Look:
    title: str
    y_label: str
    size: tuple[float, float]
    legend: bool
    tooltips: bool

    def tip(self, label: str, name: str, value: float) -> str:
        return f"{label}\n{name}: {format_number(value)}" if self.tooltips else ""

    def figure(self, height: float, parts: Sequence[str], names: Mapping[str, object]) -> Markup:
        width, _ = self.size
        return svg.figure(
            width,
            height,
            parts,
            title=self.title,
            named=list(names) if self.legend else (),
            grows=width >= _WIDTH,
        )


def _upright_bars(
    labels: Sequence[str], series: Mapping[str, Sequence[float]], look: _Look
) -> Markup:
    width, height = look.size
    bottom, rows = height - 26, max(2, int(height / 45))
    y = fit([v for values in series.values() for v in values], bottom, 8, zero=True)
    left = svg.label_width(y, rows) + (20 if look.y_label else 2)
    plot = svg.Plot(width, height, left, 8, width - 8, bottom)
    group = (plot.right - left) / max(len(labels), 1)
    bar = min(group * 0.78 / max(len(series), 1), 64.0)
    parts = svg.left_axis(plot, y, look.y_label, rows)
    for i, label in enumerate(labels):
        middle = left + (i + 0.5) * group
        for j, (name, values) in enumerate(series.items()):
            if svg.finite(values[i]):
                at = middle + (j - len(series) / 2) * bar
                start, end = sorted((y(0), y(values[i])))
                tip = look.tip(label, name, values[i])
                parts.append(svg.rect((at, start, bar - 1, end - start), _bar(j), tip))
        parts.append(svg.text(middle, bottom + 16, label, anchor="middle"))
    base = svg.pixels(y(0))
    parts.append(f"<path class='ax' d='M{svg.pixels(left)} {base}H{svg.pixels(plot.right)}'/>")
    return look.figure(height, parts, series)


def _lying_bars(
    labels: Sequence[str], series: Mapping[str, Sequence[float]], look: _Look
) -> Markup:
    width, _ = look.size
    bar = {1: 16.0, 2: 9.0}.get(len(series), 7.0)
    group = bar * max(len(series), 1) + 7
    bottom = 8 + group * len(labels)
    height = bottom + (42 if look.y_label else 24)
    most = int(width * 0.5 / svg.CHARACTER)
    left = svg.CHARACTER * max((min(len(str(n)), most) for n in labels), default=1) + 12
    right = width - (60 if len(series) == 1 else 14)
    x = fit([v for values in series.values() for v in values], left, right, zero=True)
    plot = svg.Plot(width, height, left, 8, right, bottom)
    ticks = max(2, int((right - left) / 70))
    parts = [
        f"<path class='g' d='M{svg.pixels(x(value))} 8V{svg.pixels(bottom)}'/>"
        for value, _ in x.ticks(ticks)
    ]
    for i, label in enumerate(labels):
        top = 8 + i * group + 3.5
        middle = top + (group - 7) / 2 + 4
        parts.append(svg.text(left - 8, middle, svg.shorten(label, most), anchor="end", css="al"))
        for j, (name, values) in enumerate(series.items()):
            if svg.finite(values[i]):
                start, end = sorted((x(0), x(values[i])))
                tip = look.tip(label, name, values[i])
                at = (start, top + j * bar, end - start, bar - 1)
                parts.append(svg.rect(at, _bar(j), tip))
                if len(series) == 1:
                    parts.append(svg.text(end + 5, middle, format_number(values[i])))
    parts += svg.bottom_axis(plot, x, look.y_label, ticks)
    return look.figure(height, parts, series)


def _heat_cell(
    value: float, largest: float, at: tuple[float, float, float, float], tip: str, written: bool
) -> str:
    x, y, width, height = at
    if not svg.finite(value):
        return svg.rect((x, y, width - 1, height - 1), "void", tip)
    share = abs(value) / largest
    tip = f"{tip}\n{format_number(value)}"
    # Never fully transparent, so that a zero is visible as a cell.
    cell = svg.rect((x, y, width - 1, height - 1), "cell", tip)
    cell = cell.replace("class=", f"fill-opacity='{0.05 + 0.95 * share:.3g}' class=", 1)
    if not written:
        return cell
    css = "on" if share > 0.5 else "off"
    content = format_number(value)
    if len(content) * svg.CHARACTER > width - 2:
        return cell
    return cell + svg.text(x + width / 2, y + height / 2 + 4, content, anchor="middle", css=css)


def _bar(index: int) -> str:
    return f"bar {svg.color(index)}"


def _check_lengths(series: Mapping[str, Sequence[float]], wanted: int) -> None:
    for name, values in series.items():
        if len(values) != wanted:
            raise ValueError(f"series {name!r} has {len(values)} values, not {wanted}")
