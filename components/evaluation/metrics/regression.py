"""Metrics of a regression model.

With the error e = predicted - actual: `mae` is the mean of |e|, `rmse` the root of the mean of e
squared, `bias` the mean of e, all in the label's unit. `r2` is 1 - sum(e squared) / sum((actual -
mean actual) squared), the coefficient of determination: 0 for a model that always predicts the
mean.
"""

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.evaluation.metrics.bootstrap import GROUPS, Floats, Ints
from kfp_tabular.components.evaluation.metrics.estimates import CellMetrics, add_up

METRICS = ("rmse", "mae", "r2", "bias")

_RESIDUAL_BARS = 40
_PARTS = 20
_MAP_CELLS = 24


class RegressionStatistics:
    """Sums from which the metrics of a regression model follow.

    Args:
        center: Roughly the mean of the labels; sums of squares around it lose no precision.
        cells: The number of cells.
    """

    def __init__(self, center: float, cells: int) -> None:
        self._center = center
        # Rows, error, absolute error, squared error, label, squared label, both around the center.
        self._totals = np.zeros((cells, GROUPS, 6))

    def add(
        self, cells: Ints, groups: Ints, labels: npt.NDArray[np.generic], predictions: Predictions
    ) -> None:
        """Add rows; see `estimates.Statistics`."""
        actual = labels.astype(np.float64)
        error = predictions.astype(np.float64) - actual
        centered = actual - self._center
        columns = (np.ones_like(error), error, np.abs(error), error**2, centered, centered**2)
        for index, values in enumerate(columns):
            add_up(self._totals[:, :, index], cells, groups, values)

    def measured(self, cell: int, weights: Floats) -> CellMetrics:
        """Return the metrics of a cell; see `estimates.Statistics`."""
        totals = self._totals[cell]
        return CellMetrics(
            rows=int(totals[:, 0].sum()),
            points={name: float(value) for name, value in _metrics(totals.sum(0)).items()},
            replicates=_metrics(weights @ totals),
        )


class RegressionCharts:
    """Sums for the charts of a regression model.

    Args:
        labels: Labels of the first rows; with the predictions they decide the edges.
        predictions: Predictions of these rows.

    Attributes:
        residual_edges: Edges of the bars of residuals; values beyond count in the outer bars.
        residuals: Rows by bar.
        value_edges: Evenly spaced edges of the map, for actual and predicted values alike.
        map: Rows, shape `[actual, predicted]`.
    """

    def __init__(self, labels: Floats, predictions: Predictions) -> None:
        predicted = predictions.astype(np.float64)
        middle = [0.005, 0.995]
        low, high = _spread(np.quantile(predicted - labels, middle))
        self.residual_edges = np.linspace(low, high, _RESIDUAL_BARS + 1)
        self.residuals = np.zeros(_RESIDUAL_BARS, np.int64)
        low, high = _spread(np.quantile(np.concatenate([labels, predicted]), middle))
        self.value_edges = np.linspace(low, high, _MAP_CELLS + 1)
        self.map = np.zeros((_MAP_CELLS, _MAP_CELLS), np.int64)
        self._part_edges = np.unique(np.quantile(predicted, np.arange(1, _PARTS) / _PARTS))
        # Rows, predictions and labels, by bin of predictions.
        self._parts = np.zeros((3, len(self._part_edges) + 1))

    def add(self, labels: npt.NDArray[np.generic], predictions: Predictions) -> None:
        """Add rows."""
        actual = labels.astype(np.float64)
        predicted = predictions.astype(np.float64)
        np.add.at(self.residuals, _bar(self.residual_edges, predicted - actual), 1)
        place = (_bar(self.value_edges, actual), _bar(self.value_edges, predicted))
        np.add.at(self.map, place, 1)
        part = np.searchsorted(self._part_edges, predicted, side="right")
        for index, values in enumerate((np.ones_like(actual), predicted, actual)):
            self._parts[index] += np.bincount(part, weights=values, minlength=self._parts.shape[1])

    def means(self) -> list[tuple[float, float]]:
        """Return the mean prediction and the mean label of each bin of predictions."""
        return [
            (predicted / rows, actual / rows)
            for rows, predicted, actual in self._parts.T.tolist()
            if rows
        ]


def _metrics(totals: Floats) -> dict[str, Floats]:
    rows, error, absolute, squared, label, label_squared = np.moveaxis(totals, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        variation = label_squared - label**2 / rows
        # The variation of a constant label is not exactly 0 after rounding.
        varies = variation > 1e-12 * label_squared
        return {
            "rmse": np.sqrt(squared / rows),
            "mae": absolute / rows,
            "r2": np.where(varies, 1 - squared / variation, np.nan),
            "bias": error / rows,
        }


def _bar(edges: Floats, values: Floats) -> Ints:
    return np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)


def _spread(ends: Floats) -> tuple[float, float]:
    low, high = float(ends[0]), float(ends[1])
    margin = max(abs(low), abs(high), 1.0) * 1e-6
    return (low, high) if high - low > margin else (low - margin, high + margin)
