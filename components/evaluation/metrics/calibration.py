"""The calibration of a binary model: reliability bins, and the expected calibration error.

- A bin's interval is Wilson's for its share of positives ("Probable Inference", 1927), which holds
  for few rows and for shares near 0 and 1. Rows that belong together count as fewer: as many as
  give the spread between resampling groups (Korn and Graubard, "Confidence Intervals for
  Proportions With Small Expected Number of Positive Counts", 1998).
- The calibration error is too high on average, because noise does not cancel in absolute
  differences, and most so in resamples: their percentiles may miss the true error always. The
  interval here counts from what noise adds. It starts at 0 unless noise alone gives as large an
  error in less than 5% of the resamples. In simulations it contains the true error in 89 to 99 of
  100 cases.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.common.statistics.bootstrap import CONFIDENCE, GROUPS, Floats
from kfp_tabular.components.evaluation.metrics.estimates import Estimate
from kfp_tabular.components.evaluation.metrics.ranking import GroupedScores, Histograms

BINS = 15

_DEVIATES = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True)
class CalibrationBin:
    """Rows with similar scores.

    Attributes:
        predicted: Their mean probability of the positive class.
        observed: Their share of positive rows.
        rows: Their number.
        interval: The 95% interval of the share.
    """

    predicted: float
    observed: float
    rows: int
    interval: tuple[float, float]


@dataclass(frozen=True)
class Reliability:
    """The calibration of a model on some rows.

    Attributes:
        bins: Bins of equally many rows, by ascending score.
        error: The expected calibration error.
    """

    bins: Sequence[CalibrationBin]
    error: Estimate


def edges(found: Histograms) -> Floats:
    """Return the scores that cut rows into bins of equally many; equal scores share a bin.

    Example:
        >>> counts = np.array([30.0, 10.0])
        >>> edges(Histograms(np.array([0.25, 0.5]), counts, counts[::-1])).tolist()
        [0.25, 0.5]
    """
    ends = np.cumsum(found.negatives + found.positives)
    if not len(ends):
        return ends
    places = (ends[-1] - 1) * np.arange(1, BINS) / BINS
    low, high = (
        found.thresholds[np.searchsorted(ends, round_to(places), side="right")]
        for round_to in (np.floor, np.ceil)
    )
    return np.unique(low + (high - low) * (places - np.floor(places)))


def measure(
    found: Histograms, grouped: GroupedScores, weights: Floats, *, clustered: bool = False
) -> Reliability | None:
    """Return the calibration, with intervals.

    Args:
        found: The scores of all rows.
        grouped: The same by resampling group, in the bins that `edges` cuts.
        weights: How often each group counts in each resample, `[samples, groups]`.
        clustered: Whether rows of a group may belong together.

    Returns:
        None without rows.
    """
    rows = found.negatives + found.positives
    if not len(rows):
        return None
    cuts = edges(found)
    place = np.searchsorted(cuts, found.thresholds, side="right")
    scores, positives, counts = (
        np.asarray(np.bincount(place, values, len(cuts) + 1), np.float64)
        for values in (found.middles() * rows, found.positives, rows)
    )
    kept = np.flatnonzero(counts)
    exact = _Bins(scores[kept], positives[kept], counts[kept])
    drawn = _Bins(grouped.scores[:, kept], grouped.positives[:, kept], grouped.rows[:, kept])
    worth = _effective_rows(exact, drawn) if clustered else exact.rows
    bins = [
        CalibrationBin(
            predicted=score / count,
            observed=positive / count,
            rows=int(count),
            interval=wilson(positive / count, effective),
        )
        for score, positive, count, effective in zip(
            exact.scores.tolist(),
            exact.positives.tolist(),
            exact.rows.tolist(),
            worth.tolist(),
            strict=True,
        )
    ]
    value = error(bins)
    return Reliability(bins, Estimate(value, _error_interval(value, exact, drawn, weights)))


def error(bins: Sequence[CalibrationBin]) -> float:
    """Return the expected calibration error of one or more bins.

    Example:
        >>> ends = (0.0, 1.0)
        >>> error([CalibrationBin(0.5, 0.25, 3, ends), CalibrationBin(1.0, 1.0, 1, ends)])
        0.1875
    """
    rows = sum(part.rows for part in bins)
    return sum(abs(part.predicted - part.observed) * part.rows for part in bins) / rows


def wilson(share: float, rows: float) -> tuple[float, float]:
    """Return Wilson's interval of a share.

    Args:
        share: The share.
        rows: Of how many rows, at least 1.

    Example:
        >>> low, high = wilson(0, rows=20)
        >>> low, round(high, 4)
        (0.0, 0.1611)
    """
    square = _DEVIATES**2
    middle = share + square / (2 * rows)
    width = _DEVIATES * float(np.sqrt(share * (1 - share) / rows + square / (4 * rows**2)))
    scale = 1 + square / rows
    low, high = (middle - width) / scale, (middle + width) / scale
    # At the ends the interval includes them, but for rounding.
    return (0.0 if share == 0 else low), (1.0 if share == 1 else high)


@dataclass(frozen=True)
class _Bins:
    """Sums by bin; the last axis is that of bins.

    Attributes:
        scores: Sums of the scores.
        positives: Positive rows.
        rows: Rows.
    """

    scores: Floats
    positives: Floats
    rows: Floats

    def gaps(self) -> Floats:
        """Return the sum of scores minus positive rows."""
        return self.scores - self.positives

    def resampled(self, weights: Floats) -> "_Bins":
        return _Bins(weights @ self.scores, weights @ self.positives, weights @ self.rows)


def _effective_rows(exact: _Bins, drawn: _Bins) -> Floats:
    """Return as how many independent rows the rows of each bin count."""
    share = exact.positives / exact.rows
    groups = (drawn.rows > 0).sum(0)
    residuals = drawn.positives - share * drawn.rows
    scale = GROUPS / (GROUPS - 1) / exact.rows**2
    spread = scale * (residuals**2).sum(0)
    independent = share * (1 - share) / exact.rows
    with np.errstate(invalid="ignore", divide="ignore"):
        counted = exact.rows * np.minimum(independent / spread, 1)
    # Where all rows of a bin have one class, nothing shows the spread: that of the other bins
    # counts, or each group is one row.
    same = np.minimum(groups, exact.rows).astype(np.float64)
    if spread.sum() > 0:
        same = exact.rows * min(float(independent.sum() / spread.sum()), 1.0)
    effective: Floats = np.maximum(np.where(spread > 0, counted, same), 1)
    return effective


def _error_interval(
    value: float, exact: _Bins, drawn: _Bins, weights: Floats
) -> tuple[float, float] | None:
    resampled = drawn.resampled(weights)
    total = resampled.rows.sum(1)
    if not (total > 0).mean() >= bootstrap.DEFINED_SHARE:
        return None
    resampled = _Bins(*(part[total > 0] for part in vars(resampled).values()))
    shares = resampled.rows / total[total > 0][:, None]
    gaps, found_gaps = exact.gaps() / exact.rows, drawn.gaps().sum(0)
    # Bins by group may be coarser, which moves their gaps: noise is what resampling adds to those.
    with np.errstate(invalid="ignore", divide="ignore"):
        centers = found_gaps / drawn.rows.sum(0)
        noise = resampled.gaps() / resampled.rows - centers
    noise = np.where(np.isfinite(noise), noise, 0)
    own = exact.rows / exact.rows.sum()
    tail = (1 - CONFIDENCE) / 2
    # What noise adds to gaps as observed, which are too large, and to gaps without their noise,
    # which are rather too small: the truth is between.
    ends = []
    for center in (gaps, _without_noise(gaps, noise)):
        added = (shares * np.abs(center + noise)).sum(1) - own @ np.abs(center)
        low, high = np.quantile(added, [tail, 1 - tail])
        ends.append((value - float(high), value - float(low)))
    chance = float(np.quantile((shares * np.abs(noise)).sum(1), CONFIDENCE))
    least = 0.0 if value <= chance else max(0.0, min(low for low, _ in ends))
    return min(least, value), min(1.0, max(value, *(high for _, high in ends)))


def _without_noise(gaps: Floats, noise: npt.NDArray[np.float64]) -> Floats:
    square = np.maximum(gaps**2 - noise.var(axis=0), 0)
    shrunk: Floats = np.sign(gaps) * np.sqrt(square)
    return shrunk
