"""The conditions of the blessing and their results."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kfp_tabular.components.evaluation.comparison.differences import Difference
from kfp_tabular.components.evaluation.metrics.estimates import Estimate

_SMALLEST_P = 0.0001


def written_p(value: float) -> str:
    """Return a p-value as text.

    Example:
        >>> written_p(0.03217), written_p(1e-9)
        ('0.032', 'below 0.0001')
    """
    return f"below {_SMALLEST_P:g}" if value < _SMALLEST_P else f"{value:.2g}"


@dataclass(frozen=True)
class Check:
    """One condition and its result.

    Attributes:
        kind: `threshold`, `change`, `trivial`, `recall`, `baseline`, `fairness` (of a gap) or
            `test` (of a change).
        metric: The metric.
        slice: The slice's name; empty for all rows.
        condition: The condition, as text.
        value: The measured value; None if the metric is undefined.
        interval: Its 95% interval; None if it has none.
        passed: Whether the condition holds.
        p_value: That of a test, adjusted if it is one of several; None for other conditions.
    """

    kind: str
    metric: str
    slice: str
    condition: str
    value: float | None
    interval: tuple[float, float] | None
    passed: bool
    p_value: float | None = None

    def __str__(self) -> str:
        change = f"change of {self.metric}"
        what = {
            "change": change,
            "baseline": change,
            "test": change,
            "fairness": f"gap of {self.metric}",
            "recall": "the lowest recall of a class",
        }
        where = f" of {self.slice}" if self.slice else ""
        found = "undefined" if self.value is None else f"{self.value:.6g}"
        within = (
            f" (95% interval {self.interval[0]:.6g} to {self.interval[1]:.6g})"
            if self.interval
            else ""
        )
        if self.p_value is not None:
            within += f", p {written_p(self.p_value)}"
        verdict = "passed" if self.passed else "failed"
        return (
            f"{what.get(self.kind, self.metric)}{where} is {found}{within}; "
            f"required: {self.condition} ({verdict})."
        )


@dataclass(frozen=True)
class SliceEstimates:
    """The metrics of one slice.

    Attributes:
        slicing: The slicing's name.
        name: The slice's name, such as `company=Flash Cab`.
        rows: Its number of rows.
        metrics: The metrics that are defined.
        changes: Their changes from the baseline; empty without one.
        differences: Tests of these changes, where there is one.
    """

    slicing: str
    name: str
    rows: int
    metrics: Mapping[str, Estimate]
    changes: Mapping[str, Estimate]
    differences: Mapping[str, Difference] = field(default_factory=dict)
