"""Metrics of a binary classifier.

The second class is the positive one. `accuracy`, `precision`, `recall` and `f1` apply at the
model's decision threshold; `auc` and `pr_auc` cover all thresholds (see `ranking`).

- precision: share of the rows predicted as positive that are positive; recall: share of the
  positive rows predicted as positive; f1: their harmonic mean (van Rijsbergen, "Information
  Retrieval", 1979).
- log_loss: mean of -ln of the probability of the true class, clipped at 1e-7 (the epsilon of
  Keras).
- brier: mean squared difference of the positive class's probability and 0 or 1 (Brier, 1950).
- ece: expected calibration error over 15 bins of equally many rows: the mean, weighted by rows, of
  the absolute difference of the mean probability and the share of positives. Bins with equally
  many rows bias it least (Roelofs et al., "Mitigating Bias in Calibration Error Estimation", 2022).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.evaluation.metrics.bootstrap import GROUPS, Floats, Ints
from kfp_tabular.components.evaluation.metrics.estimates import CellMetrics, add_up
from kfp_tabular.components.evaluation.metrics.ranking import RankStatistics, ScoreBins

METRICS = (
    "accuracy",
    "auc",
    "pr_auc",
    "log_loss",
    "brier",
    "precision",
    "recall",
    "f1",
)
CALIBRATION_ERROR = "ece"
"""CellMetrics on all rows only, and without an interval."""

SMALLEST_PROBABILITY = 1e-7
CALIBRATION_BINS = 15
HISTOGRAM_BINS = 40

# Columns of the totals: the four counts of the confusion matrix at 2 * actual + predicted.
_TRUE_NEGATIVE, _FALSE_POSITIVE, _FALSE_NEGATIVE, _TRUE_POSITIVE, _LOSS, _BRIER = range(6)


@dataclass(frozen=True)
class CalibrationBin:
    """Rows with similar scores.

    Attributes:
        predicted: Their mean probability of the positive class.
        observed: Their share of positive rows.
        rows: Their number.
    """

    predicted: float
    observed: float
    rows: int


class BinaryStatistics:
    """Sums from which the metrics of a binary classifier follow.

    Args:
        bins: The bins of scores.
        threshold: The decision threshold.
        cells: The number of cells.
    """

    def __init__(self, bins: ScoreBins, threshold: float, cells: int) -> None:
        self.ranks = RankStatistics(bins, cells)
        # The model compares in float32, too.
        self._threshold = np.float32(threshold)
        self._totals = np.zeros((cells, GROUPS, 6))

    def add(
        self, cells: Ints, groups: Ints, labels: npt.NDArray[np.generic], predictions: Predictions
    ) -> None:
        """Add rows; see `estimates.Statistics`."""
        positive = labels == 1
        scores = predictions[:, 1]
        self.ranks.add(cells, groups, positive, scores)

        outcome = 2 * positive.astype(np.int64) + (scores >= self._threshold)
        for column in range(4):
            add_up(self._totals[:, :, column], cells, groups, outcome == column)
        given = np.where(positive, scores, predictions[:, 0]).astype(np.float64)
        add_up(
            self._totals[:, :, _LOSS],
            cells,
            groups,
            -np.log(np.clip(given, SMALLEST_PROBABILITY, 1)),
        )
        add_up(self._totals[:, :, _BRIER], cells, groups, (scores.astype(float) - positive) ** 2)

    def measured(self, cell: int, weights: Floats) -> CellMetrics:
        """Return the metrics of a cell; see `estimates.Statistics`."""
        totals = self._totals[cell]
        area, precision = self.ranks.areas(cell)
        areas, precisions = self.ranks.resampled(cell, weights)
        points = _metrics(np.asarray(area), np.asarray(precision), totals.sum(0))
        return CellMetrics(
            rows=int(totals[:, :4].sum()),
            points={name: float(value) for name, value in points.items()},
            replicates=_metrics(areas, precisions, weights @ totals),
        )

    def confusion(self) -> Ints:
        """Return the confusion matrix of the first cell, shape `[actual, predicted]`."""
        counts = self._totals[0, :, :4].sum(0).reshape(2, 2)
        return np.asarray(counts, np.int64)


class BinaryCharts:
    """Sums for the charts of a binary classifier: calibration and the distribution of scores.

    Args:
        scores: Scores of the first rows; each calibration bin holds equally many of them.
    """

    def __init__(self, scores: Predictions) -> None:
        shares = np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
        self._edges = np.unique(np.quantile(scores, shares))
        # Rows, scores and positives, by bin.
        self._calibration = np.zeros((3, len(self._edges) + 1))
        self.histogram = np.zeros((2, HISTOGRAM_BINS), np.int64)

    def add(self, labels: npt.NDArray[np.generic], predictions: Predictions) -> None:
        """Add rows."""
        positive = labels == 1
        scores = predictions[:, 1]
        place = np.searchsorted(self._edges, scores, side="right")
        for index, values in enumerate((np.ones_like(scores), scores, positive)):
            self._calibration[index] += np.bincount(
                place, weights=values, minlength=self._calibration.shape[1]
            )
        bar = np.clip((scores * HISTOGRAM_BINS).astype(np.int64), 0, HISTOGRAM_BINS - 1)
        np.add.at(self.histogram, (positive.astype(np.int64), bar), 1)

    def calibration(self) -> list[CalibrationBin]:
        """Return the bins that hold rows, by ascending score; equal scores share a bin."""
        return [
            CalibrationBin(predicted=score / rows, observed=positive / rows, rows=int(rows))
            for rows, score, positive in self._calibration.T.tolist()
            if rows
        ]


def calibration_error(bins: list[CalibrationBin]) -> float:
    """Return the expected calibration error of one or more bins.

    Example:
        >>> calibration_error([CalibrationBin(0.5, 0.25, 3), CalibrationBin(1.0, 1.0, 1)])
        0.1875
    """
    rows = sum(part.rows for part in bins)
    return sum(abs(part.predicted - part.observed) * part.rows for part in bins) / rows


def _metrics(area: Floats, precision_area: Floats, totals: Floats) -> dict[str, Floats]:
    negative, false_positive, false_negative, positive, loss, brier = np.moveaxis(totals, -1, 0)
    rows = negative + false_positive + false_negative + positive
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "accuracy": (negative + positive) / rows,
            "auc": area,
            "pr_auc": precision_area,
            "log_loss": loss / rows,
            "brier": brier / rows,
            "precision": positive / (positive + false_positive),
            "recall": positive / (positive + false_negative),
            "f1": 2 * positive / (2 * positive + false_positive + false_negative),
        }
