"""Bars that lead from one value to another, each from where the one before it ended."""

from collections.abc import Sequence

from kfp_tabular.components.common.html.charts import svg
from kfp_tabular.components.common.html.charts.axes import fit
from kfp_tabular.components.common.html.markup import Markup, format_number

_ROW = 22.0
_LONGEST = 30
_FIGURE = 64.0
_DIRECTIONS = ("raises it", "lowers it")


def waterfall(
    labels: Sequence[str],
    changes: Sequence[float],
    *,
    start: float,
    ends: tuple[str, str],
    x_label: str,
    title: str = "",
) -> Markup:
    """Return a chart of changes that add up, from a first value to a last one.

    Args:
        labels: The name of each change, from the top.
        changes: How much each one adds.
        start: The first value.
        ends: The names of the first value and of the last one.
        x_label: The label of the values.
        title: The title above the chart.

    Raises:
        ValueError: The number of labels differs from that of changes.

    Example:
        >>> labels, ends = ["fare = 80", "hour = 3"], ("typical", "row")
        >>> chart = waterfall(labels, [0.3, -0.1], start=0.2, ends=ends, x_label="P")
        >>> chart.count("<rect"), "fare = 80: +0.3" in chart, ">0.4<" in chart
        (2, True, True)
    """
    if len(labels) != len(changes):
        raise ValueError(f"{len(labels)} labels, {len(changes)} changes")
    values = [start]
    for change in changes:
        values.append(values[-1] + change)
    names = [ends[0], *labels, ends[1]]
    left = svg.widest(svg.shorten(name, _LONGEST) for name in names) + 12
    bottom = 6 + _ROW * len(names)
    x = fit(values, left + 6, svg.WIDTH - _FIGURE, rounded=False)
    plot = svg.Plot(svg.WIDTH, bottom + 42, left, 6, svg.WIDTH - _FIGURE, bottom)
    parts = [
        f"<path class='g' d='M{svg.pixels(x(at))} 6V{svg.pixels(bottom)}'/>" for at, _ in x.ticks(4)
    ]
    for place, name in enumerate(names):
        middle = 6 + _ROW * (place + 0.5)
        parts.append(
            svg.text(left - 6, middle + 4, svg.shorten(name, _LONGEST), anchor="end", css="al")
        )
        if place in (0, len(names) - 1):
            at = values[0] if place == 0 else values[-1]
            parts.append(_mark(x(at), middle))
            parts.append(svg.text(x(at) + 6, middle + 4, format_number(at), css="al"))
        else:
            parts += _bar(name, changes[place - 1], x(values[place - 1]), x(values[place]), middle)
    parts += [
        f"<path class='ax' d='M{svg.pixels(x(value))} {svg.pixels(6 + _ROW * (place + 0.8))}"
        f"V{svg.pixels(6 + _ROW * (place + 1.2))}'/>"
        for place, value in enumerate(values)
    ]
    parts += svg.bottom_axis(plot, x, x_label, ticks=4)
    return svg.figure(svg.WIDTH, plot.height, parts, title=title, named=_DIRECTIONS, grows=False)


def signed(value: float) -> str:
    """Return a change with its sign.

    Example:
        >>> signed(0.25), signed(-0.5), signed(0.0)
        ('+0.25', '-0.5', '0')
    """
    return f"{'+' if value > 0 else ''}{format_number(value)}"


def _bar(name: str, change: float, start: float, end: float, middle: float) -> list[str]:
    low, high = sorted((start, end))
    at = low, middle - 7, max(high - low, 0.8), 14.0
    color = svg.color(0 if change >= 0 else 1)
    return [
        svg.rect(at, f"bar {color}", f"{name}: {signed(change)}"),
        # Two digits, so that it fits beside the bar; the tip has all.
        svg.text(high + 5, middle + 4, signed(float(f"{change:.2g}"))),
    ]


def _mark(x: float, middle: float) -> str:
    return (
        f"<path class='ax' d='M{svg.pixels(x)} {svg.pixels(middle - 8)}V{svg.pixels(middle + 8)}'/>"
    )
