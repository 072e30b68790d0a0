"""The parts that all charts share: figure, axes and shapes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.html.axes import Scale
from kfp_tabular.components.common.html.markup import Markup, escape
from kfp_tabular.components.common.html.style import SERIES_COLOURS

CHARACTER = 6.2
"""The approximate width of a character in pixels, in the font of the charts."""


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
    """Return a coordinate as text, rounded to a tenth of a pixel."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def color(index: int) -> str:
    """Return the CSS class of a series."""
    return f"s{index % SERIES_COLOURS}"


def legend(names: Iterable[str]) -> Markup:
    """Return a legend: the names of series, each with its color."""
    keys = (f"<span class='{color(i)}'>{escape(name)}</span>" for i, name in enumerate(names))
    return Markup(f"<div class='legend'>{''.join(keys)}</div>")


def figure(
    width: float,
    height: float,
    parts: Iterable[str],
    *,
    title: str = "",
    named: Sequence[str] = (),
    grows: bool = True,
) -> Markup:
    """Return a drawing as a figure with a title and a legend.

    Args:
        width: The width of the drawing in pixels.
        height: The height of the drawing in pixels.
        parts: The SVG elements.
        title: The title above the drawing, also read by screen readers.
        named: The names of the series for the legend, in the order of their colors.
        grows: Whether the drawing may become wider than `width`.
    """
    caption = f"<figcaption>{escape(title)}</figcaption>" if title else ""
    keys = legend(named) if named else ""
    limit = "" if grows else f" style='max-width:{pixels(width)}px'"
    return Markup(
        f"<figure{limit}>{caption}{keys}"
        f"<svg viewBox='0 0 {pixels(width)} {pixels(height)}' role='img' "
        f"aria-label='{escape(title or 'chart')}'>{''.join(parts)}</svg></figure>"
    )


def text(
    x: float, y: float, content: object, *, anchor: str = "start", css: str = "", turn: float = 0
) -> str:
    """Return text; `turn` rotates it by degrees around its anchor."""
    style = f" class='{css}'" if css else ""
    rotation = f" transform='rotate({pixels(turn)} {pixels(x)} {pixels(y)})'" if turn else ""
    return (
        f"<text x='{pixels(x)}' y='{pixels(y)}' text-anchor='{anchor}'{style}{rotation}>"
        f"{escape(content)}</text>"
    )


def rect(at: tuple[float, float, float, float], css: str, tooltip: object = "") -> str:
    """Return a rectangle at `(x, y, width, height)`, with an optional tooltip."""
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
    """Return horizontal grid lines with their values, and the label of the axis."""
    parts = []
    for value, written in scale.ticks(ticks):
        y = scale(value)
        parts.append(f"<path class='g' d='M{pixels(plot.left)} {pixels(y)}H{pixels(plot.right)}'/>")
        parts.append(text(plot.left - 6, y + 4, written, anchor="end"))
    if label:
        middle = (plot.top + plot.bottom) / 2
        parts.append(text(11, middle, label, anchor="middle", css="al", turn=-90))
    return parts


def bottom_axis(plot: Plot, scale: Scale, label: str = "", ticks: int = 7) -> list[str]:
    """Return the horizontal axis with ticks, their values, and its label."""
    y = plot.bottom
    parts = [f"<path class='ax' d='M{pixels(plot.left)} {pixels(y)}H{pixels(plot.right)}'/>"]
    for value, written in scale.ticks(ticks):
        x = scale(value)
        parts.append(f"<path class='ax' d='M{pixels(x)} {pixels(y)}v4'/>")
        parts.append(text(x, y + 16, written, anchor="middle"))
    if label:
        middle = (plot.left + plot.right) / 2
        parts.append(text(middle, y + 34, label, anchor="middle", css="al"))
    return parts


def label_width(scale: Scale, ticks: int = 6) -> float:
    """Return the width of the values of a left axis, in pixels."""
    return CHARACTER * max((len(written) for _, written in scale.ticks(ticks)), default=1) + 10


def shorten(content: object, most: int) -> str:
    """Return text cut to `most` characters, with an ellipsis."""
    whole = str(content)
    return whole if len(whole) <= most else whole[: most - 1] + "…"


def finite(value: float | None) -> bool:
    """Whether a value can be drawn."""
    return value is not None and math.isfinite(value)
