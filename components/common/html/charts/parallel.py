"""Parallel coordinates: the settings and scores of many trials in one chart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kfp_tabular.components.common.html.charts import svg
from kfp_tabular.components.common.html.charts.axes import Scale, fit
from kfp_tabular.components.common.html.markup import Markup, escape, format_number

_TOP, _BOTTOM, _HEIGHT = 30.0, 282.0, 300.0
# From low to high: violet, blue-green, amber. Legible on white and on near-black.
_RAMP = ((111, 80, 196), (38, 140, 160), (224, 150, 20))


@dataclass(frozen=True)
class _Axis:
    name: str
    categories: tuple[str, ...]
    scale: Scale

    def position(self, value: float | str | None) -> float | None:
        if self.categories:
            return self.scale(self.categories.index(str(value)))
        number = _number(value)
        return None if number is None else self.scale(number)

    def ticks(self) -> list[tuple[float, str]]:
        if self.categories:
            return [(self.scale(i), svg.shorten(c, 16)) for i, c in enumerate(self.categories)]
        return [(self.scale(value), written) for value, written in self.scale.ticks(5)]


def parallel_coordinates(
    axes: Sequence[str],
    lines: Sequence[Sequence[float | str]],
    scores: Sequence[float],
    *,
    score_label: str,
    best: int | None = None,
) -> Markup:
    """Return a chart with a line per trial and an axis per setting, colored by score.

    Args:
        axes: The names of the settings. An axis is categorical if any of its values is text,
            logarithmic if its values are positive and span orders of magnitude, else linear.
        lines: A value per setting, for each trial.
        scores: The score of each trial. A trial without a score (NaN) is drawn dashed and gray.
        score_label: The label of the scores.
        best: The index of a trial to highlight.

    Raises:
        ValueError: A trial has no score, or not one value per setting.

    Example:
        >>> trials, scores = [[0.01, "relu"], [0.1, "tanh"]], [0.71, float("nan")]
        >>> chart = parallel_coordinates(["rate", "activation"], trials, scores, score_label="auc")
        >>> chart.count("class='trial'"), chart.count("class='trial lost'")
        (1, 1)
        >>> parallel_coordinates(["rate"], trials, scores, score_label="auc")
        Traceback (most recent call last):
        ...
        ValueError: 2 scores for 2 lines of 1 values
    """
    if len(lines) != len(scores) or any(len(line) != len(axes) for line in lines):
        raise ValueError(f"{len(scores)} scores for {len(lines)} lines of {len(axes)} values")
    drawn = [_axis(name, [line[i] for line in lines]) for i, name in enumerate(axes)]
    drawn.append(_Axis(score_label, (), fit(scores, _BOTTOM, _TOP)))
    gap = max(110.0, 880.0 / max(len(drawn) - 1, 1)) if len(drawn) > 1 else 0.0
    left, width = 60.0, 60.0 + gap * (len(drawn) - 1) + 60
    places = [left + gap * i for i in range(len(drawn))]
    finite = [score for score in scores if svg.finite(score)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    parts = []
    # The best trial is drawn last, on top.
    for i in sorted(range(len(lines)), key=lambda i: i == best):
        values = [*lines[i], scores[i]]
        points = [
            (x, y)
            for x, axis, value in zip(places, drawn, values, strict=True)
            if (y := axis.position(value)) is not None
        ]
        css, stroke = "trial lost", ""
        if svg.finite(scores[i]):
            css = "best" if i == best else "trial"
            share = (scores[i] - low) / (high - low) if high > low else 1.0
            stroke = f" stroke='{_ramp(share)}'"
        named = zip((axis.name for axis in drawn), values, strict=True)
        tip = "\n".join(f"{name}: {_written(value)}" for name, value in named)
        shape = f"<path class='{css}'{stroke} d='{svg.path(points)}'>"
        parts.append(f"{shape}<title>{escape(tip)}</title></path>")
    most = max(int(gap / svg.CHARACTER) - 1, 10)
    for x, axis in zip(places, drawn, strict=True):
        parts.append(f"<path class='ax' d='M{svg.pixels(x)} {_TOP:g}V{_BOTTOM:g}'/>")
        name = svg.shorten(axis.name, most)
        parts.append(svg.text(x, 14, name, anchor="middle", css="al"))
        for y, written in axis.ticks():
            parts.append(f"<path class='ax' d='M{svg.pixels(x - 4)} {svg.pixels(y)}h4'/>")
            parts.append(svg.text(x - 6, y + 4, written, anchor="end", css="halo"))
    chart = svg.figure(width, _HEIGHT, parts, title="")
    return Markup(chart.replace("<figure>", "<figure class='wide scroll'>", 1))


def _axis(name: str, values: Sequence[float | str | None]) -> _Axis:
    if any(isinstance(value, str) and _number(value) is None for value in values):
        categories = tuple(sorted({str(value) for value in values}))
        last = len(categories) - 1
        middle = (_TOP + _BOTTOM) / 2
        if not last:
            return _Axis(name, categories, Scale(-1, 1, 2 * middle - _TOP, _TOP))
        return _Axis(name, categories, Scale(0, last, _BOTTOM, _TOP))
    numbers = [number for value in values if (number := _number(value)) is not None]
    scale = fit(numbers, _BOTTOM, _TOP, rounded=False, logarithmic=_spans_magnitudes(numbers))
    return _Axis(name, (), scale)


def _spans_magnitudes(numbers: Sequence[float]) -> bool:
    """Whether values span orders of magnitude: positive, wide, and most in the lower half."""
    if not numbers or min(numbers) <= 0 or max(numbers) / min(numbers) < 30:
        return False
    middle = (min(numbers) + max(numbers)) / 2
    return sum(number < middle for number in numbers) > 0.7 * len(numbers)


def _number(value: float | str | None) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _written(value: float | str | None) -> str:
    number = _number(value)
    return str(value) if number is None or isinstance(value, str) else format_number(number)


def _ramp(share: float) -> str:
    position = min(max(share, 0.0), 1.0) * (len(_RAMP) - 1)
    index = min(int(position), len(_RAMP) - 2)
    weight = position - index
    mixed = (
        round(a + (b - a) * weight) for a, b in zip(_RAMP[index], _RAMP[index + 1], strict=True)
    )
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
