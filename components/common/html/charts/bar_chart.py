"""Charts of bars by label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.html.charts import svg
from kfp_tabular.components.common.html.charts.axes import fit
from kfp_tabular.components.common.html.markup import Markup, format_number


def bar_chart(
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    y_label: str = "",
    upright: bool | None = None,
    size: tuple[float, float] = (svg.WIDTH, 280.0),
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
    svg.check_lengths(series, len(labels))
    look = _Look(title, y_label, size, legend and len(series) > 1, tooltips)
    if upright is None:
        group = max(svg.widest(labels) + 8, 18.0 * len(series))
        upright = len(labels) * group <= size[0] - 70
    return _upright_bars(labels, series, look) if upright else _lying_bars(labels, series, look)


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
            grows=width >= svg.WIDTH,
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
    most = int(width * 0.4 / svg.CHARACTER)
    left = svg.widest(svg.shorten(label, most) for label in labels) + 12
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


def _bar(index: int) -> str:
    return f"bar {svg.color(index)}"
