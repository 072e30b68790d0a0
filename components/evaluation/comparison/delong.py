"""The paired test of two areas under ROC curves (DeLong, DeLong and Clarke-Pearson, 1988).

The area is the mean, over positive rows, of the share of the negative rows below each, ties as
half: the row's placement. It is also the mean over negative rows of the share of positive rows
above each. The variance of the difference of two areas follows from the differences of the two
placements of each row: their variance among positive rows over the number of positive rows, plus
the same of the negative ones. Two models on the same rows are dependent, and this counts that.

The shares come from the histograms of all rows, as the area does. Only the variance is taken from
rows: all, or a random sample of each class.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.evaluation.metrics.bootstrap import Floats
from kfp_tabular.components.evaluation.metrics.ranking import Histograms

_FEWEST = 2


@dataclass(frozen=True)
class PairedScores:
    """The scores that two models give the same rows of each class, or a random sample of them.

    Attributes:
        negatives: Those of negative rows, shape `[rows, 2]`.
        positives: Those of positive rows.
    """

    negatives: npt.NDArray[np.float32]
    positives: npt.NDArray[np.float32]


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
        difference = _placements(ours, rows[:, 0], side) - _placements(theirs, rows[:, 1], side)
        total = (ours.positives if side == "positive" else ours.negatives).sum()
        variance += float(difference.var(ddof=1)) / float(total)
    return float(np.sqrt(variance))


def _placements(found: Histograms, scores: npt.NDArray[np.float32], side: str) -> Floats:
    """Return the share of the rows of the other class on the right side of each score."""
    others = found.negatives if side == "positive" else found.positives
    below = (np.cumsum(others) - others / 2) / others.sum()
    bins = np.searchsorted(found.thresholds, scores.astype(np.float64), side="right") - 1
    shares: Floats = below[bins]
    return shares if side == "positive" else 1 - shares
