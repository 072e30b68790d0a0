"""Ranking quality of scores: ROC and precision-recall curves from histograms."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.statistics.bootstrap import GROUPS, Floats, Ints
from kfp_tabular.components.evaluation.metrics import score_keys
from kfp_tabular.components.evaluation.metrics.code_counts import CodeCounts
from kfp_tabular.components.evaluation.metrics.score_keys import KEY_BITS

# The fewest and most counts by side and bin, and by group, side and bin; 16 bytes each.
_FINE, _GROUPED = (1 << 19, 1 << 22), (1 << 20, 1 << 23)
_COARSE = 128
_KEYS = (1 << KEY_BITS) - 1


@dataclass(frozen=True)
class Histograms:
    """The scores of the rows of a cell.

    Attributes:
        thresholds: The lowest score of each bin, ascending.
        negatives: Counts of negative rows by bin.
        positives: The same of positive rows.
        highest: The highest score of each bin; None where a bin is one score.
    """

    thresholds: Floats
    negatives: Floats
    positives: Floats
    highest: Floats | None = None

    def middles(self) -> Floats:
        """Return the middle of each bin."""
        return self.thresholds if self.highest is None else (self.thresholds + self.highest) / 2


@dataclass(frozen=True)
class GroupedScores:
    """The scores of the rows of a cell by resampling group and bin, each `[groups, bins]`.

    Attributes:
        scores: Sums of the scores.
        positives: Counts of positive rows.
        rows: Counts of rows.
    """

    scores: Floats
    positives: Floats
    rows: Floats


def roc_auc(negatives: Floats, positives: Floats) -> Floats:
    """Return the area under the ROC curve: the share of correctly ranked pairs, ties as half.

    This is the Mann-Whitney statistic (Hanley and McNeil, 1982), which equals the trapezoidal area.

    Args:
        negatives: Counts by bin of ascending score, shape `[..., bins]`.
        positives: The same for the positive rows.

    Returns:
        Shape `[...]`; NaN where either class is absent.

    Example:
        >>> float(roc_auc(np.array([2.0, 1.0, 0.0]), np.array([0.0, 1.0, 2.0])))
        0.9444444444444444
    """
    below = np.cumsum(negatives, axis=-1) - negatives
    right = (positives * (below + negatives / 2)).sum(-1)
    return _ratio(right, positives.sum(-1) * negatives.sum(-1))


def average_precision(negatives: Floats, positives: Floats) -> Floats:
    """Return the area under the precision-recall curve, as average precision.

    This is the sum of precision times the step in recall, from the highest score down, without
    interpolation, which would be too optimistic (Davis and Goadrich, "The Relationship Between
    Precision-Recall and ROC Curves", 2006). scikit-learn's `average_precision_score` has the same
    definition.

    Args:
        negatives: Counts by bin of ascending score, shape `[..., bins]`.
        positives: The same for the positive rows.

    Returns:
        Shape `[...]`; NaN where no row is positive.

    Example:
        >>> float(average_precision(np.array([2.0, 1.0, 0.0]), np.array([0.0, 1.0, 2.0])))
        0.9166666666666666
    """
    true_positives = np.cumsum(positives[..., ::-1], axis=-1)
    answered = true_positives + np.cumsum(negatives[..., ::-1], axis=-1)
    precision = np.divide(
        true_positives, answered, out=np.zeros_like(true_positives), where=answered > 0
    )
    return _ratio((positives[..., ::-1] * precision).sum(-1), positives.sum(-1))


@dataclass(frozen=True)
class Curves:
    """Points of the curves, from the highest threshold down.

    Attributes:
        thresholds: A row is predicted as positive if its score is at least this; finite.
        false_positive_rates: Share of the negative rows predicted as positive.
        recalls: Share of the positive rows predicted as positive.
        precisions: Share of the rows predicted as positive that are positive.
    """

    thresholds: list[float]
    false_positive_rates: list[float]
    recalls: list[float]
    precisions: list[float]


def curves(found: Histograms, points: int = 200) -> Curves | None:
    """Return the ROC and precision-recall curves with few points.

    Points are kept at even steps along the ROC curve, so that its steep part keeps its shape.

    Args:
        found: The scores of all rows.
        points: The most points.

    Returns:
        The curves; None if either class is absent. At the first point no row is positive.

    Example:
        >>> negatives, positives = np.array([3.0, 1.0, 0.0]), np.array([0.0, 1.0, 3.0])
        >>> drawn = curves(Histograms(np.array([0.0, 0.4, 0.8]), negatives, positives))
        >>> drawn.thresholds
        [1.0, 0.8, 0.4, 0.0]
        >>> drawn.recalls, drawn.false_positive_rates
        ([0.0, 0.75, 1.0, 1.0], [0.0, 0.0, 0.25, 1.0])
    """
    negatives, positives = found.negatives, found.positives
    if not positives.sum() or not negatives.sum():
        return None
    occupied = np.flatnonzero(positives + negatives)[::-1]
    recalls = np.cumsum(positives[occupied]) / positives.sum()
    rates = np.cumsum(negatives[occupied]) / negatives.sum()
    answered = np.cumsum(positives[occupied] + negatives[occupied])
    precisions = recalls * positives.sum() / answered
    along = np.searchsorted(recalls + rates, np.linspace(0, 2, points - 1))
    kept = np.unique(np.minimum(along, len(occupied) - 1))
    return Curves(
        thresholds=[1.0, *found.thresholds[occupied][kept].tolist()],
        false_positive_rates=[0.0, *rates[kept].tolist()],
        recalls=[0.0, *recalls[kept].tolist()],
        precisions=[float(precisions[0]), *precisions[kept].tolist()],
    )


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


class RankStatistics:
    """Counts of scores, by cell, from which the areas under both curves follow.

    The areas come from fine bins: one for each distinct score where there are fewer than half a
    million, so that they are exact. The intervals come from bins that are counted by resampling
    group as well, and are joined to about a hundred in the end.

    Args:
        cells: The number of cells.
        columns: The number of scores of each row, such as one for each class.
    """

    def __init__(self, cells: int, columns: int = 1) -> None:
        self._cells, self._columns = cells, columns
        parts = cells * columns
        self._fine = CodeCounts(int(np.clip(parts << 12, *_FINE)), KEY_BITS)
        self._grouped = CodeCounts(int(np.clip(parts << 14, *_GROUPED)), KEY_BITS)
        # Slices have few rows and wide intervals: half the bins suffice, in half the time.
        self._coarse = _COARSE if cells == 1 else _COARSE // 2

    def add(
        self,
        cells: Ints,
        groups: Ints,
        positive: npt.NDArray[np.bool_],
        scores: npt.NDArray[np.float32],
    ) -> None:
        """Count rows.

        Args:
            cells: The cell of each row.
            groups: The resampling group of each row.
            positive: Whether each row is positive, shape `[rows]`, or `[rows, columns]`.
            scores: The score of each row, in the same shape.
        """
        if scores.ndim > 1:
            cells = (cells[:, None] * self._columns + np.arange(self._columns)).reshape(-1)
            groups = np.repeat(groups, self._columns)
            positive, scores = positive.reshape(-1), scores.reshape(-1)
        found = score_keys.keys(scores)
        sides = 2 * cells + positive
        self._fine.add((sides << KEY_BITS) | found)
        self._grouped.add(((sides * GROUPS + groups) << KEY_BITS) | found)

    def merge(self, other: "RankStatistics") -> None:
        """Add what another accumulator has seen."""
        self._fine.merge(other._fine)
        self._grouped.merge(other._grouped)

    def state(self) -> bytes:
        """Return the state as bytes."""
        return states.pack({"fine": self._fine.state(), "grouped": self._grouped.state()})

    def from_state(self, state: bytes) -> "RankStatistics":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = RankStatistics(self._cells, self._columns)
        found._fine = self._fine.from_state(parts["fine"])
        found._grouped = self._grouped.from_state(parts["grouped"])
        return found

    @property
    def are_exact(self) -> bool:
        """Whether each distinct score has a bin of its own."""
        return self._fine.result().dropped == 0

    def histograms(self, cell: int, column: int = 0) -> Histograms:
        """Return the counts of negative and of positive rows by bin of ascending score."""
        part = cell * self._columns + column
        sides, found, rows = _between(self._fine, 2 * part, 2 * part + 2)
        bins, place = np.unique(found, return_inverse=True)
        counts = np.bincount(sides * len(bins) + place, weights=rows, minlength=2 * len(bins))
        negatives, positives = counts.reshape(2, -1).astype(np.float64)
        lowest = score_keys.lowest(bins)
        width = (1 << self._fine.dropped) - 1
        highest = score_keys.lowest(bins + width) if width else None
        return Histograms(lowest, negatives, positives, highest)

    def areas(self, cell: int, column: int = 0) -> tuple[float, float]:
        """Return the area under the ROC curve and the average precision."""
        found = self.histograms(cell, column)
        return (
            float(roc_auc(found.negatives, found.positives)),
            float(average_precision(found.negatives, found.positives)),
        )

    def resampled(
        self, cell: int, weights: Floats, areas: tuple[float, float], column: int = 0
    ) -> tuple[Floats, Floats]:
        """Return both areas in each resample.

        Resamples are counted in coarse bins; the shift that this causes on all rows is corrected.

        Args:
            cell: The cell.
            weights: How often each group counts in each resample, `[samples, groups]`.
            areas: Both areas on all rows.
            column: The score.
        """
        grouped = self._by_group(cell * self._columns + column)
        # Whole numbers: float32 holds them exactly up to 16.7 million rows in a bin.
        flat = grouped.reshape(GROUPS, -1).astype(np.float32)
        drawn = (weights.astype(np.float32) @ flat).astype(np.float64)
        negatives, positives = np.moveaxis(drawn.reshape(len(weights), 2, -1), 1, 0)
        all_negatives, all_positives = grouped.sum(0)
        area, precision = areas
        shift = area - roc_auc(all_negatives, all_positives)
        precision_shift = precision - average_precision(all_negatives, all_positives)
        return (
            np.clip(roc_auc(negatives, positives) + shift, 0, 1),
            np.clip(average_precision(negatives, positives) + precision_shift, 0, 1),
        )

    def grouped(self, cell: int, edges: Floats) -> GroupedScores:
        """Return the scores of a cell by resampling group, in bins between scores.

        Args:
            cell: The cell.
            edges: The lowest score of each bin but the first, ascending.
        """
        first = 2 * cell * GROUPS
        owners, found, rows = _between(self._grouped, first, first + 2 * GROUPS)
        sides, groups = np.divmod(owners, GROUPS)
        width = (1 << self._grouped.dropped) - 1
        lowest, highest = score_keys.lowest(found), score_keys.lowest(found + width)
        bins = len(edges) + 1
        places = groups * bins + np.searchsorted(edges, lowest, side="right")
        sums = [
            np.bincount(places, values.astype(np.float64), GROUPS * bins).reshape(GROUPS, bins)
            for values in (rows * (lowest + highest) / 2, rows * sides, rows)
        ]
        return GroupedScores(*(np.asarray(each, np.float64) for each in sums))

    def _by_group(self, part: int) -> Floats:
        """Return counts in coarse bins, shape `[groups, sides, bins]`.

        The bins hold equally many positive rows, or equally many negative ones.
        """
        first = 2 * part * GROUPS
        owners, found, rows = _between(self._grouped, first, first + 2 * GROUPS)
        sides, groups = np.divmod(owners, GROUPS)
        cuts = np.unique(
            np.concatenate(
                [_cuts(found[sides == side], rows[sides == side], self._coarse) for side in (0, 1)]
            )
        )
        bins = np.searchsorted(cuts, found, side="right")
        width = len(cuts) + 1
        counts = np.bincount(
            (groups * 2 + sides) * width + bins, weights=rows, minlength=2 * GROUPS * width
        )
        return counts.reshape(GROUPS, 2, width).astype(np.float64)


def _between(counts: CodeCounts, start: int, stop: int) -> tuple[Ints, Ints, Ints]:
    """Return what comes before the keys, counted from `start` on, the keys, and their rows."""
    codes, rows = counts.between(start << KEY_BITS, stop << KEY_BITS)
    return (codes >> KEY_BITS) - start, codes & _KEYS, rows


def _cuts(found: Ints, rows: Ints, count: int) -> Ints:
    """Return keys that cut rows into parts of equally many."""
    if not len(found):
        return found
    order = np.argsort(found, kind="stable")
    ends = np.cumsum(rows[order])
    ranks = np.linspace(0, ends[-1] - 1, min(int(ends[-1]), count // 2))
    return found[order][np.searchsorted(ends, ranks.astype(np.int64), side="right")]
