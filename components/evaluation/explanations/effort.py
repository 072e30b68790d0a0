"""How much is predicted to explain a model: rules on the numbers of rows and inputs.

Prediction is what explaining costs. The budget is a share of the rows that evaluation predicts
anyway, so that the same data always give the same result, however fast the machine is.
"""

from dataclasses import dataclass

DEPENDENT_FEATURES = 8
"""Partial dependence is shown for so many of the most important inputs."""

GRID_POINTS = 20

_SHARE = 12
_LEAST_BUDGET, _LARGEST_BUDGET = 120_000, 600_000
_LEAST_ROWS, _MOST_ROWS = 1000, 20_000
_LEAST_SCREENED, _MOST_SCREENED = 100, 1000
_KEPT = 20
_LEAST_DEPENDENT, _MOST_DEPENDENT = 200, 1000


@dataclass(frozen=True)
class Effort:
    """What is measured.

    Attributes:
        rows: Rows on which importance is measured.
        repetitions: How often each input is shuffled.
        screened_rows: Rows on which all inputs are compared first; 0 if all inputs are measured on
            `rows` at once.
        kept: How many inputs are measured on `rows`: all, or the most promising ones.
        dependent_rows: Rows over which partial dependence is averaged.
    """

    rows: int
    repetitions: int
    screened_rows: int
    kept: int
    dependent_rows: int


def plan(inputs: int, evaluated_rows: int, rows: int, repetitions: int) -> Effort:
    """Choose what to measure.

    Args:
        inputs: The number of the model's inputs.
        evaluated_rows: The number of rows that are evaluated.
        rows: The rows to use; 0 to choose them, and to screen the inputs of wide tables.
        repetitions: How often each input is shuffled.

    Example:
        >>> plan(inputs=11, evaluated_rows=3_000_000, rows=0, repetitions=3)
        Effort(rows=7575, repetitions=3, screened_rows=0, kept=11, dependent_rows=781)
        >>> plan(inputs=200, evaluated_rows=20_000, rows=0, repetitions=3)
        Effort(rows=1000, repetitions=3, screened_rows=300, kept=20, dependent_rows=375)
    """
    budget = min(max(evaluated_rows // _SHARE, _LEAST_BUDGET), _LARGEST_BUDGET)
    dependent = _between(
        budget // 2 // (DEPENDENT_FEATURES * GRID_POINTS), _LEAST_DEPENDENT, _MOST_DEPENDENT
    )
    if rows:
        return Effort(rows, repetitions, 0, inputs, min(dependent, rows))
    each = budget // max(inputs * repetitions, 1)
    if each >= _LEAST_ROWS or inputs <= _KEPT:
        return Effort(_between(each, _LEAST_ROWS, _MOST_ROWS), repetitions, 0, inputs, dependent)
    screened = _between(budget // 2 // inputs, _LEAST_SCREENED, _MOST_SCREENED)
    each = _between(budget // 2 // (_KEPT * repetitions), _LEAST_ROWS, _MOST_ROWS)
    return Effort(each, repetitions, screened, _KEPT, dependent)


def _between(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)
