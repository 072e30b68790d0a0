"""The profit of a binary model at each decision threshold, with intervals.

A row is worth one value if it is predicted as positive, and another if it is not. The profit at a
threshold is the sum of the second over all rows, plus the differences of the rows with at least
that probability. So sums of differences by bins of probability, and by bootstrap group, give the
profit at every edge exactly, and in each resample.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.processing import state as states
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.common.statistics.bootstrap import GROUPS, Floats, Ints

_LOGITS = np.linspace(-10, 10, 401)
_PERCENT = 100


def edges(decision: float) -> npt.NDArray[np.float32]:
    """Return the thresholds at which the profit is known: round ones, and even steps of log odds.

    The last one is above 1: no row is predicted as positive.

    Args:
        decision: The model's own threshold.
    """
    ends = np.array([0.0, decision, np.nextafter(np.float32(1), np.float32(2))])
    found = [np.arange(1, _PERCENT) / _PERCENT, 1 / (1 + np.exp(-_LOGITS)), ends]
    return np.unique(np.concatenate(found).astype(np.float32))


class ProfitSums:
    """Sums of values of rows, by bins of probability and bootstrap group.

    Args:
        decision: The model's own threshold.

    Example:
        >>> sums = ProfitSums(0.5)
        >>> gain, loss = np.array([10.0, -5.0]), np.zeros(2)
        >>> sums.add(np.array([0, 1]), np.array([0.8, 0.6], np.float32), gain, loss)
        >>> found = sums.result()
        >>> found.at(0.5), found.at(0.7), found.best()
        (2.5, 5.0, 0.8)
    """

    def __init__(self, decision: float) -> None:
        self._decision = decision
        self._edges = edges(decision)
        self._gains = np.zeros((GROUPS, len(self._edges)))
        self._base = np.zeros(GROUPS)
        self._rows = np.zeros(GROUPS)
        self._undefined = np.zeros(1, np.int64)

    def add(
        self,
        groups: Ints,
        scores: npt.NDArray[np.float32],
        if_positive: Floats,
        if_negative: Floats,
    ) -> None:
        """Add rows; those whose value is not finite are left out and counted.

        Args:
            groups: The resampling group of each row.
            scores: The probability of the positive class.
            if_positive: What each row is worth if it is predicted as positive.
            if_negative: What it is worth otherwise.
        """
        known = np.isfinite(if_positive) & np.isfinite(if_negative)
        if not known.all():
            self._undefined += int((~known).sum())
            groups, scores = groups[known], scores[known]
            if_positive, if_negative = if_positive[known], if_negative[known]
        bins = np.searchsorted(self._edges, np.clip(scores, 0, 1), side="right") - 1
        size = self._gains.size
        places = groups * len(self._edges) + bins
        gains = np.bincount(places, if_positive - if_negative, size)
        self._gains += gains.reshape(self._gains.shape)
        self._base += np.bincount(groups, if_negative, GROUPS)
        self._rows += np.bincount(groups, minlength=GROUPS)

    def merge(self, other: "ProfitSums") -> None:
        """Add what another accumulator has seen."""
        self._gains += other._gains
        self._base += other._base
        self._rows += other._rows
        self._undefined += other._undefined

    def state(self) -> bytes:
        """Return the state as bytes."""
        parts = {"gains": self._gains, "base": self._base, "rows": self._rows}
        return states.pack({**parts, "undefined": self._undefined})

    def from_state(self, state: bytes) -> "ProfitSums":
        """Return an accumulator with a state."""
        parts = states.unpack(state)
        found = ProfitSums(self._decision)
        found._gains, found._base, found._rows = parts["gains"], parts["base"], parts["rows"]
        found._undefined = parts["undefined"]
        return found

    def result(self) -> "Profit":
        """Return the profit."""
        return Profit(
            self._decision,
            self._edges.astype(np.float64),
            self._gains,
            self._base,
            self._rows,
            int(self._undefined[0]),
        )


@dataclass(frozen=True)
class Profit:
    """The profit per row at each threshold.

    Attributes:
        decision: The model's own threshold.
        thresholds: The thresholds, ascending.
        gains: What predicting the rows of a bin as positive adds, by group and bin.
        base: The value of rows that are not predicted as positive, by group.
        rows: Rows by group.
        left_out: Rows whose value is undefined.
    """

    decision: float
    thresholds: Floats
    gains: Floats
    base: Floats
    rows: Floats
    left_out: int

    def curve(self) -> Floats:
        """Return the profit per row at each threshold."""
        mean: Floats = self._mean(np.ones((1, GROUPS)))[0]
        return mean

    def replicates(self, weights: Floats) -> Floats:
        """Return the profit per row in each resample, shape `[samples, thresholds]`."""
        return self._mean(weights)

    def at(self, threshold: float) -> float:
        """Return the profit per row at a threshold."""
        return float(self.curve()[self.place(threshold)])

    def place(self, threshold: float) -> int:
        """Return the place of a threshold."""
        return int(np.searchsorted(self.thresholds, np.float32(threshold)))

    def best(self) -> float:
        """Return the threshold with the highest profit; of equal ones the highest."""
        curve = self.curve()
        last = len(curve) - 1 - int(np.argmax(curve[::-1]))
        return _shortest(self.thresholds[last])

    def _mean(self, weights: Floats) -> Floats:
        by_bin = weights @ self.gains
        above = np.cumsum(by_bin[:, ::-1], axis=1)[:, ::-1]
        rows = weights @ self.rows
        total = above + (weights @ self.base)[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            means: Floats = np.where(rows[:, None] > 0, total / rows[:, None], np.nan)
        return means


def describe(found: Profit, weights: Floats, baseline: Profit | None = None) -> dict[str, Any]:
    """Return the profit as plain values.

    Args:
        found: The model's.
        weights: How often each group counts in each resample, `[samples, groups]`.
        baseline: The baseline's.

    Returns:
        - `rows`, `rows_left_out`
        - `curve`: `thresholds`, `values`, `low`, `high`, per row
        - `best` and `own`: `threshold`, `value`, `interval`
        - `gain`: what the best threshold adds to the model's own, `value` and `interval`
        - `as_good`: the lowest and the highest threshold that may be as good as the best
        - `none`: the value if no row, `all`: if every row is predicted as positive
        - `change`: null, or the change from the baseline, each at its own threshold
    """
    curve, drawn = found.curve(), found.replicates(weights)
    best, own = found.place(found.best()), found.place(found.decision)
    # With a few entities, a resample may have no row at all.
    some = drawn[np.isfinite(drawn).all(axis=1)]
    some = some if len(some) else curve[None, :]
    gap = some - some[:, [best]]
    # Thresholds that in 2.5% of the resamples, or more, do at least as well as the best.
    good = np.flatnonzero(np.quantile(gap, (1 + bootstrap.CONFIDENCE) / 2, axis=0) >= 0)
    tail = (1 - bootstrap.CONFIDENCE) / 2
    low, high = np.quantile(some, [tail, 1 - tail], axis=0)
    shown = np.flatnonzero(found.thresholds <= 1)
    change = None
    if baseline is not None:
        place = baseline.place(baseline.decision)
        before = baseline.replicates(weights)[:, place]
        change = _figure(float(curve[own] - baseline.curve()[place]), drawn[:, own] - before)
    return {
        "rows": int(found.rows.sum()),
        "rows_left_out": found.left_out,
        "curve": {
            "thresholds": found.thresholds[shown].tolist(),
            "values": curve[shown].tolist(),
            "low": low[shown].tolist(),
            "high": high[shown].tolist(),
        },
        "best": {"threshold": found.best(), **_figure(float(curve[best]), drawn[:, best])},
        "own": {"threshold": found.decision, **_figure(float(curve[own]), drawn[:, own])},
        "gain": _figure(float(curve[best] - curve[own]), drawn[:, best] - drawn[:, own]),
        "as_good": [_shortest(found.thresholds[at]) for at in (good[0], good[-1])],
        "none": float(curve[-1]),
        "all": float(curve[0]),
        "change": change,
    }


def _shortest(threshold: float) -> float:
    """Return a threshold as the shortest number that is the same one to a model, in float32."""
    return float(str(np.float32(threshold)))


def _figure(value: float, replicates: Floats) -> dict[str, Any]:
    ends = bootstrap.interval(replicates)
    return {"value": value, "interval": None if ends is None else list(ends)}
