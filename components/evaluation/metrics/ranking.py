"""Ranking quality of scores: ROC and precision-recall curves from histograms."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.evaluation.metrics.bootstrap import GROUPS, Floats, Ints


@dataclass(frozen=True)
class ScoreBins:
    """Bins of scores, fine enough that rows in one bin can count as ties.

    Attributes:
        edges: Ascending. Bin `i` holds the scores from `edges[i - 1]` to below `edges[i]`; the
            first bin those below all edges, the last bin those from the last edge on.
        coarse: For each bin, its coarse bin among about a hundred for resampling, in order.
        exact: Whether each distinct score has a bin of its own.
    """

    edges: npt.NDArray[np.float32]
    coarse: Ints
    exact: bool

    @classmethod
    def fit(
        cls,
        scores: npt.NDArray[np.float32],
        positive: npt.NDArray[np.bool_],
        *,
        complete: bool,
        limit: int = 32_768,
        coarse: int = 128,
    ) -> "ScoreBins":
        """Choose bins from the first rows.

        If there are more distinct scores than `limit`, the edges are quantiles of the positive and
        of the negative scores. Each bin then holds a share of 2 / limit of either, which bounds
        the error of the area to half of that, 3e-5 by default, in whatever order the rows of a
        bin are. For later rows that differ from the first ones, a quarter as many edges, spaced
        evenly in logits, are added.

        Args:
            scores: Probabilities of the first rows.
            positive: Which of these rows have the class that is scored.
            complete: Whether these are all rows.
            limit: Approximate number of bins.
            coarse: Approximate number of coarse bins for resampling.
        """
        distinct = np.unique(scores)
        exact = complete and len(distinct) <= limit
        if len(distinct) > limit:
            distinct = _quantiles(scores, positive, limit)
        if not complete:
            # Beyond a logit of 18 a float32 probability is 1; towards 0 there are many more.
            logits = np.linspace(-40.0, 18.0, limit // 4)
            grid = (1 / (1 + np.exp(-logits))).astype(np.float32)
            distinct = np.union1d(distinct, grid)
        cuts = _quantiles(scores, positive, coarse)
        # Bin i starts at edges[i - 1]; the first bin starts below them all.
        starts = np.concatenate([[-np.inf], distinct])
        return cls(
            edges=distinct,
            coarse=np.searchsorted(cuts, starts, side="right").astype(np.int64),
            exact=exact,
        )

    def __len__(self) -> int:
        return len(self.edges) + 1

    def place(self, scores: npt.NDArray[np.float32]) -> Ints:
        """Return the bin of each score."""
        return np.searchsorted(self.edges, scores, side="right")

    def thresholds(self) -> Floats:
        """Return the lowest score of each bin; 0 for the first."""
        return np.concatenate([[0.0], self.edges.astype(np.float64)])


def _quantiles(
    scores: npt.NDArray[np.float32], positive: npt.NDArray[np.bool_], count: int
) -> npt.NDArray[np.float32]:
    chosen = []
    for part in (scores[positive], scores[~positive]):
        if len(part):
            ordered = np.sort(part)
            ranks = np.linspace(0, len(ordered) - 1, min(len(ordered), count // 2))
            chosen.append(ordered[ranks.astype(np.int64)])
    return np.unique(np.concatenate(chosen))


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


def curves(
    negatives: Floats, positives: Floats, thresholds: Floats, points: int = 200
) -> Curves | None:
    """Return the ROC and precision-recall curves with few points.

    Points are kept at even steps along the ROC curve, so that its steep part keeps its shape.

    Args:
        negatives: Counts by bin of ascending score, shape `[bins]`.
        positives: The same for the positive rows.
        thresholds: The lowest score of each bin, shape `[bins]`.
        points: The most points.

    Returns:
        The curves; None if either class is absent. At the first point no row is positive.

    Example:
        >>> negatives, positives = np.array([3.0, 1.0, 0.0]), np.array([0.0, 1.0, 3.0])
        >>> found = curves(negatives, positives, np.array([0.0, 0.4, 0.8]))
        >>> found.thresholds
        [1.0, 0.8, 0.4, 0.0]
        >>> found.recalls, found.false_positive_rates
        ([0.0, 0.75, 1.0, 1.0], [0.0, 0.0, 0.25, 1.0])
    """
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
        thresholds=[1.0, *thresholds[occupied][kept].tolist()],
        false_positive_rates=[0.0, *rates[kept].tolist()],
        recalls=[0.0, *recalls[kept].tolist()],
        precisions=[float(precisions[0]), *precisions[kept].tolist()],
    )


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


class RankStatistics:
    """Histograms of one score, by cell, from which the areas under both curves follow.

    Args:
        bins: The bins of scores.
        cells: The number of cells.
    """

    def __init__(self, bins: ScoreBins, cells: int) -> None:
        self.bins = bins
        self.counts = np.zeros((cells, 2, len(bins)), np.int32)
        # Slices have few rows and wide intervals: half the bins suffice, in half the time.
        self._coarse = bins.coarse if cells == 1 else bins.coarse // 2
        self._grouped = np.zeros((cells, GROUPS, 2, int(self._coarse[-1]) + 1), np.int32)

    def add(
        self,
        cells: Ints,
        groups: Ints,
        positive: npt.NDArray[np.bool_],
        scores: npt.NDArray[np.float32],
    ) -> Ints:
        """Count rows, and return the bin of each."""
        place = self.bins.place(scores)
        side = positive.astype(np.int64)
        fine, coarse = self.counts.shape[-1], self._grouped.shape[-1]
        np.add.at(self.counts.reshape(-1), (cells * 2 + side) * fine + place, 1)
        np.add.at(
            self._grouped.reshape(-1),
            ((cells * GROUPS + groups) * 2 + side) * coarse + self._coarse[place],
            1,
        )
        return place

    def histograms(self, cell: int) -> tuple[Floats, Floats]:
        """Return the counts of negative and of positive rows by bin of ascending score."""
        negatives, positives = self.counts[cell].astype(np.float64)
        return negatives, positives

    def areas(self, cell: int) -> tuple[float, float]:
        """Return the area under the ROC curve and the average precision."""
        negatives, positives = self.histograms(cell)
        return float(roc_auc(negatives, positives)), float(average_precision(negatives, positives))

    def resampled(self, cell: int, weights: Floats) -> tuple[Floats, Floats]:
        """Return both areas in each resample.

        Resamples are counted in coarse bins; the shift that this causes on all rows is corrected.
        """
        grouped = self._grouped[cell]
        # Whole numbers: float32 holds them exactly up to 16.7 million rows in a bin.
        flat = grouped.reshape(GROUPS, -1).astype(np.float32)
        drawn = (weights.astype(np.float32) @ flat).astype(np.float64)
        negatives, positives = np.moveaxis(drawn.reshape(len(weights), 2, -1), 1, 0)
        all_negatives, all_positives = grouped.sum(0, dtype=np.float64)
        area, precision = self.areas(cell)
        shift = area - roc_auc(all_negatives, all_positives)
        precision_shift = precision - average_precision(all_negatives, all_positives)
        return (
            np.clip(roc_auc(negatives, positives) + shift, 0, 1),
            np.clip(average_precision(negatives, positives) + precision_shift, 0, 1),
        )
