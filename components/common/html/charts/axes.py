"""Scales that map values to pixels, with ticks at round numbers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

_LARGEST = 1e300  # beyond, the difference of two values is infinite
_SMALLEST = 1e-280  # below, a step between ticks loses its digits
_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic axis.

    Attributes:
        low: The value at `start`.
        high: The value at `end`; larger than `low`.
        start: Pixels.
        end: Pixels; smaller than `start` for an axis that points up.
        logarithmic: Whether the axis is logarithmic; `low` must be positive then.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of a value in pixels; values outside are moved to the end."""
        bounded = min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high = math.log(self.low), math.log(self.high)
            share = (math.log(bounded) - low) / (high - low)
        else:
            share = (bounded - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Return at most about `most` round values within the scale, each with its label."""
        if self.logarithmic:
            return _logarithmic_ticks(self.low, self.high, most)
        return _linear_ticks(self.low, self.high, most)


def fit(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    zero: bool = False,
    rounded: bool = True,
    logarithmic: bool = False,
) -> Scale:
    """Return a scale that contains all values.

    Args:
        values: The values. Those that are not finite are ignored; without any, the scale is 0 to 1.
        start: The position of the lowest value in pixels.
        end: The position of the highest value in pixels.
        zero: Whether the scale includes 0.
        rounded: Whether a linear scale ends at ticks.
        logarithmic: Whether the scale is logarithmic; values must be positive then.

    Example:
        >>> scale = fit([3, 97], start=0, end=100)
        >>> scale.low, scale.high, scale(50)
        (0.0, 100.0, 50.0)
    """
    finite = [min(max(float(v), -_LARGEST), _LARGEST) for v in values if math.isfinite(v)]
    if zero and not logarithmic:
        finite.append(0.0)
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if logarithmic:
        return Scale(low, high if high > low else low * 10, start, end, logarithmic=True)
    if not high - low > max(abs(low), abs(high), _SMALLEST) * 1e-12:
        margin = max(abs(high) * 0.05, 0.5)
        low, high = (low, high + 2 * margin) if zero and low == 0 else (low - margin, high + margin)
    if rounded:
        step = _step(high - low, 6)
        low, high = math.floor(low / step) * step, math.ceil(high / step - 1e-9) * step
    return Scale(low, high, start, end)


def _step(span: float, most: int) -> float:
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if factor * power >= rough)


def _linear_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    step = _step(high - low, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [index * step for index in range(first, min(last, first + 2 * most) + 1)]
    return [(value, tick_label(value, step, max(abs(low), abs(high)))) for value in values]


def _logarithmic_ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    stride = max(1, math.ceil((last - first) / most))
    powers = [10.0**power for power in range(first, last + 1, stride)]
    inside = [value for value in powers if low * 0.999 <= value <= high * 1.001]
    return [(value, f"{value:g}") for value in inside or [low, high]]


def tick_label(value: float, step: float, largest: float) -> str:
    """Return the label of a tick: as short as neighbors allow, with k, M, B or T for large values.

    Args:
        value: The tick.
        step: The distance between two ticks.
        largest: The largest absolute value on the axis.

    Example:
        >>> tick_label(1_500_000, step=500_000, largest=20_000_000)
        '1.5M'
    """
    if largest >= 1e15 or largest < 1e-4:
        return "0" if value == 0 else f"{value:.3g}"
    unit, suffix = next((u for u in _UNITS if largest >= 10 * u[0]), (1.0, ""))
    smallest = step / unit
    decimals = 0
    while decimals < 9 and abs(smallest - round(smallest, decimals)) > 1e-9 * smallest:
        decimals += 1
    text = f"{value / unit:.{decimals}f}"
    if not float(text):
        return "0"
    return f"{text}{suffix}"
