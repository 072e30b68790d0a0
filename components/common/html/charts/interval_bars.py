"""Horizontal bars with whiskers: values with their intervals."""

from collections.abc import Sequence

from kfp_tabular.components.common.html.charts import svg
from kfp_tabular.components.common.html.charts.axes import fit
from kfp_tabular.components.common.html.markup import Markup, format_number

_WIDTH, _ROW = 420.0, 20.0
_LONGEST = 22


def interval_bars(
    labels: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[Sequence[float] | None],
    *,
    x_label: str,
    title: str = "",
) -> Markup:
    """Return a chart of horizontal bars with their intervals.

    Args:
        labels: The name of each bar, from the top.
        values: The length of each bar; it starts at 0.
        intervals: The ends of each whisker; None for no whisker.
        x_label: The label of the values.
        title: The title above the chart.

    Raises:
        ValueError: The numbers of labels, values and intervals differ.

    Example:
        >>> chart = interval_bars(["fare", "hour"], [0.2, 0.0], [(0.1, 0.3), None], x_label="loss")
        >>> chart.count("<rect"), "fare: 0.2, 95% interval 0.1 to 0.3" in chart
        (2, True)
    """
    if not len(labels) == len(values) == len(intervals):
        raise ValueError(f"{len(labels)} labels, {len(values)} values, {len(intervals)} intervals")
    left = svg.widest(svg.shorten(label, _LONGEST) for label in labels) + 12
    bottom = 6 + _ROW * len(labels)
    ends = [end for interval in intervals if interval is not None for end in interval]
    x = fit([*values, *ends], left, _WIDTH - 14, zero=True, rounded=False)
    plot = svg.Plot(_WIDTH, bottom + 42, left, 6, _WIDTH - 14, bottom)
    parts = [
        f"<path class='g' d='M{svg.pixels(x(at))} 6V{svg.pixels(bottom)}'/>" for at, _ in x.ticks(5)
    ]
    for place, (label, value, interval) in enumerate(zip(labels, values, intervals, strict=True)):
        middle = 6 + _ROW * (place + 0.5)
        tip = f"{label}: {format_number(value)}"
        if interval is not None:
            tip += f", 95% interval {' to '.join(format_number(end) for end in interval)}"
        start, end = sorted((x(0), x(value)))
        at = start, middle - 6, max(end - start, 0.8), 12.0
        parts.append(svg.text(left - 6, middle + 4, svg.shorten(label, _LONGEST), anchor="end"))
        parts.append(f"<g class='{svg.color(0)}'>{svg.rect(at, 'bar', tip)}</g>")
        if interval is not None:
            parts.append(_whisker(x(interval[0]), x(interval[1]), middle))
    parts += svg.bottom_axis(plot, x, x_label, ticks=5)
    return svg.figure(_WIDTH, plot.height, parts, title=title, grows=False)


def _whisker(low: float, high: float, middle: float) -> str:
    left, right = svg.pixels(low), svg.pixels(high)
    up, down = svg.pixels(middle - 3.5), svg.pixels(middle + 3.5)
    return (
        f"<path style='fill:none;stroke:var(--ink);stroke-width:1.3' "
        f"d='M{left} {svg.pixels(middle)}H{right}M{left} {up}V{down}M{right} {up}V{down}'/>"
    )
