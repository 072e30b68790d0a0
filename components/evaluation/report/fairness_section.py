"""Rates by group and their gaps, on an evaluation's page."""

from collections.abc import Iterable, Mapping
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.html import Markup
from kfp_tabular.components.evaluation.fairness import LEAST_ROWS, RATES
from kfp_tabular.components.evaluation.report import metric_names, verdict_section

_MOST_GROUPS = 50


def fairness(document: Mapping[str, Any]) -> Iterable[Markup]:
    """Yield for each column the rates of its groups, and the largest gaps."""
    for part in document["fairness"]:
        gaps = [
            (
                metric_names.label(rate),
                html.fixed(gap["value"], _places(gap)),
                verdict_section.interval(gap["interval"]),
                gap["highest"],
                gap["lowest"],
            )
            for rate, gap in part["gaps"].items()
        ]
        headers = ("Gap", "Value", "95% interval", "Highest", "Lowest")
        yield html.table(headers, gaps, caption=f"Gaps between groups of {part['column']}")
        rows = [
            (
                group["name"],
                group["rows"],
                *(cell for rate in RATES for cell in _cells(group.get(rate))),
            )
            for group in part["groups"][:_MOST_GROUPS]
        ]
        names = [cell for rate in RATES for cell in (metric_names.label(rate), "95% interval")]
        table = html.table(("Group", "Rows", *names), rows)
        yield html.details(f"All {len(part['groups'])} groups", table)
    yield html.note(
        f"Between groups of at least {LEAST_ROWS} rows. Selection rate: share of the rows that are "
        f"predicted as {document['classes'][1]}; calibration: mean probability minus share of "
        "positive rows. "
        "If groups differ in their shares of positive rows, a useful model cannot have equal rates "
        "and equal calibration at once."
    )


def _cells(figure: Mapping[str, Any] | None) -> tuple[object, object]:
    if figure is None:
        return None, None
    return html.fixed(figure["value"], _places(figure)), verdict_section.interval(
        figure["interval"]
    )


def _places(figure: Mapping[str, Any]) -> int:
    ends = figure["interval"]
    return 3 if ends is None or ends[0] == ends[1] else html.decimals(ends[0], ends[1])
