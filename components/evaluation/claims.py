"""Tests of the change from the baseline as conditions of the blessing.

Three claims can be asked for, each with a margin in the direction in which the metric is worse:

- `superior`: the model is shown to be better by more than the margin.
- `non_inferior`: it is shown not to be worse by more than the margin. Little data do not show it.
- `not_worse`: it is not shown to be worse by more than the margin. Little data show nothing.

A test is one-sided at half of `LEVEL`, so that it agrees with the 95% interval. For slices, all
must be shown to be superior or non-inferior: such a condition errs at most as often as one of its
tests (Berger, "Multiparameter hypothesis testing and acceptance sampling", 1982), so no p-value is
adjusted. `not_worse` fails if any slice is shown to be worse, which would happen by chance the more
often, the more slices there are; so its p-values are adjusted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kfp_tabular.components.evaluation.comparison.differences import LEVEL, Difference
from kfp_tabular.components.evaluation.comparison.multiplicity import CORRECTIONS
from kfp_tabular.components.evaluation.conditions import Check, SliceEstimates
from kfp_tabular.components.evaluation.metrics import binary, directions

SUPERIOR, NON_INFERIOR, NOT_WORSE = "superior", "non_inferior", "not_worse"
KINDS = (SUPERIOR, NON_INFERIOR, NOT_WORSE)
WITHOUT_TEST = frozenset({binary.CALIBRATION_ERROR, *directions.ZERO_IS_BEST})

ONE_SIDED = LEVEL / 2


@dataclass(frozen=True)
class Claim:
    """What a test must show of a change.

    Attributes:
        metric: The metric.
        kind: One of `KINDS`.
        margin: The margin, from 0.
        slicing: Name of the slicing whose slices are all tested; empty for all rows.
        min_rows: Slices with fewer rows are not tested.
    """

    metric: str
    kind: str
    margin: float
    slicing: str
    min_rows: int

    def __str__(self) -> str:
        more = f" by more than {self.margin:g}" if self.margin else ""
        level = f"at {100 * ONE_SIDED:g}%"
        if self.kind == SUPERIOR:
            return f"better{more}, shown {level}"
        if self.kind == NON_INFERIOR:
            return f"not worse{more}, shown {level}"
        return f"not shown {level} to be worse{more}"

    def p_value(self, difference: Difference) -> float:
        """Return the p-value of the claim; of `not_worse` that of being worse."""
        better = directions.sign(self.metric) > 0
        if self.kind == SUPERIOR:
            return difference.above(self.margin) if better else difference.below(-self.margin)
        if self.kind == NON_INFERIOR:
            return difference.above(-self.margin) if better else difference.below(self.margin)
        return difference.below(-self.margin) if better else difference.above(self.margin)


def judge(
    claims: Sequence[Claim],
    differences: Mapping[str, Difference],
    slices: Sequence[SliceEstimates],
    correction: str,
) -> Iterable[Check]:
    """Yield the result of each claim.

    Args:
        claims: The claims.
        differences: The changes of the metrics on all rows.
        slices: The slices.
        correction: How the p-values of several slices are adjusted; see `CORRECTIONS`.

    Example:
        >>> from kfp_tabular.components.evaluation.comparison.differences import Studentized
        >>> change = Studentized("DeLong", value=0.02, error=0.005, freedom=1e9)
        >>> (check,) = judge([Claim("auc", "superior", 0.0, "", 100)], {"auc": change}, [], "holm")
        >>> check.condition, check.passed
        ('better, shown at 2.5%', True)
    """
    for claim in claims:
        if not claim.slicing:
            difference = differences.get(claim.metric)
            tested = [("", difference)]
        else:
            tested = [
                (part.name, part.differences[claim.metric])
                for part in slices
                if part.slicing == claim.slicing
                and part.rows >= claim.min_rows
                and claim.metric in part.differences
            ]
        yield from _checks(claim, tested, correction)


def _checks(
    claim: Claim, tested: Sequence[tuple[str, Difference | None]], correction: str
) -> Iterable[Check]:
    values = [None if found is None else claim.p_value(found) for _, found in tested]
    if claim.kind == NOT_WORSE and claim.slicing:
        values = [*CORRECTIONS[correction]([value or 0.0 for value in values]).tolist()]
    for (name, found), p_value in zip(tested, values, strict=True):
        shown = p_value is not None and p_value <= ONE_SIDED
        yield Check(
            kind="test",
            metric=claim.metric,
            slice=name,
            condition=str(claim),
            value=None if found is None else found.value,
            interval=None if found is None else found.interval(),
            passed=found is not None and shown != (claim.kind == NOT_WORSE),
            p_value=p_value,
        )
