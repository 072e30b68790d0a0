"""The calibration of a binary model: predicted probabilities, observed shares, and row counts."""

from collections.abc import Mapping, Sequence
from typing import Any

from kfp_tabular.components.common.html import Markup, format_number
from kfp_tabular.components.common.html.charts import axes, svg
from kfp_tabular.components.common.html.charts.line_chart import SQUARE

_STRIP = 60.0
_GAP = 12.0
_LEFT, _TOP, _RIGHT = 52.0, 10.0, SQUARE - 14


def draw(calibration: Sequence[Mapping[str, Any]], counts: Sequence[int]) -> Markup:
    """Draw calibration with equal axes, and below it the rows by predicted probability.

    Args:
        calibration: The bins: `predicted`, `observed`, `rows`, and the `interval` of `observed`.
        counts: Rows by bins of equal width over the probabilities 0 to 1. The axis of counts is
            logarithmic, so that a bin of few rows is visible beside one of many.

    Example:
        >>> ends = [0.14, 0.4]
        >>> bins = [{"predicted": 0.2, "observed": 0.25, "rows": 40, "interval": ends}]
        >>> drawn = draw(bins, [30, 0, 10, 0])
        >>> drawn.count("<circle"), drawn.count("class='bar s0'")
        (1, 2)
    """
    bottom = _TOP + _RIGHT - _LEFT
    low, high = bottom + _GAP, bottom + _GAP + _STRIP
    x = axes.Scale(0, 1, _LEFT, _RIGHT)
    y = axes.Scale(0, 1, bottom, _TOP)
    plot = svg.Plot(SQUARE, high + 44, _LEFT, _TOP, _RIGHT, bottom)
    strip = svg.Plot(SQUARE, high + 44, _LEFT, low, _RIGHT, high)
    rows = axes.fit([0.5, *(c for c in counts if c), 1.0], high, low, logarithmic=True)
    parts = svg.left_axis(plot, y, "share of positives")
    parts += svg.left_axis(strip, rows, "rows", 2)
    parts += svg.bottom_axis(strip, x, "predicted probability", 6)
    ends = [(x(0), y(0)), (x(1), y(1))]
    parts.append(f"<path class='dash' d='{svg.path(ends)}'/>")
    points = [(x(part["predicted"]), y(part["observed"])) for part in calibration]
    if points:
        parts.append(f"<g class='s0'><path class='ln' d='{svg.path(points)}'/>")
        parts += [
            f"<path class='err' d='{svg.path([(at, y(end)) for end in part['interval']])}'/>"
            for part, (at, _) in zip(calibration, points, strict=True)
            # Evaluations of earlier versions have none.
            if "interval" in part
        ]
        parts += [_point(part, at) for part, at in zip(calibration, points, strict=True)]
        parts.append("</g>")
    width = (_RIGHT - _LEFT) / max(len(counts), 1)
    for index, count in enumerate(counts):
        if count:
            at = (_LEFT + index * width, rows(count), width - 0.5, high - rows(count))
            span = f"{index / len(counts):.3g} to {(index + 1) / len(counts):.3g}"
            parts.append(svg.rect(at, "bar s0", f"{span}: {format_number(count)} rows"))
    return svg.figure(
        SQUARE,
        high + 44,
        parts,
        title="Calibration",
        label="Calibration: share of positives and rows by predicted probability",
        grows=False,
    )


def _point(part: Mapping[str, Any], at: tuple[float, float]) -> str:
    ends = " to ".join(map(format_number, part.get("interval", ())))
    tip = (
        f"predicted {format_number(part['predicted'])}, observed "
        f"{format_number(part['observed'])}{f' ({ends})' if ends else ''}, "
        f"{format_number(part['rows'])} rows"
    )
    return (
        f"<circle class='pt' cx='{svg.pixels(at[0])}' cy='{svg.pixels(at[1])}' r='2.8'>"
        f"<title>{tip}</title></circle>"
    )
