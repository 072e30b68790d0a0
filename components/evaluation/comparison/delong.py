"""The paired test of two areas under ROC curves (DeLong, DeLong and Clarke-Pearson, 1988).

The area is the mean, over positive rows, of the share of the negative rows below each, ties as
half: the row's placement. It is also the mean over negative rows of the share of positive rows
above each. The variance of the difference of two areas follows from the differences of the two
placements of each row: their variance among positive rows over the number of positive rows, plus
the same of the negative ones. Two models on the same rows are dependent, and this counts that.

The shares come from the histograms of all rows, as the area does. Only the variance is taken from
rows: all, or a random sample of each class.

Rows of one entity depend on each other. Then the sums of each entity's placements take the place of
single ones, and entities with rows of both classes add a covariance (Obuchowski, "Nonparametric
Analysis of Clustered ROC Curve Data", 1997). With one row an entity it is DeLong's variance.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.processing.row_keys import Keys
from kfp_tabular.components.common.statistics.bootstrap import Floats
from kfp_tabular.components.evaluation.metrics.ranking import Histograms

_FEWEST = 2


@dataclass(frozen=True)
class PairedScores:
    """The scores that two models give the same rows of each class, or a random sample of them.

    Attributes:
        negatives: Those of negative rows, shape `[rows, 2]`.
        positives: Those of positive rows.
        negative_entities: The entity of each negative row; None if every row is by itself.
        positive_entities: That of each positive row.
    """

    negatives: npt.NDArray[np.float32]
    positives: npt.NDArray[np.float32]
    negative_entities: Keys | None = None
    positive_entities: Keys | None = None


def standard_error(ours: Histograms, theirs: Histograms, scores: PairedScores) -> float | None:
    """Return the standard error of the difference of two areas under the ROC curve.

    With all rows in `scores`, and a bin for each score, it is DeLong's. With a sample of k rows of
    each class its own relative error is about sqrt((kurtosis - 1) / k) / 2.

    Args:
        ours: The scores of all rows by one model.
        theirs: Those by the other.
        scores: The scores of rows by both.

    Returns:
        The standard error; None with fewer than two rows of a class.

    Example:
        >>> from kfp_tabular.components.evaluation.metrics.ranking import RankStatistics
        >>> scores = np.array([[1, 2], [4, 3], [5, 7], [4.5, 6], [8, 2.5]], np.float32) / 10
        >>> positive, place = np.array([False, False, False, True, True]), np.zeros(5, np.int64)
        >>> both = [RankStatistics(1), RankStatistics(1)]
        >>> for ranks, given in zip(both, scores.T):
        ...     ranks.add(place, place, positive, given)
        >>> ours, theirs = (ranks.histograms(0) for ranks in both)
        >>> pairs = PairedScores(scores[~positive], scores[positive])
        >>> round(standard_error(ours, theirs, pairs), 4)
        0.3727
    """
    if min(len(scores.negatives), len(scores.positives)) < _FEWEST:
        return None
    variance = 0.0
    for side, rows in (("positive", scores.positives), ("negative", scores.negatives)):
        difference = _differences(ours, theirs, rows, side)
        total = (ours.positives if side == "positive" else ours.negatives).sum()
        variance += float(difference.var(ddof=1)) / float(total)
    return float(np.sqrt(variance))


def clustered_error(
    ours: Histograms, theirs: Histograms, scores: PairedScores
) -> tuple[float, int] | None:
    """Return the standard error of the difference of two areas, with rows that belong together.

    Args:
        ours: The scores of all rows by one model.
        theirs: Those by the other.
        scores: The scores of all rows by both, with their entities.

    Returns:
        The standard error, and the number of entities; None with fewer than two entities of a
        class, or without entities.

    Example:
        >>> from kfp_tabular.components.evaluation.metrics.ranking import RankStatistics
        >>> scores = np.array([[1, 2], [4, 3], [5, 7], [4.5, 6], [8, 2.5]], np.float32) / 10
        >>> positive, place = np.array([False, False, False, True, True]), np.zeros(5, np.int64)
        >>> both = [RankStatistics(1), RankStatistics(1)]
        >>> for ranks, given in zip(both, scores.T):
        ...     ranks.add(place, place, positive, given)
        >>> owner = np.array([0, 1, 2, 0, 1], np.uint64)
        >>> pairs = PairedScores(
        ...     scores[~positive], scores[positive], owner[~positive], owner[positive]
        ... )
        >>> error, entities = clustered_error(*(ranks.histograms(0) for ranks in both), pairs)
        >>> round(error, 4), entities
        (0.4714, 3)
    """
    if scores.negative_entities is None or scores.positive_entities is None:
        return None
    owners = np.concatenate([scores.positive_entities, scores.negative_entities])
    distinct, place = np.unique(owners, return_inverse=True)
    rows = len(scores.positives)
    sums, counts = [], []
    for side, given, own in (
        ("positive", scores.positives, place[:rows]),
        ("negative", scores.negatives, place[rows:]),
    ):
        counts.append(len(np.unique(own)))
        if counts[-1] < _FEWEST:
            return None
        difference = _differences(ours, theirs, given, side)
        centered = (difference - difference.mean()) / len(difference)
        sums.append(np.bincount(own, centered, len(distinct)))
    variance = 2 * _correction(len(distinct)) * float(sums[0] @ sums[1])
    for total, entities in zip(sums, counts, strict=True):
        variance += _correction(entities) * float(total @ total)
    return float(np.sqrt(max(variance, 0.0))), len(distinct)


def _correction(entities: int) -> float:
    """Return the factor that makes a variance of so many sums unbiased."""
    return entities / (entities - 1)


def _differences(
    ours: Histograms, theirs: Histograms, rows: npt.NDArray[np.float32], side: str
) -> Floats:
    """Return the differences of the placements that two models give each row."""
    return _placements(ours, rows[:, 0], side) - _placements(theirs, rows[:, 1], side)


def _placements(found: Histograms, scores: npt.NDArray[np.float32], side: str) -> Floats:
    """Return the share of the rows of the other class on the right side of each score."""
    others = found.negatives if side == "positive" else found.positives
    below = (np.cumsum(others) - others / 2) / others.sum()
    bins = np.searchsorted(found.thresholds, scores.astype(np.float64), side="right") - 1
    shares: Floats = below[bins]
    return shares if side == "positive" else 1 - shares
