"""What a binary model does at each decision threshold, from the counts of all evaluated rows."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.common.statistics.bootstrap import Floats, Ints
from kfp_tabular.components.evaluation.metrics.ranking import Histograms

DECISION = "decision_threshold"
BEST_F1 = "best_f1"
LEAST_COST = "least_cost"

_STEPS = np.arange(1, 20) / 20
_SHARES = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True)
class ErrorCosts:
    """What errors cost, in any unit.

    Attributes:
        false_positive: A row predicted as positive that is not.
        false_negative: A positive row that is not predicted as positive.
    """

    false_positive: float = 1.0
    false_negative: float = 1.0


EQUAL_COSTS = ErrorCosts()


@dataclass(frozen=True)
class ThresholdRow:
    """A model at a decision threshold.

    Attributes:
        threshold: A row is predicted as positive if its probability is at least this.
        precision: Share of the rows predicted as positive that are positive; None without any.
        recall: Share of the positive rows that are predicted as positive; None without any.
        f1: Their harmonic mean; None without positive rows.
        predicted_positive: Share of all rows that is predicted as positive.
        cost: The mean cost of a row.
        marks: What is special about it: `decision_threshold`, `best_f1`, `least_cost`.
    """

    threshold: float
    precision: float | None
    recall: float | None
    f1: float | None
    predicted_positive: float
    cost: float
    marks: tuple[str, ...] = ()


def table(
    scores: Histograms,
    costs: ErrorCosts,
    decision: tuple[float, Ints],
) -> list[dict[str, Any]]:
    """Return the model at round thresholds, at round shares, and at the special ones.

    A threshold that lies within a bin is moved to the bin's lowest score, so every figure is exact.

    Args:
        scores: The scores of all rows.
        costs: The costs of errors.
        decision: The model's threshold, and the confusion matrix there.

    Example:
        >>> negatives, positives = np.array([3.0, 1.0, 0.0]), np.array([0.0, 1.0, 3.0])
        >>> confusion = np.array([[3, 1], [0, 4]])
        >>> scores = Histograms(np.array([0.1, 0.4, 0.8]), negatives, positives)
        >>> rows = table(scores, ErrorCosts(), (0.3, confusion))
        >>> [(row["threshold"], row["recall"], row["cost"]) for row in rows]
        [(0.1, 1.0, 0.5), (0.3, 1.0, 0.125), (0.4, 1.0, 0.125), (0.8, 0.75, 0.125)]
        >>> rows[2]["marks"]
        ('best_f1', 'least_cost')
    """
    negatives, positives = scores.negatives, scores.positives
    occupied = np.flatnonzero(negatives + positives)
    if not len(occupied):
        return []
    found = _found(negatives, positives, occupied)
    positive, rows = float(positives.sum()), float((negatives + positives).sum())
    lowest = scores.thresholds[occupied]
    chosen = np.searchsorted(lowest, _STEPS)
    answered = found[:, 0] + found[:, 1]
    by_share = np.searchsorted(-answered, -np.array(_SHARES) * rows)
    kept = {int(place) for place in (*chosen, *by_share) if place < len(occupied)}
    marked: dict[int, list[str]] = {}
    f1 = 2 * found[:, 1] / np.maximum(answered + positive, 1)
    if positive:
        marked.setdefault(int(np.argmax(f1)), []).append(BEST_F1)
    spent = found[:, 0] * costs.false_positive + (positive - found[:, 1]) * costs.false_negative
    # Of equal costs the lowest threshold: it finds the most positive rows.
    marked.setdefault(int(np.argmin(spent)), []).append(LEAST_COST)
    result = [
        _row(float(lowest[place]), found[place], positive, rows, costs, marked.get(place, ()))
        for place in sorted(kept | marked.keys() | {0})
    ]
    threshold, confusion = decision
    own = np.array([confusion[0, 1], confusion[1, 1]], np.float64)
    result.append(_row(threshold, own, positive, rows, costs, (DECISION,)))
    return [asdict(row) for row in _merged(result)]


def _found(negatives: Floats, positives: Floats, occupied: Ints) -> Floats:
    """Return false and true positives at the lowest score of each occupied bin."""
    both = np.stack([negatives[occupied], positives[occupied]], axis=1)
    return np.cumsum(both[::-1], axis=0)[::-1]


def _row(
    threshold: float,
    found: Floats,
    positive: float,
    rows: float,
    costs: ErrorCosts,
    marks: "tuple[str, ...] | list[str]",
) -> ThresholdRow:
    wrong, right = found.tolist()
    answered = wrong + right
    cost = wrong * costs.false_positive + (positive - right) * costs.false_negative
    return ThresholdRow(
        threshold=threshold,
        precision=right / answered if answered else None,
        recall=right / positive if positive else None,
        f1=2 * right / (answered + positive) if positive else None,
        predicted_positive=answered / rows,
        cost=cost / rows,
        marks=tuple(marks),
    )


def _merged(rows: list[ThresholdRow]) -> list[ThresholdRow]:
    """Return rows by ascending threshold, one for each."""
    by_threshold: dict[float, ThresholdRow] = {}
    for row in rows:
        before = by_threshold.get(row.threshold)
        marks = (*(before.marks if before else ()), *row.marks)
        by_threshold[row.threshold] = ThresholdRow(**{**asdict(row), "marks": marks})
    return [by_threshold[threshold] for threshold in sorted(by_threshold)]


def gain(negatives: Floats, positives: Floats) -> Mapping[str, Any] | None:
    """Return how many of the positive rows are among those with the highest scores.

    Rows of one bin count as ties in random order.

    Args:
        negatives: Counts by bin of ascending score, shape `[bins]`.
        positives: The same for the positive rows.

    Returns:
        None without positive or without negative rows; otherwise `shares` of rows and, for each,
        the share of positives `captured`; and `deciles`: the `share` of positives in each tenth,
        its `lift` (times the share of all rows), and the `cumulative_lift`.

    Example:
        >>> found = gain(np.array([8.0, 0.0]), np.array([0.0, 2.0]))
        >>> found["deciles"][0]
        {'decile': 1, 'share': 1.0, 'lift': 5.0, 'captured': 0.5, 'cumulative_lift': 5.0}
    """
    positive, rows = positives.sum(), (negatives + positives).sum()
    if not positive or positive == rows:
        return None
    counted = (negatives + positives)[::-1]
    occupied = counted > 0
    along = np.concatenate([[0.0], np.cumsum(counted[occupied]) / rows])
    captured = np.concatenate([[0.0], np.cumsum(positives[::-1][occupied]) / positive])
    shares = np.concatenate([[0.0, 0.01, 0.02], np.arange(1, 21) / 20])
    ends = np.interp(np.arange(11) / 10, along, captured)
    prevalence = positive / rows
    deciles = []
    for place in range(10):
        lift = float(ends[place + 1] - ends[place]) * 10
        deciles.append(
            {
                "decile": place + 1,
                "share": round(float(lift * prevalence), 12),
                "lift": round(lift, 12),
                "captured": round(float(ends[place + 1]), 12),
                "cumulative_lift": round(float(ends[place + 1]) * 10 / (place + 1), 12),
            }
        )
    return {
        "shares": shares.tolist(),
        "captured": np.interp(shares, along, captured).tolist(),
        "deciles": deciles,
    }
