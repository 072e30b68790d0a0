"""Metrics of a model on some rows, with intervals, and their differences to another model's."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.evaluation.metrics import bootstrap
from kfp_tabular.components.evaluation.metrics.bootstrap import Floats, Ints


@dataclass(frozen=True)
class Estimate:
    """A metric with its uncertainty.

    Attributes:
        value: The metric on all rows.
        interval: The 95 % bootstrap interval; None if it is undefined.
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

    def measured(self, cell: int, weights: Floats) -> CellMetrics:
        """Return the metrics of a cell.

        Args:
            cell: The cell's number.
            weights: How often each group counts in each resample, `[samples, groups]`.
        """


def add_up(totals: Floats, cells: Ints, groups: Ints, values: npt.NDArray[np.generic]) -> None:
    """Add a value of each row to its cell and group.

    Args:
        totals: Shape `[cells, groups]`, changed in place; it may be a strided view.
        cells: The cell of each row.
        groups: The group of each row.
        values: The value of each row, shape `[rows]`.

    Example:
        >>> totals = np.zeros((1, 2))
        >>> add_up(totals, np.array([0, 0, 0]), np.array([0, 1, 1]), np.array([1.0, 2.0, 3.0]))
        >>> totals.tolist()
        [[1.0, 5.0]]
    """
    count, width = totals.shape
    summed = np.bincount(
        cells * width + groups, weights=values.astype(np.float64), minlength=count * width
    )
    totals += summed.reshape(count, width)
