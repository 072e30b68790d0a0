"""The parts that all charts share: figure, axes and shapes."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.html.charts.axes import Scale
from kfp_tabular.components.common.html.markup import Markup, escape
from kfp_tabular.components.common.html.style import SERIES_COLOURS

CHARACTER = 6.2
"""The mean width of a character in pixels, in the font of the charts."""

_WIDTHS = {"narrow": 4.3, "wide": 10.8, "large": 8.0, "full": 12.5, "other": 7.0}
_NARROW, _WIDE = frozenset("iljtfrI.,:;'|!()[] "), frozenset("mwMWQ@%…")
_FULL_WIDTH = "\u1100"  # from here on most scripts are drawn in squares

WIDTH = 480.0
"""The width of a chart in pixels unless it says otherwise. Two fit on a page of full width, and one
on a telephone's, with text that can be read on both."""

_WHOLE = 1e-9
_STRETCH = 1.15  # how much wider than its size a drawing of fixed size may become


@dataclass(frozen=True)
class Plot:
    """The size of a chart and the area of its data, in pixels."""

    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float


def pixels(value: float) -> str:
    """Return a coordinate as text, rounded to a tenth of a pixel.

    Example:
        >>> pixels(12.0), pixels(2.54)
        ('12', '2.5')
    """
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def color(index: int) -> str:
    """Return the CSS class of a series.

    Example:
        >>> color(0), color(SERIES_COLOURS)
        ('s0', 's0')
    """
    return f"s{index % SERIES_COLOURS}"


def legend(names: Iterable[str]) -> Markup:
    """Return a legend: the names of series, each with its color.

    Example:
        >>> print(legend(["train", "a < b"]))
        <div class='legend'><span class='s0'>train</span><span class='s1'>a &lt; b</span></div>
    """
    keys = (f"<span class='{color(i)}'>{escape(name)}</span>" for i, name in enumerate(names))
    return Markup(f"<div class='legend'>{''.join(keys)}</div>")


def figure(
    width: float,
    height: float,
    parts: Iterable[str],
    *,
    title: str = "",
    named: Sequence[str] = (),
    label: str = "",
    grows: bool = True,
) -> Markup:
    """Return a drawing as a figure with a title and a legend.

    Args:
        width: The width of the drawing in pixels.
        height: The height of the drawing in pixels.
        parts: The SVG elements.
        title: The title above the drawing.
        named: The names of the series for the legend, in the order of their colors.
        label: What the drawing shows, for screen readers; empty for the title.
        grows: Whether the drawing may become wider than `width`.

    Example:
        >>> print(figure(100, 50, [rect((0, 0, 10, 4), "bar")], title="Loss"))
        <figure><figcaption>Loss</figcaption><svg viewBox='0 0 100 50' role='img'
        aria-label='Loss'><rect x='0' y='0' width='10' height='4' class='bar'/></svg></figure>
    """
    caption = f"<figcaption>{escape(title)}</figcaption>" if title else ""
    keys = legend(named) if named else ""
    limit = "" if grows else f" style='max-width:{pixels(width * _STRETCH)}px'"
    return Markup(
        f"<figure{limit}>{caption}{keys}"
        f"<svg viewBox='0 0 {pixels(width)} {pixels(height)}' role='img' "
        f"aria-label='{escape(label or title or 'chart')}'>{''.join(parts)}</svg></figure>"
    )


def text(
    x: float, y: float, content: object, *, anchor: str = "start", css: str = "", turn: float = 0
) -> str:
    """Return text; `turn` rotates it by degrees around its anchor.

    Example:
        >>> text(5, 10.25, "a < b", anchor="end")
        "<text x='5' y='10.2' text-anchor='end'>a &lt; b</text>"
    """
    style = f" class='{css}'" if css else ""
    rotation = f" transform='rotate({pixels(turn)} {pixels(x)} {pixels(y)})'" if turn else ""
    return (
        f"<text x='{pixels(x)}' y='{pixels(y)}' text-anchor='{anchor}'{style}{rotation}>"
        f"{escape(content)}</text>"
    )


def rect(at: tuple[float, float, float, float], css: str, tooltip: object = "") -> str:
    """Return a rectangle at `(x, y, width, height)`, with an optional tooltip.

    Example:
        >>> rect((0, 0, 10, 4), "bar", "12 rows")
        "<rect x='0' y='0' width='10' height='4' class='bar'><title>12 rows</title></rect>"
    """
    x, y, width, height = at
    shape = (
        f"<rect x='{pixels(x)}' y='{pixels(y)}' width='{pixels(max(width, 0))}' "
        f"height='{pixels(max(height, 0))}' class='{css}'"
    )
    return f"{shape}><title>{escape(tooltip)}</title></rect>" if tooltip else f"{shape}/>"


def path(points: Iterable[tuple[float, float]]) -> str:
    """Return the data of a path: straight lines through the points.

    Example:
        >>> path([(0, 0), (10, 2.5)])
        'M0 0L10 2.5'
    """
    return "M" + "L".join(f"{pixels(x)} {pixels(y)}" for x, y in points)


def left_axis(plot: Plot, scale: Scale, label: str = "", ticks: int = 6) -> list[str]:
    """Return horizontal grid lines with their values, and the label of the axis.

    Example:
        >>> plot = Plot(width=100, height=50, left=20, top=5, right=95, bottom=40)
        >>> line, label, *_ = left_axis(plot, Scale(0, 10, start=40, end=5), ticks=2)
        >>> line, label
        ("<path class='g' d='M20 40H95'/>", "<text x='14' y='44' text-anchor='end'>0</text>")
    """
    parts = []
    for value, written in scale.ticks(ticks):
        y = scale(value)
        parts.append(f"<path class='g' d='M{pixels(plot.left)} {pixels(y)}H{pixels(plot.right)}'/>")
        parts.append(text(plot.left - 6, y + 4, written, anchor="end"))
    if label:
        middle = (plot.top + plot.bottom) / 2
        parts.append(text(11, middle, label, anchor="middle", css="al", turn=-90))
    return parts


def bottom_axis(
    plot: Plot, scale: Scale, label: str = "", ticks: int = 7, *, whole: bool = False
) -> list[str]:
    """Return the horizontal axis with ticks, their values, and its label.

    Of values that would run into each other, only every second one is written, every third and so
    on.

    Args:
        plot: The area of the data.
        scale: The scale.
        label: The label.
        ticks: The most ticks, about.
        whole: Whether to leave out ticks between whole numbers, where values are counts.

    Example:
        >>> plot = Plot(width=100, height=50, left=20, top=5, right=95, bottom=40)
        >>> line, tick, label, *_ = bottom_axis(plot, Scale(0, 10, start=20, end=95), ticks=2)
        >>> tick, label
        ("<path class='ax' d='M20 40v4'/>", "<text x='20' y='56' text-anchor='middle'>0</text>")
    """
    y = plot.bottom
    if whole:
        ticks = min(ticks, max(1, int(scale.high - scale.low)))
    parts = [f"<path class='ax' d='M{pixels(plot.left)} {pixels(y)}H{pixels(plot.right)}'/>"]
    shown = [
        (scale(value), written)
        for value, written in scale.ticks(ticks)
        if not whole or abs(value - round(value)) <= _WHOLE
    ]
    gaps = [right - left for (left, _), (right, _) in itertools.pairwise(shown)]
    every = math.ceil(widest(written for _, written in shown) / max(min(gaps), 1.0)) if gaps else 1
    for number, (x, written) in enumerate(shown):
        parts.append(f"<path class='ax' d='M{pixels(x)} {pixels(y)}v4'/>")
        if number % every == 0:
            parts.append(text(x, y + 16, written, anchor="middle"))
    if label:
        middle = (plot.left + plot.right) / 2
        parts.append(text(middle, y + 34, label, anchor="middle", css="al"))
    return parts


def label_width(scale: Scale, ticks: int = 6) -> float:
    """Return the width of the values of a left axis, in pixels.

    Example:
        >>> label_width(Scale(0, 10, 0, 100)) < label_width(Scale(0, 10_000_000, 0, 100))
        True
    """
    return widest(written for _, written in scale.ticks(ticks)) + 10


def widest(labels: Iterable[object]) -> float:
    """Return the width that the widest label takes at most, on a telephone too, in pixels.

    Example:
        >>> widest(["C0000484", "iiii"]) > widest(["distance"]) > widest([])
        True
    """
    return max((sum(map(_width, str(label))) for label in labels), default=CHARACTER)


def _width(character: str) -> float:
    if character in _NARROW:
        return _WIDTHS["narrow"]
    if character in _WIDE:
        return _WIDTHS["wide"]
    if character >= _FULL_WIDTH:
        return _WIDTHS["full"]
    large = character.isupper() or character.isdigit() or character in "_&+<>=~#"
    return _WIDTHS["large" if large else "other"]


def shorten(content: object, most: int) -> str:
    """Return text cut to `most` characters, with an ellipsis.

    Example:
        >>> shorten("neighborhood", 8), shorten("fare", 8)
        ('neighbo…', 'fare')
    """
    whole = str(content)
    return whole if len(whole) <= most else whole[: most - 1] + "…"


def finite(value: float | None) -> bool:
    """Whether a value can be drawn.

    Example:
        >>> finite(2.5), finite(float("nan")), finite(None)
        (True, False, False)
    """
    return value is not None and math.isfinite(value)


def check_lengths(series: Mapping[str, Sequence[float]], wanted: int) -> None:
    """Raise `ValueError` unless every series has the wanted number of values."""
    for name, values in series.items():
        if len(values) != wanted:
            raise ValueError(f"series {name!r} has {len(values)} values, not {wanted}")
