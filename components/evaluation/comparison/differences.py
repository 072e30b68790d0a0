"""The difference of a metric between two models on the same rows, and tests of it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kfp_tabular.components.common.statistics.bootstrap import (
    CONFIDENCE,
    DEFINED_SHARE,
    GROUPS,
    Floats,
)
from kfp_tabular.components.evaluation.comparison import distributions, mcnemar
from kfp_tabular.components.evaluation.comparison.mcnemar import Discordance

LEVEL = 1 - CONFIDENCE
"""Two-sided; a one-sided test has half of it, so that tests and intervals agree."""

DELONG, CLUSTERED_DELONG, MCNEMAR = "DeLong", "clustered DeLong", "McNemar"
BOOTSTRAP, CLUSTER_BOOTSTRAP = "paired bootstrap", "cluster bootstrap"


class Difference(Protocol):
    """A metric of the first model minus that of the second."""

    @property
    def method(self) -> str:
        """The name of the test."""

    @property
    def value(self) -> float:
        """The difference."""

    def interval(self) -> tuple[float, float]:
        """Return its interval at `CONFIDENCE`."""

    def above(self, least: float) -> float:
        """Return the p-value of "the difference is at most this"; small if it is above."""

    def below(self, most: float) -> float:
        """Return the p-value of "the difference is at least this"; small if it is below."""

    def p_value(self) -> float:
        """Return the p-value of "there is no difference", two-sided."""


@dataclass(frozen=True)
class Studentized:
    """A difference with a standard error.

    Attributes:
        method: The name of the test.
        value: The difference.
        error: Its standard error.
        freedom: Degrees of freedom of the error; infinite if it is exact.

    Example:
        >>> found = Studentized("DeLong", value=0.02, error=0.01, freedom=np.inf)
        >>> round(found.p_value(), 4), round(found.above(-0.005), 4), round(found.below(0), 4)
        (0.0455, 0.0062, 0.9772)
    """

    method: str
    value: float
    error: float
    freedom: float

    def interval(self) -> tuple[float, float]:
        """See `Difference`."""
        width = self.error * distributions.student_quantile((1 + CONFIDENCE) / 2, self.freedom)
        return self.value - width, self.value + width

    def above(self, least: float) -> float:
        """See `Difference`."""
        return self._tail(self.value - least)

    def below(self, most: float) -> float:
        """See `Difference`."""
        return self._tail(most - self.value)

    def p_value(self) -> float:
        """See `Difference`."""
        return min(1.0, 2 * self._tail(abs(self.value)))

    def _tail(self, distance: float) -> float:
        if self.error > 0:
            return distributions.student_tail(distance / self.error, self.freedom)
        # Both models answer alike: what is observed is certain.
        return 0.0 if distance > 0 else 1.0


@dataclass(frozen=True)
class PairedAccuracies:
    """A difference of accuracies.

    Attributes:
        found: How the models answer the rows.
        method: The name of the test.
    """

    found: Discordance
    method: str = MCNEMAR

    @property
    def value(self) -> float:
        """See `Difference`."""
        return self.found.difference

    def interval(self) -> tuple[float, float]:
        """See `Difference`."""
        return mcnemar.interval(self.found, CONFIDENCE)

    def above(self, least: float) -> float:
        """See `Difference`."""
        return mcnemar.better(self.found, least)

    def below(self, most: float) -> float:
        """See `Difference`."""
        return mcnemar.better(self.found.turned(), -most)

    def p_value(self) -> float:
        """See `Difference`."""
        return mcnemar.mid_p(self.found)


def resampled(
    value: float, replicates: Floats, units: int, *, clustered: bool = False
) -> Studentized | None:
    """Return a difference whose standard error comes from resamples.

    Args:
        value: The difference on all rows.
        replicates: The difference in each resample, NaN where it is undefined.
        units: How many units were resampled: rows, or entities.
        clustered: Whether the units are entities.

    Returns:
        The difference; None if it is undefined, or in more than a tenth of the resamples.

    Example:
        >>> round(resampled(0.5, np.array([0.4, 0.5, 0.6]), units=1000).error, 3)
        0.1
    """
    defined = replicates[np.isfinite(replicates)]
    few = len(defined) < DEFINED_SHARE * len(replicates) or len(defined) < len(("low", "high"))
    groups = min(units, GROUPS)
    if few or not np.isfinite(value) or groups < len(("one", "another")):
        return None
    # Resampling g groups gives the variance of their mean but for the factor g / (g - 1).
    error = float(defined.std(ddof=1)) * float(np.sqrt(groups / (groups - 1)))
    method = CLUSTER_BOOTSTRAP if clustered else BOOTSTRAP
    return Studentized(method, value, error, groups - 1.0)
