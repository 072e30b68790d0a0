"""Random draws that are the same on every machine and with every version of numpy.

numpy promises that a bit generator's stream never changes, but not how `Generator` turns it into
normal, exponential or other variates. So only uniform doubles are taken from it.
"""

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]


class Draws:
    """Random variates from a seed.

    Args:
        seed: Any integer from 0.
    """

    def __init__(self, seed: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(seed))

    def uniform(self, count: int) -> Floats:
        """Draw from 0 (included) to 1 (excluded), shape `[count]`."""
        return self._generator.random(count)

    def happens(self, probability: Floats | float, count: int) -> Booleans:
        """Draw yes or no, shape `[count]`.

        Args:
            probability: Of yes; one for all or one each.
            count: How many to draw.
        """
        return np.asarray(self.uniform(count) < probability)

    def normal(self, count: int) -> Floats:
        """Draw from the standard normal distribution (Box and Muller, 1958), shape `[count]`."""
        radius = np.sqrt(-2.0 * np.log1p(-self.uniform(count)))
        return np.asarray(radius * np.cos(2.0 * np.pi * self.uniform(count)))

    def exponential(self, count: int) -> Floats:
        """Draw from the exponential distribution of mean 1, shape `[count]`."""
        return np.asarray(-np.log1p(-self.uniform(count)))

    def logistic(self, count: int) -> Floats:
        """Draw from the standard logistic distribution, shape `[count]`."""
        # The smallest positive double keeps a draw of exactly 0 finite.
        share = np.maximum(self.uniform(count), np.finfo(np.float64).tiny)
        return np.asarray(np.log(share) - np.log1p(-share))

    def gumbel(self, count: int) -> Floats:
        """Draw from the standard Gumbel distribution, shape `[count]`."""
        return np.asarray(-np.log(np.maximum(self.exponential(count), np.finfo(np.float64).tiny)))

    def choice(self, weights: Floats, count: int) -> Integers:
        """Draw indices into `weights`, each in proportion to its weight, shape `[count]`.

        Example:
            >>> Draws(7).choice(np.array([1.0, 0.0, 3.0]), 4).tolist()
            [2, 2, 2, 0]
        """
        upper = np.cumsum(weights)
        drawn = np.searchsorted(upper, self.uniform(count) * upper[-1], side="right")
        # A product that is rounded up to the sum would draw an index beyond.
        return np.asarray(np.minimum(drawn, np.flatnonzero(weights)[-1]), dtype=np.int64)
