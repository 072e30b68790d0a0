"""Small charts of how an answer depends on one value: means, lines of single rows, a histogram."""

import datetime
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.html.charts import svg
from kfp_tabular.components.common.html.charts.axes import Scale, fit
from kfp_tabular.components.common.html.markup import Markup, escape, format_number

_WIDTH, _HEIGHT = 320.0, 220.0
_STRIP = 26.0  # the height of the histogram above the axis
_MISSING = 62.0  # the room for what is answered without a value, right of the axis
_ROW = 20.0
_LONGEST = 18
_DAY = 86_400.0

Point = tuple[float, float]


@dataclass(frozen=True)
class DependenceLines:
    """What a chart along numbers or times shows.

    Attributes:
        grid: The values on the horizontal axis, ascending; seconds since 1970 for times.
        means: A mean answer per value, by the name of the answer.
        rows: Answers of single rows, one per value each.
        edges: The edges of the histogram's bins.
        counts: The rows of each bin.
        missing: The mean answer without a value, by the name of the answer; None for none.
        is_time: Whether the values are times.
    """

    grid: Sequence[float]
    means: Mapping[str, Sequence[float]]
    rows: Sequence[Sequence[float]]
    edges: Sequence[float]
    counts: Sequence[float]
    missing: Mapping[str, float] | None = None
    is_time: bool = False


def dependence_lines(
    drawn: DependenceLines, *, title: str, y_label: str, y_range: tuple[float, float]
) -> Markup:
    """Return a chart along numbers or times.

    Args:
        drawn: What to draw.
        title: The title above the chart.
        y_label: The label of the answers.
        y_range: The ends of the vertical axis, the same for charts that are compared. Lines of
            single rows are cut where they leave it.

    Example:
        >>> drawn = DependenceLines([0, 1], {"yes": [0.2, 0.4]}, [[0.1, 0.5]], [0, 1], [7])
        >>> chart = dependence_lines(drawn, title="fare", y_label="P(yes)", y_range=(0, 1))
        >>> chart.count("<path class='ln'"), "<title>0 to 1: 7 rows</title>" in chart
        (1, True)
    """
    bottom = _HEIGHT - 22
    y = Scale(*_apart(y_range), bottom - _STRIP - 4, 8)
    left = svg.label_width(y, 4) + 20
    right = _WIDTH - (_MISSING if drawn.missing else 10)
    x = fit(drawn.grid, left, right, rounded=False)
    plot = svg.Plot(_WIDTH, _HEIGHT, left, 8, right, bottom)
    parts = svg.left_axis(plot, y, y_label, 4)
    for row in drawn.rows:
        pieces = _inside(list(zip(drawn.grid, row, strict=True)), y.low, y.high)
        points = "".join(svg.path((x(a), y(b)) for a, b in piece) for piece in pieces)
        if points:
            parts.append(
                f"<path style='fill:none;stroke:var(--soft);stroke-width:1;stroke-opacity:.28' "
                f"d='{points}'/>"
            )
    parts += _histogram(drawn, x, bottom)
    for index, (name, means) in enumerate(drawn.means.items()):
        parts.append(_mean_line(name, means, drawn, (x, y), index))
    if drawn.missing:
        parts.append(_missing(drawn.missing, y, (_WIDTH - 24, bottom)))
    parts += _time_axis(plot, x) if drawn.is_time else svg.bottom_axis(plot, x, ticks=4)
    return svg.figure(_WIDTH, _HEIGHT, parts, title=title, grows=False)


def dependence_dots(
    labels: Sequence[str],
    means: Mapping[str, Sequence[float]],
    *,
    ranges: Sequence[tuple[float, float] | None],
    shares: Sequence[float],
    title: str,
    x_label: str,
    x_range: tuple[float, float],
) -> Markup:
    """Return a chart of categories: a dot for each mean answer, and the range of single rows.

    Args:
        labels: The categories, from the top.
        means: A mean answer per category, by the name of the answer.
        ranges: The range that most rows have, for each category; None for none.
        shares: The share of the rows with each category.
        title: The title above the chart.
        x_label: The label of the answers.
        x_range: The ends of the horizontal axis, the same for charts that are compared.

    Example:
        >>> chart = dependence_dots(["cash"], {"yes": [0.2]}, ranges=[(0.1, 0.4)], shares=[0.6],
        ...                         title="payment", x_label="P(yes)", x_range=(0, 1))
        >>> chart.count("<circle"), "60%" in chart
        (1, True)
    """
    left = svg.widest(svg.shorten(label, _LONGEST) for label in labels) + 12
    bottom = 8 + _ROW * len(labels)
    right = _WIDTH - 42
    x = Scale(*_apart(x_range), left + 4, right - 6)
    plot = svg.Plot(_WIDTH, bottom + 40, left, 8, right, bottom)
    parts = [
        f"<path class='g' d='M{svg.pixels(x(at))} 8V{svg.pixels(bottom)}'/>" for at, _ in x.ticks(4)
    ]
    for place, label in enumerate(labels):
        middle = 8 + _ROW * (place + 0.5)
        share = f"{100 * shares[place]:.0f}%" if shares[place] >= 0.005 else "<1%"
        parts.append(svg.text(left - 4, middle + 4, svg.shorten(label, _LONGEST), anchor="end"))
        parts.append(svg.text(_WIDTH - 4, middle + 4, share, anchor="end"))
        between = ranges[place]
        if between is not None:
            parts.append(
                f"<path style='stroke:var(--soft);stroke-width:5;stroke-opacity:.28' "
                f"d='M{svg.pixels(x(between[0]))} {svg.pixels(middle)}"
                f"H{svg.pixels(x(between[1]))}'/>"
            )
        for index, (name, values) in enumerate(means.items()):
            tip = f"{label}, {share} of the rows\n{name}: {format_number(values[place])}"
            parts.append(_dot(x(values[place]), middle, tip, index))
    parts += svg.bottom_axis(plot, x, x_label, ticks=4)
    return svg.figure(_WIDTH, plot.height, parts, title=title, grows=False)


def _inside(points: Sequence[Point], low: float, high: float) -> list[list[Point]]:
    """Return the pieces of a line that lie between two heights.

    Example:
        >>> _inside([(0, 0), (1, 2), (2, 0)], 0, 1)
        [[(0.0, 0.0), (0.5, 1.0)], [(1.5, 1.0), (2.0, 0.0)]]
    """
    pieces: list[list[Point]] = []
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        # The shares of the way at which the segment crosses the two heights.
        ends = sorted((bound - y0) / (y1 - y0) for bound in (low, high)) if y1 != y0 else [0.0, 1.0]
        start, end = max(ends[0], 0.0), min(ends[1], 1.0)
        if start > end or (y1 == y0 and not low <= y0 <= high):
            continue
        here = [(x0 + share * (x1 - x0), y0 + share * (y1 - y0)) for share in (start, end)]
        if pieces and pieces[-1][-1] == here[0]:
            pieces[-1].append(here[1])
        else:
            pieces.append(here)
    return pieces


def _apart(ends: tuple[float, float]) -> tuple[float, float]:
    scale = fit(ends, 0, 1)
    return scale.low, scale.high


def _mean_line(
    name: str,
    means: Sequence[float],
    drawn: DependenceLines,
    scales: tuple[Scale, Scale],
    index: int,
) -> str:
    x, y = scales
    points = svg.path((x(a), y(b)) for a, b in zip(drawn.grid, means, strict=True))
    parts = [f"<path class='ln' d='{points}'><title>{escape(name)}</title></path>"]
    for at, mean in zip(drawn.grid, means, strict=True):
        shown = _moment(at, _DAY * 2) if drawn.is_time else format_number(at)
        tip = escape(f"{shown}\n{name}: {format_number(mean)}")
        parts.append(
            f"<circle class='hit' cx='{svg.pixels(x(at))}' cy='{svg.pixels(y(mean))}' r='6'>"
            f"<title>{tip}</title></circle>"
        )
    return f"<g class='{svg.color(index)}'>{''.join(parts)}</g>"


def _histogram(drawn: DependenceLines, x: Scale, bottom: float) -> list[str]:
    most = max(drawn.counts, default=0) or 1
    parts = []
    for place, count in enumerate(drawn.counts):
        start, end = drawn.edges[place], drawn.edges[place + 1]
        height = _STRIP * count / most
        shown = [_moment(e, _DAY * 2) if drawn.is_time else format_number(e) for e in (start, end)]
        tip = f"{' to '.join(shown)}: {format_number(count)} rows"
        at = x(start), bottom - height, max(x(end) - x(start) - 0.6, 0.6), height
        parts.append(svg.rect(at, "void", tip))
    return parts


def _missing(means: Mapping[str, float], y: Scale, at: tuple[float, float]) -> str:
    x, bottom = at
    dots = [
        _dot(x, y(mean), f"missing\n{name}: {format_number(mean)}", index)
        for index, (name, mean) in enumerate(means.items())
    ]
    return "".join(dots) + svg.text(x, bottom + 16, "missing", anchor="middle")


def _dot(x: float, y: float, tip: str, index: int) -> str:
    return (
        f"<g class='{svg.color(index)}'><circle class='pt' cx='{svg.pixels(x)}' "
        f"cy='{svg.pixels(y)}' r='4'><title>{escape(tip)}</title></circle></g>"
    )


def _time_axis(plot: svg.Plot, x: Scale) -> list[str]:
    y = plot.bottom
    parts = [
        f"<path class='ax' d='M{svg.pixels(plot.left)} {svg.pixels(y)}H{svg.pixels(plot.right)}'/>"
    ]
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        at = x.low + share * (x.high - x.low)
        place = svg.pixels(x(at))
        parts.append(f"<path class='ax' d='M{place} {svg.pixels(y)}v4'/>")
        parts.append(svg.text(x(at), y + 16, _moment(at, x.high - x.low), anchor=anchor))
    return parts


def _moment(seconds: float, span: float) -> str:
    """Return a time, as exact as a span needs.

    Example:
        >>> _moment(0.0, 90 * 86_400), _moment(3600.0, 7200)
        ('1970-01-01', '1970-01-01 01:00')
    """
    start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    try:
        moment = start + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return format_number(seconds)
    return f"{moment:%Y-%m-%d}" if span > 2 * _DAY else f"{moment:%Y-%m-%d %H:%M}"
