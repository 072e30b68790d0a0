"""Whether a difference of two models is more than chance: its standard error over test rows.

Both models predict the same rows, so their losses are compared row by row. A row that is tested
with several seeds counts once: its shares are added up before they are squared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SeedLosses:
    """The losses of two models for one seed's test rows.

    Attributes:
        rows: Which rows of the table they are.
        model: The loss of each row: minus the log probability, or the squared error.
        other: The other model's.
    """

    rows: npt.NDArray[np.int64]
    model: Array
    other: Array


def standard_error(task: str, seeds: Sequence[SeedLosses]) -> float:
    """Return the standard error of the difference of two scores, each the mean over seeds.

    Args:
        task: `regression`, whose score is the root of the mean loss, or another one, whose score is
            the mean.
        seeds: The losses by seed.

    Example:
        >>> losses = SeedLosses(np.arange(4), np.array([1.0, 2, 3, 4]), np.array([1.0, 1, 1, 1]))
        >>> round(standard_error("binary", [losses]), 4)
        0.559
    """
    shares = np.zeros(1 + max(int(one.rows.max()) for one in seeds))
    for one in seeds:
        share = _shares(task, one.model) - _shares(task, one.other)
        np.add.at(shares, one.rows, share / len(seeds))
    return float(np.sqrt(np.sum(shares**2)))


def _shares(task: str, losses: Array) -> Array:
    """Return what each row adds to the score's distance from its expectation, to first order."""
    mean = float(np.mean(losses))
    shares = (losses - mean) / len(losses)
    if task == "regression":
        return shares / (2 * mean**0.5) if mean else shares
    return shares


def same_rows(task: str, labels: npt.ArrayLike, others: npt.ArrayLike) -> bool:
    """Return whether two models were tested on the same rows in the same order, by their labels.

    Classes may be numbered differently.

    Example:
        >>> same_rows("binary", [0, 1, 1], [1, 0, 0]), same_rows("binary", [0, 1, 1], [1, 1, 0])
        (True, False)
    """
    first, second = np.asarray(labels), np.asarray(others)
    if first.shape != second.shape:
        return False
    if task == "regression":
        return bool(np.allclose(first, second, rtol=1e-5))
    pairs = {(int(one), int(other)) for one, other in zip(first, second, strict=True)}
    return len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
