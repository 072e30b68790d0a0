"""What a binary model's answers are worth, on an evaluation's page."""

from collections.abc import Iterable, Mapping
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.html import Markup
from kfp_tabular.components.evaluation.report import verdict_section

_THOUSAND = 1000


def value(document: Mapping[str, Any]) -> Iterable[Markup]:
    """Yield the profit by threshold, and that of the best threshold beside the model's own."""
    found = document["value"]
    yield from _chosen(document)
    curve = found["curve"]
    lines = {
        name: [
            (threshold, _THOUSAND * each)
            for threshold, each in zip(curve["thresholds"], curve[key], strict=True)
        ]
        for name, key in (("profit", "values"), ("95%, high", "high"), ("95%, low", "low"))
    }
    best, own = found["best"], found["own"]
    yield html.line_chart(
        lines,
        x_label="decision threshold",
        y_label="profit of 1,000 rows",
        title="Profit by threshold",
        marks={"best": best["threshold"], "model": own["threshold"]},
        levels={"none positive": _THOUSAND * found["none"]},
        x_range=(0, 1),
    )
    rows = [
        ("best threshold", best["threshold"], *_figures(best)),
        ("the model's own", own["threshold"], *_figures(own)),
        ("difference", None, *_figures(found["gain"])),
        ("every row predicted as positive", 0, _THOUSAND * found["all"], None),
        ("no row predicted as positive", None, _THOUSAND * found["none"], None),
    ]
    if found["change"] is not None:
        rows.insert(3, ("change from the baseline", None, *_figures(found["change"])))
    headers = ("", "Threshold", "Profit of 1,000 rows", "95% interval")
    yield html.table(headers, rows)
    low, high = found["as_good"]
    told = [f"{name.replace('_', ' ')}: {text}" for name, text in found["outcomes"].items()]
    left_out = found["rows_left_out"]
    yield html.note(
        f"Thresholds from {low:.3g} to {high:.3g} may be as good as the best, which is the best on "
        f"these rows and so looks a little better than it is. Value of a row: {'; '.join(told)} "
        "(option outcome_values)."
        + (f" {left_out:,} rows without a value are left out." if left_out else "")
    )


def _chosen(document: Mapping[str, Any]) -> Iterable[Markup]:
    choice = document.get("threshold_choice")
    if choice is None:
        return
    same = choice["split"] == document["split"]
    told = "These are the same rows, so it looks worth more here than it is. " if same else ""
    low, high = choice["as_good"]
    yield html.paragraph(
        f"Training chose the decision threshold {choice['threshold']:.4g} by value, on the "
        f"{choice['rows']:,} rows of split {choice['split']!r}. {told}There, thresholds from "
        f"{low:.3g} to {high:.3g} may be as good."
    )


def _figures(figure: Mapping[str, Any]) -> tuple[object, object]:
    ends = figure["interval"]
    scaled = None if ends is None else [_THOUSAND * end for end in ends]
    value = _THOUSAND * figure["value"]
    if scaled is None:
        return value, None
    places = html.decimals(scaled[0], scaled[1])
    return html.fixed(value, places), verdict_section.interval(scaled)
