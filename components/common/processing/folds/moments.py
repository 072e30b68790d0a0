"""Mean and central moments of numbers, batch by batch."""

import math

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.processing import state as states

Numbers = npt.NDArray[np.float64]

_BITS = 30


class Moments:
    """Mean and central moments of numbers.

    The update is that of Chan, Golub and LeVeque for the second moment, extended to the third by
    Pébay (SAND2008-6212). It keeps a small spread exact beside a large mean.

    Attributes:
        count: How many numbers were added.
        mean: Their mean.
        second: The sum of squared distances to the mean.
        third: The sum of cubed distances.

    Example:
        >>> moments = Moments()
        >>> moments.add(np.array([1.0, 2.0, 6.0]))
        >>> moments.mean, round(moments.deviation, 3), round(moments.skewness, 3)
        (3.0, 2.16, 0.595)
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0
        self.second = 0.0
        self.third = 0.0

    def add(self, batch: Numbers) -> None:
        """Add numbers."""
        count = len(batch)
        if not count:
            return
        mean = float(batch.mean())
        centered = batch - mean
        squares = centered * centered
        self._add(count, mean, float(squares.sum()), float((squares * centered).sum()))

    def merge(self, other: "Moments") -> None:
        """Add what another accumulator has seen."""
        if other.count:
            self._add(other.count, other.mean, other.second, other.third)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({"count": self.count, "sums": self._sums()})

    def from_state(self, state: bytes) -> "Moments":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = Moments()
        found.count = parts["count"]
        found.mean, found.second, found.third = parts["sums"].tolist()
        return found

    def result(self) -> "Moments":
        """Return the moments."""
        return self

    @property
    def deviation(self) -> float:
        """The standard deviation of the population; NaN without numbers."""
        return math.sqrt(self.second / self.count) if self.count else math.nan

    @property
    def skewness(self) -> float:
        """The third standardized moment; 0 if the numbers do not vary."""
        deviation = self.deviation
        return self.third / self.count / deviation**3 if deviation > 0 else 0.0

    def _sums(self) -> Numbers:
        return np.array([self.mean, self.second, self.third])

    def _add(self, count: int, mean: float, second: float, third: float) -> None:
        if not self.count:
            self.count, self.mean, self.second, self.third = count, mean, second, third
            return
        total, delta = self.count + count, mean - self.mean
        self.third += (
            third
            + delta**3 * self.count * count * (self.count - count) / total**2
            + 3 * delta * (self.count * second - count * self.second) / total
        )
        self.second += second + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total


def stable(mean: float, deviation: float) -> tuple[float, float]:
    """Round a mean and a deviation, so that they do not depend on the order of merging.

    That order changes the last digits. Rounded to a billionth of the deviation, they are the same
    for every cut into pieces and on every engine, and so are files that hold them.

    Example:
        >>> stable(5.000000000000001, 2.0), stable(4.999999999999999, 1.9999999999999998)
        ((5.0, 2.0), (5.0, 2.0))
    """
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0):
        return mean, deviation
    fraction, exponent = math.frexp(deviation)
    rounded = math.ldexp(round(math.ldexp(fraction, _BITS)), exponent - _BITS)
    step = math.frexp(rounded)[1] - _BITS
    if abs(mean) / 2.0 ** (53 - _BITS) >= rounded:
        # A double has no digits beyond this step.
        return mean, rounded
    return math.ldexp(round(math.ldexp(mean, -step)), step), rounded
