"""Metrics of a model on some rows, with intervals, and their differences to another model's."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.common.statistics.bootstrap import Floats, Ints

SelfT = TypeVar("SelfT")

_FEW_ROWS = 2  # so many totals for each row make adding at places faster than counting all


@dataclass(frozen=True)
class Estimate:
    """A metric with its uncertainty.

    Attributes:
        value: The metric on all rows.
        interval: The 95% bootstrap interval; None if it is undefined.
    """

    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class CellMetrics:
    """Metrics of a model on the rows of one cell.

    Attributes:
        rows: The number of rows.
        points: Each metric on all rows; NaN if it is undefined.
        replicates: Each metric in every resample, shape `[samples]`.
    """

    rows: int
    points: dict[str, float]
    replicates: dict[str, Floats]

    def estimates(self) -> dict[str, Estimate]:
        """Return the metrics that are defined, with their intervals."""
        return {
            name: Estimate(value, bootstrap.interval(self.replicates[name]))
            for name, value in self.points.items()
            if np.isfinite(value)
        }

    def minus(self, other: "CellMetrics") -> "CellMetrics":
        """Return the differences to another model on the same rows, resample by resample.

        Example:
            >>> ours = CellMetrics(100, {"auc": 0.75}, {"auc": np.array([0.5, 1.0])})
            >>> theirs = CellMetrics(100, {"auc": 0.5}, {"auc": np.array([0.25, 0.75])})
            >>> ours.minus(theirs).points, ours.minus(theirs).replicates["auc"].tolist()
            ({'auc': 0.25}, [0.25, 0.25])
        """
        return CellMetrics(
            rows=self.rows,
            points={name: value - other.points[name] for name, value in self.points.items()},
            replicates={
                name: values - other.replicates[name] for name, values in self.replicates.items()
            },
        )


class Statistics(Protocol):
    """Sums over rows from which the metrics of a task follow; their size is bounded.

    Rows are counted in cells: one cell for all rows, or one for each slice.
    """

    def add(
        self, cells: Ints, groups: Ints, labels: npt.NDArray[np.generic], predictions: Predictions
    ) -> None:
        """Add rows.

        Args:
            cells: The cell of each row, shape `[rows]`.
            groups: The resampling group of each row.
            labels: Class indices, or numbers.
            predictions: The model's predictions.
        """

    def merge(self: SelfT, other: SelfT) -> None:
        """Add what another accumulator has seen."""

    def state(self) -> bytes:
        """Return what was added so far; see `processing.accumulator`."""

    def from_state(self: SelfT, state: bytes) -> SelfT:
        """Return an accumulator with a state."""

    def measured(self, cell: int, weights: Floats) -> CellMetrics:
        """Return the metrics of a cell.

        Args:
            cell: The cell's number.
            weights: How often each group counts in each resample, `[samples, groups]`.
        """


def add_up(
    totals: Floats,
    cells: Ints,
    groups: Ints,
    values: npt.NDArray[np.generic] | None = None,
) -> None:
    """Add a value of each row to its cell and group.

    Args:
        totals: Shape `[cells, groups]`, contiguous; changed in place.
        cells: The cell of each row.
        groups: The group of each row.
        values: The value of each row, shape `[rows]`; None for 1.

    Example:
        >>> totals = np.zeros((1, 2))
        >>> add_up(totals, np.array([0, 0, 0]), np.array([0, 1, 1]), np.array([1.0, 2.0, 3.0]))
        >>> totals.tolist()
        [[1.0, 5.0]]
    """
    places = cells * totals.shape[1] + groups
    if totals.size > _FEW_ROWS * len(places):
        np.add.at(totals.reshape(-1), places, 1 if values is None else values)
        return
    weights = None if values is None else values.astype(np.float64)
    totals += np.bincount(places, weights, totals.size).reshape(totals.shape)
