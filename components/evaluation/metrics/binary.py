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

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.prediction.saved_model import Predictions
from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.statistics.bootstrap import GROUPS, Floats, Ints
from kfp_tabular.components.evaluation.metrics.estimates import CellMetrics, add_up
from kfp_tabular.components.evaluation.metrics.ranking import Histograms, RankStatistics

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
"""On all rows only; see `calibration`."""

SMALLEST_PROBABILITY = 1e-7
HISTOGRAM_BINS = 40

# Where totals are: the four counts of the confusion matrix come first, at 2 * actual + predicted.
_LOSS, _BRIER, _SCORE = 4, 5, 6


class BinaryStatistics:
    """Sums from which the metrics of a binary classifier follow.

    Args:
        threshold: The decision threshold.
        cells: The number of cells.
    """

    def __init__(self, threshold: float, cells: int) -> None:
        self.ranks = RankStatistics(cells)
        self._threshold, self._cells = threshold, cells
        self._totals = np.zeros((7, cells, GROUPS))

    def add(
        self, cells: Ints, groups: Ints, labels: npt.NDArray[np.generic], predictions: Predictions
    ) -> None:
        """Add rows; see `estimates.Statistics`."""
        positive = labels == 1
        scores = predictions[:, 1]
        self.ranks.add(cells, groups, positive, scores)
        # The model compares in float32, too.
        outcome = 2 * positive + (scores >= np.float32(self._threshold))
        add_up(self._totals[:4].reshape(-1, GROUPS), outcome * self._cells + cells, groups)
        given = np.where(positive, scores, predictions[:, 0]).astype(np.float64)
        losses = -np.log(np.clip(given, SMALLEST_PROBABILITY, 1))
        add_up(self._totals[_LOSS], cells, groups, losses)
        add_up(self._totals[_BRIER], cells, groups, (scores.astype(float) - positive) ** 2)
        add_up(self._totals[_SCORE], cells, groups, scores)

    def merge(self, other: "BinaryStatistics") -> None:
        """Add what another accumulator has seen."""
        self.ranks.merge(other.ranks)
        self._totals += other._totals

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({"ranks": self.ranks.state(), "totals": self._totals})

    def from_state(self, state: bytes) -> "BinaryStatistics":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = BinaryStatistics(self._threshold, self._cells)
        found.ranks, found._totals = self.ranks.from_state(parts["ranks"]), parts["totals"]
        return found

    def measured(self, cell: int, weights: Floats) -> CellMetrics:
        """Return the metrics of a cell; see `estimates.Statistics`."""
        totals = self._totals[:_SCORE, cell].T
        found = self.ranks.areas(cell)
        areas, precisions = self.ranks.resampled(cell, weights, found)
        points = _metrics(np.asarray(found[0]), np.asarray(found[1]), totals.sum(0))
        return CellMetrics(
            rows=int(totals[:, :4].sum()),
            points={name: float(value) for name, value in points.items()},
            replicates=_metrics(areas, precisions, weights @ totals),
        )

    def group_totals(self, cell: int) -> Floats:
        """Return sums over the rows of a cell, by resampling group: shape `[groups, 7]`.

        First the confusion matrix, at 2 * actual + predicted; last the scores.
        """
        return self._totals[:, cell].T

    def confusion(self) -> Ints:
        """Return the confusion matrix of the first cell, shape `[actual, predicted]`."""
        return np.asarray(self._totals[:4, 0].sum(-1).reshape(2, 2), np.int64)


def score_histogram(found: Histograms) -> list[list[int]]:
    """Return the negative and the positive rows by bars of equal width over the scores 0 to 1.

    Example:
        >>> counts = np.array([3.0, 1.0])
        >>> drawn = score_histogram(Histograms(np.array([0.25, 1.0]), counts, counts[::-1]))
        >>> [(bar, rows) for bar, rows in enumerate(drawn[0]) if rows]
        [(10, 3), (39, 1)]
    """
    # In float32, as scores are: 0.15 belongs to the bar from 0.15 on.
    scores = found.thresholds.astype(np.float32)
    bars = np.clip((scores * HISTOGRAM_BINS).astype(np.int64), 0, HISTOGRAM_BINS - 1)
    return [
        np.bincount(bars, rows, HISTOGRAM_BINS).astype(np.int64).tolist()
        for rows in (found.negatives, found.positives)
    ]


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
