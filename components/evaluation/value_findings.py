"""Findings on the value of a model's answers."""

from collections.abc import Iterator, Mapping
from typing import Any

from kfp_tabular.components.common.artifacts.findings import Finding

_THOUSAND = 1000


def find(value: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Yield the findings.

    Args:
        value: `value` of the document.
    """
    if value is None:
        return
    if value["rows_left_out"]:
        yield Finding(
            "warning",
            "no-value",
            f"The value of {value['rows_left_out']:,} rows is undefined, for example because a "
            "column is missing; they are left out of the profit.",
            option="outcome_values",
        )
    best, own, gain = value["best"], value["own"], value["gain"]
    low, high = value["as_good"]
    sure = gain["interval"] is not None and gain["interval"][0] > 0
    if sure and not low <= own["threshold"] <= high:
        yield Finding(
            "note",
            "better-threshold",
            f"A threshold of {best['threshold']:.4g} would be worth "
            f"{_THOUSAND * gain['value']:.4g} more per 1,000 rows than the model's "
            f"{own['threshold']:g} (95% interval {_THOUSAND * gain['interval'][0]:.4g} to "
            f"{_THOUSAND * gain['interval'][1]:.4g}).",
            option=f"decision_threshold={best['threshold']:.4g}",
        )
