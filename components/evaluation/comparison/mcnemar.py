"""Tests of the accuracies of two models on the same rows.

Rows that both models answer rightly, or both wrongly, say nothing of the difference. Of the others,
half should favor each model if they are equally good (McNemar, 1947): a binomial test. The exact
one errs less often than its level; the mid-p version, which counts the observed table as half, is
close to it (Fagerland, Lydersen and Laake, "The McNemar test for binary matched-pairs data: mid-p
and asymptotic are better than exact conditional", 2013). Differences other than 0 are tested by
Tango's score test ("Equivalence test and confidence interval for the difference in proportions for
the paired-sample design", 1998), whose inversion is the interval.
"""

import math
from dataclasses import dataclass

from kfp_tabular.components.evaluation.comparison import distributions

_STEPS = 100


@dataclass(frozen=True)
class Discordance:
    """How two models answer the same rows.

    Attributes:
        ours: Rows that only the first model answers rightly.
        theirs: Rows that only the second model answers rightly.
        rows: All rows.

    Example:
        >>> found = Discordance(ours=12, theirs=4, rows=100)
        >>> found.difference, round(exact(found), 4), round(mid_p(found), 4)
        (0.08, 0.0768, 0.049)
    """

    ours: int
    theirs: int
    rows: int

    @property
    def difference(self) -> float:
        """The first model's accuracy minus the second's."""
        return (self.ours - self.theirs) / self.rows

    def turned(self) -> "Discordance":
        """Return the same with the models exchanged."""
        return Discordance(self.theirs, self.ours, self.rows)


def exact(found: Discordance) -> float:
    """Return the p-value of the exact test of equal accuracies, two-sided."""
    more = max(found.ours, found.theirs)
    return min(1.0, 2 * distributions.fair_coin_tail(more, found.ours + found.theirs))


def mid_p(found: Discordance) -> float:
    """Return the mid-p value of the test of equal accuracies, two-sided."""
    most = max(found.ours, found.theirs)
    return min(1.0, 2 * _mid_tail(most, found.ours + found.theirs))


def better(found: Discordance, margin: float = 0.0) -> float:
    """Return the p-value of "the first model's accuracy is not higher by more than a margin".

    Args:
        found: The rows.
        margin: The margin; may be negative. At 0 the test is McNemar's with mid-p, elsewhere
            Tango's.
    """
    if margin == 0:
        return _mid_tail(found.ours, found.ours + found.theirs)
    return distributions.normal_tail(score(found, margin))


def interval(found: Discordance, confidence: float) -> tuple[float, float]:
    """Return Tango's interval of the difference of the accuracies.

    Example:
        >>> low, high = interval(Discordance(ours=12, theirs=4, rows=100), 0.95)
        >>> round(low, 3), round(high, 3)
        (0.002, 0.166)
    """
    critical = distributions.student_quantile((1 + confidence) / 2)
    ends = []
    for sign in (1.0, -1.0):
        # The score falls as the difference rises.
        inside, outside = found.difference, -sign
        for _ in range(_STEPS):
            middle = (inside + outside) / 2
            if sign * score(found, middle) < critical:
                inside = middle
            else:
                outside = middle
        ends.append(inside)
    return ends[0], ends[1]


def score(found: Discordance, difference: float) -> float:
    """Return the score statistic of "the difference of the accuracies is this"."""
    rows, ours, theirs = found.rows, found.ours, found.theirs
    excess = ours - theirs - rows * difference
    linear = -ours - theirs + (2 * rows - ours + theirs) * difference
    constant = -theirs * difference * (1 - difference)
    root = math.sqrt(max(linear * linear - 8 * rows * constant, 0.0))
    # The share of `theirs` that is most likely given the difference.
    share = (root - linear) / (4 * rows)
    variance = rows * (2 * share + difference * (1 - difference))
    if variance <= 0:
        return math.copysign(math.inf, excess) if excess else 0.0
    return excess / math.sqrt(variance)


def _mid_tail(heads: int, throws: int) -> float:
    """Return the chance of more heads, plus half that of as many."""
    tail = distributions.fair_coin_tail(heads, throws)
    return tail - distributions.fair_coin(heads, throws) / 2
