"""The tests of the changes from the baseline on an evaluation's page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.html import Markup
from kfp_tabular.components.evaluation.comparison.compared import (
    BETTER,
    DIFFERENT,
    UNCLEAR,
    WORSE,
)
from kfp_tabular.components.evaluation.conditions import written_p
from kfp_tabular.components.evaluation.report import metric_names, verdict_section

_MOST_SLICES = 20
_WORDS = {
    BETTER: html.badge("better", tone="good"),
    WORSE: html.badge("worse", tone="error"),
    DIFFERENT: html.badge("different"),
    UNCLEAR: Markup("may be chance"),
}
_CORRECTIONS = {"holm": "Holm", "benjamini-hochberg": "Benjamini and Hochberg"}


def comparison(document: Mapping[str, Any]) -> Iterable[Markup]:
    """Yield which metrics and slices differ from the baseline's, and whether that is chance."""
    found = document["comparison"]
    rows = [
        (
            _WORDS[row["verdict"]],
            metric_names.label(row["metric"]),
            *_numbers(row),
            written_p(row["p_value"]),
            row["method"],
        )
        for row in found["metrics"]
    ]
    yield html.table(("", "Metric", "Change", "95% interval", "p", "Test"), rows)
    entities = document["entities"]
    sampled = "Both models answer the same rows, and the tests are paired."
    if entities is not None and entities["repeat"]:
        sampled += (
            f" Rows of one of {entities['count']:,} entities depend on each other: they are "
            "resampled together, and DeLong's variance is by entity."
        )
    yield html.note(sampled)
    if found["slices"]:
        yield from _slices(found)


def _slices(found: Mapping[str, Any]) -> Iterable[Markup]:
    changed = sorted(
        (row for row in found["slices"] if row["verdict"] != UNCLEAR),
        key=lambda row: (row["verdict"] != WORSE, row["adjusted"]),
    )
    level = f"{100 * found['level']:g}%"
    told = f"{len(changed)} of {len(found['slices'])} tests in slices differ"
    yield html.paragraph(
        f"{told} at {level}, with p-values adjusted for their number "
        f"({_CORRECTIONS[found['correction']]})."
    )
    if not changed:
        return
    rows = [
        (
            _WORDS[row["verdict"]],
            row["name"],
            row["rows"],
            metric_names.label(row["metric"]),
            *_numbers(row),
            written_p(row["adjusted"]),
        )
        for row in changed[:_MOST_SLICES]
    ]
    headers = ("", "Slice", "Rows", "Metric", "Change", "95% interval", "p, adjusted")
    yield html.table(headers, rows)
    if len(changed) > _MOST_SLICES:
        yield html.note(f"{len(changed) - _MOST_SLICES} more are in evaluation.json.")


def _numbers(row: Mapping[str, Any]) -> Sequence[object]:
    low, high = row["interval"]
    places = html.decimals(low, high)
    return html.fixed(row["change"], places), verdict_section.interval(row["interval"])
