"""How a binary model treats groups of rows: rates by group, their gaps, and bounds on them.

- selection_rate: the share of the rows predicted as positive; equal rates are demographic parity.
- true_positive_rate: the share of the positive rows that are found; equal ones are equal
  opportunity. With equal false_positive_rates, they are equalized odds (Hardt, Price and Srebro,
  "Equality of Opportunity in Supervised Learning", 2016).
- false_positive_rate: the share of the negative rows predicted as positive.
- calibration: the mean probability minus the share of positive rows.

Unless the groups have equal shares of positive rows, a useful model cannot have equal rates and
equal calibration at once (Kleinberg, Mullainathan and Raghavan, 2016; Chouldechova, 2017). Which of
them matters is not a question of statistics.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.statistics import bootstrap
from kfp_tabular.components.common.statistics.bootstrap import Floats
from kfp_tabular.components.evaluation.conditions import Check
from kfp_tabular.components.evaluation.metrics.binary import BinaryStatistics
from kfp_tabular.components.evaluation.slices import Slicing

RATES = ("selection_rate", "true_positive_rate", "false_positive_rate", "calibration")
LEAST_ROWS = 100
"""Groups with fewer rows are shown, but no gap is measured to them."""


@dataclass(frozen=True)
class GapBound:
    """The largest gap allowed between two groups.

    Attributes:
        rate: One of `RATES`.
        column: The column; empty for each of `fairness_columns`.
        most: The largest gap.
    """

    rate: str
    column: str
    most: float


def parse_bounds(
    document: Mapping[str, Any], columns: Sequence[str], task: str
) -> tuple[GapBound, ...]:
    """Read `fairness_thresholds`.

    Args:
        document: By rate a bound such as `{"max_gap": 0.1}`, or a list of them, each with
            `column` where it is not for all of them.
        columns: The option `fairness_columns`.
        task: The task.

    Raises:
        UserError: For an unknown rate, key or column, a gap that is no number, or another task.

    Example:
        >>> parse_bounds({"selection_rate": {"max_gap": 0.1}}, ["sex"], "binary")
        (GapBound(rate='selection_rate', column='', most=0.1),)
    """
    if (document or columns) and task != "binary":
        raise UserError(f"fairness_columns: only a binary model has such rates, not a {task} one.")
    if document and not columns:
        raise UserError("fairness_thresholds: name the columns of groups in fairness_columns.")
    found = []
    for rate, entries in document.items():
        if rate not in RATES:
            raise UserError(
                f"fairness_thresholds: {rate!r} is not a rate; the rates are {', '.join(RATES)}."
                f"{closest(str(rate), RATES)}"
            )
        for entry in entries if isinstance(entries, list) else [entries]:
            found.append(_bound(rate, entry, columns))
    return tuple(sorted(found, key=lambda bound: (RATES.index(bound.rate), bound.column)))


def _bound(rate: str, entry: Any, columns: Sequence[str]) -> GapBound:
    where = f"fairness_thresholds: {rate!r}"
    if not isinstance(entry, Mapping) or "max_gap" not in entry:
        raise UserError(f'{where}: expected a bound such as {{"max_gap": 0.1}}, found {entry!r}.')
    for key in entry:
        if key not in ("max_gap", "column"):
            raise UserError(f"{where}: key {key!r} is unknown; known keys: max_gap, column.")
    most, column = entry["max_gap"], str(entry.get("column", ""))
    if isinstance(most, bool) or not isinstance(most, (int, float)) or not 0 <= most <= 1:
        raise UserError(f"{where}: 'max_gap' must be a number from 0 to 1, found {most!r}.")
    if column and column not in columns:
        raise UserError(
            f"{where}: {column!r} is not among fairness_columns.{closest(column, columns)}"
        )
    return GapBound(rate, column, float(most))


def measure(statistics: BinaryStatistics, slicing: Slicing, weights: Floats) -> dict[str, Any]:
    """Return the rates of each group, and the largest gaps.

    Args:
        statistics: Counts with a cell for each group.
        slicing: The groups.
        weights: How often each bootstrap group counts in each resample.

    Returns:
        `column`; `groups`, each with `name`, `rows`, and the rates with `value` and `interval`;
        `gaps` by rate: `value`, `interval`, `highest` and `lowest`, the names of the groups.
        Undefined rates are absent.
    """
    titles = slicing.titles()
    points = [_rates(statistics.group_totals(cell).sum(0)) for cell in range(len(titles))]
    drawn = [_rates(weights @ statistics.group_totals(cell)) for cell in range(len(titles))]
    rows = [int(statistics.group_totals(cell)[:, :4].sum()) for cell in range(len(titles))]
    groups = []
    for cell, title in enumerate(titles):
        rates = {
            rate: _figure(float(points[cell][rate]), drawn[cell][rate])
            for rate in RATES
            if np.isfinite(points[cell][rate])
        }
        groups.append({"name": title, "rows": rows[cell], **rates})
    gaps = {}
    for rate in RATES:
        judged = [
            cell
            for cell in range(len(titles))
            if rows[cell] >= LEAST_ROWS and np.isfinite(points[cell][rate])
        ]
        if len(judged) < len(("one", "another")):
            continue
        high = max(judged, key=lambda cell: float(points[cell][rate]))
        low = min(judged, key=lambda cell: float(points[cell][rate]))
        value = float(points[high][rate] - points[low][rate])
        gaps[rate] = {
            **_figure(value, drawn[high][rate] - drawn[low][rate]),
            "highest": titles[high],
            "lowest": titles[low],
        }
    return {"column": slicing.name, "groups": groups, "gaps": gaps}


def judge(bounds: Sequence[GapBound], measured: Sequence[Mapping[str, Any]]) -> Iterable[Check]:
    """Yield the result of each bound, for each column that it is for."""
    for bound in bounds:
        for part in measured:
            if bound.column not in ("", part["column"]):
                continue
            gap = part["gaps"].get(bound.rate)
            ends = None if gap is None else gap["interval"]
            yield Check(
                kind="fairness",
                metric=bound.rate,
                slice=part["column"],
                condition=f"at most {bound.most:g} between groups",
                value=None if gap is None else gap["value"],
                interval=None if ends is None else (ends[0], ends[1]),
                passed=gap is not None and gap["value"] <= bound.most,
            )


def _rates(totals: Floats) -> dict[str, Floats]:
    """Return the rates from the counts that `BinaryStatistics` keeps."""
    negative, false_positive, false_negative, positive = np.moveaxis(totals[..., :4], -1, 0)
    rows = negative + false_positive + false_negative + positive
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "selection_rate": (positive + false_positive) / rows,
            "true_positive_rate": positive / (positive + false_negative),
            "false_positive_rate": false_positive / (false_positive + negative),
            "calibration": (totals[..., -1] - positive - false_negative) / rows,
        }


def _figure(value: float, replicates: Floats) -> dict[str, Any]:
    ends = bootstrap.interval(replicates)
    return {"value": value, "interval": None if ends is None else list(ends)}
