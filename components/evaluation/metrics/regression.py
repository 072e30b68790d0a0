"""Metrics of a regression model.

With the error e = predicted - actual: `mae` is the mean of |e|, `rmse` the root of the mean of e
squared, `bias` the mean of e, all in the label's unit. `r2` is 1 - sum(e squared) / sum((actual -
mean actual) squared), the coefficient of determination: 0 for a model that always predicts the
mean.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.statistics.bootstrap import GROUPS, Floats, Ints
from kfp_tabular.components.evaluation.metrics.estimates import CellMetrics, add_up

METRICS = ("rmse", "mae", "r2", "bias")

_RESIDUAL_BARS = 40
_PARTS = 20
_MAP_CELLS = 24
_ROUNDING = 1e-27  # squared, relative to the square of the mean: some units of the last place


class RegressionStatistics:
    """Sums from which the metrics of a regression model follow.

    Args:
        cells: The number of cells.
    """

    def __init__(self, cells: int) -> None:
        # Rows, error, absolute error, squared error.
        self._totals = np.zeros((4, cells, GROUPS))
        # The mean of the labels of each cell and group, and the sum of squared distances to it: so
        # that a small spread stays exact beside a large mean.
        self._mean = np.zeros((cells, GROUPS))
        self._spread = np.zeros((cells, GROUPS))

    def add(
        self, cells: Ints, groups: Ints, labels: npt.NDArray[np.generic], predictions: Predictions
    ) -> None:
        """Add rows; see `estimates.Statistics`."""
        actual = labels.astype(np.float64)
        error = predictions.astype(np.float64) - actual
        rows, mean, spread = (np.zeros(self._mean.shape) for _ in range(3))
        add_up(rows, cells, groups)
        add_up(mean, cells, groups, actual)
        np.divide(mean, rows, out=mean, where=rows > 0)
        add_up(spread, cells, groups, (actual - mean[cells, groups]) ** 2)
        self._add_labels(rows, mean, spread)
        self._totals[0] += rows
        for at, values in enumerate((error, np.abs(error), error**2), start=1):
            add_up(self._totals[at], cells, groups, values)

    def merge(self, other: "RegressionStatistics") -> None:
        """Add what another accumulator has seen."""
        self._add_labels(other._totals[0], other._mean, other._spread)
        self._totals += other._totals

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({"totals": self._totals, "mean": self._mean, "spread": self._spread})

    def from_state(self, state: bytes) -> "RegressionStatistics":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = RegressionStatistics(len(self._mean))
        found._totals, found._mean, found._spread = (
            parts[name] for name in ("totals", "mean", "spread")
        )
        return found

    def measured(self, cell: int, weights: Floats) -> CellMetrics:
        """Return the metrics of a cell; see `estimates.Statistics`."""
        rows, *errors = self._totals[:, cell]
        center = float((rows * self._mean[cell]).sum() / max(rows.sum(), 1))
        away = self._mean[cell] - center
        squares = self._spread[cell] + rows * away**2
        totals = np.stack([rows, *errors, rows * away, squares, rows * center**2], axis=1)
        return CellMetrics(
            rows=int(rows.sum()),
            points={name: float(value) for name, value in _metrics(totals.sum(0)).items()},
            replicates=_metrics(weights @ totals),
        )

    def _add_labels(self, rows: Floats, mean: Floats, spread: Floats) -> None:
        """Add rows to means and spreads, before they are counted (Chan, Golub and LeVeque)."""
        known = self._totals[0]
        total = known + rows
        delta = mean - self._mean
        share = np.divide(rows, total, out=np.zeros_like(total), where=total > 0)
        self._spread += spread + delta**2 * known * share
        self._mean += delta * share


@dataclass(frozen=True)
class RegressionCharts:
    """What the charts of a regression model show, from a sample of rows.

    Attributes:
        residual_edges: Edges of the bars of residuals; values beyond count in the outer bars.
        residuals: Rows by bar.
        value_edges: Evenly spaced edges of the map, for actual and predicted values alike.
        map: Rows, shape `[actual, predicted]`.
        means: The mean prediction and the mean label of each bin of predictions.
    """

    residual_edges: Floats
    residuals: Ints
    value_edges: Floats
    map: Ints
    means: list[tuple[float, float]]

    @classmethod
    def of(cls, labels: npt.NDArray[np.generic], predictions: Predictions) -> "RegressionCharts":
        """Count rows."""
        actual = labels.astype(np.float64)
        predicted = predictions.astype(np.float64)
        middle = [0.005, 0.995]
        low, high = _spread(np.quantile(predicted - actual, middle))
        residual_edges = np.linspace(low, high, _RESIDUAL_BARS + 1)
        bars = _bar(residual_edges, predicted - actual)
        low, high = _spread(np.quantile(np.concatenate([actual, predicted]), middle))
        value_edges = np.linspace(low, high, _MAP_CELLS + 1)
        places = _bar(value_edges, actual) * _MAP_CELLS + _bar(value_edges, predicted)
        part_edges = np.unique(np.quantile(predicted, np.arange(1, _PARTS) / _PARTS))
        part = np.searchsorted(part_edges, predicted, side="right")
        rows, predictions_of, labels_of = (
            np.bincount(part, values, len(part_edges) + 1) for values in (None, predicted, actual)
        )
        filled = rows > 0
        means = np.stack([predictions_of[filled], labels_of[filled]], axis=1)
        return cls(
            residual_edges,
            np.bincount(bars, minlength=_RESIDUAL_BARS),
            value_edges,
            np.bincount(places, minlength=_MAP_CELLS**2).reshape(_MAP_CELLS, _MAP_CELLS),
            [(given, found) for given, found in (means / rows[filled, None]).tolist()],
        )


def _metrics(totals: Floats) -> dict[str, Floats]:
    rows, error, absolute, squared, label, label_squared, level = np.moveaxis(totals, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        variation = label_squared - label**2 / rows
        # The variation of a constant label is not exactly 0 after rounding.
        varies = variation > np.maximum(1e-12 * label_squared, _ROUNDING * level)
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
