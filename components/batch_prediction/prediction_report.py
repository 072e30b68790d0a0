"""The page of a batch prediction: rows, rejected rows, predictions by class, drift."""

from collections.abc import Mapping, Sequence

from kfp_tabular.components.batch_prediction import scored_rows
from kfp_tabular.components.batch_prediction.drift import ColumnDrift
from kfp_tabular.components.batch_prediction.predicted_columns import ModelIdentity
from kfp_tabular.components.batch_prediction.scored_rows import ScoredBatch
from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts import findings_page
from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.html import Markup, Section

_MOST_REASONS = 100
_MOST_CLASSES = 50


def html_page(
    data: str,
    spec: ModelSpec,
    model: ModelIdentity,
    facts: ScoredBatch,
    drift: Mapping[str, ColumnDrift],
    findings: Findings,
) -> str:
    """Return the page.

    Args:
        data: The URI of the data.
        spec: The model's description.
        model: The model.
        facts: What became of the rows.
        drift: The drift of the features, largest first.
        findings: The findings.
    """
    named = " ".join(part for part in (model.name, model.version) if part)
    tiles = {
        "rows": facts.rows,
        "predicted": facts.predicted,
        "rejected": facts.rejected,
        "label": spec.label,
        "model": named or model.digest[:19],
    }
    sections = [Section("Rows", (html.facts(tiles),)), *findings_page.sections(findings)]
    if facts.classes:
        sections.append(Section("Predictions", (_classes(facts),)))
    if facts.reasons:
        sections.append(Section("Rejected rows", (_reasons(facts),)))
    sections.append(_drift(drift))
    return html.page("Batch prediction", sections, subtitle=data)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _classes(facts: ScoredBatch) -> Markup:
    ranked = scored_rows.first(facts.classes, _MOST_CLASSES)
    return html.table(
        ("class", "rows", "share"),
        [(name, rows, _share(rows, facts.predicted)) for name, rows in ranked],
    )


def _reasons(facts: ScoredBatch) -> Markup:
    ranked = scored_rows.first(facts.reasons, _MOST_REASONS)
    return html.table(
        ("reason", "rows", "first in"),
        [(reason, rows, _place(facts.places[reason])) for reason, rows in ranked],
    )


def _place(place: tuple[str, int]) -> str:
    return f"{place[0]} line {place[1]}"


def _drift(drift: Mapping[str, ColumnDrift]) -> Section:
    if not drift:
        return Section(
            "Drift from the training data",
            (html.paragraph("Not measured: statistics_uri names no statistics of the training."),),
        )
    measures = sorted({each.distance.measure_name for each in drift.values() if each.distance})
    remark = html.note(
        "Distances go from 0 (equal) to 1 (no overlap): L-infinity distance for categories, "
        "Jensen-Shannon divergence for numbers."
        + (
            " Few rows: the distance is above the threshold, but there are too few rows to tell it "
            "from chance."
            if any(column.is_chance for column in drift.values())
            else ""
        )
    )
    blocks = [html.table(_DRIFT, [_drift_row(name, column) for name, column in drift.items()])]
    blocks += [remark] if measures else []
    new = [
        (
            name,
            column.new_rows,
            ", ".join(f"{value} ({rows:,})" for value, rows in column.new_values),
        )
        for name, column in drift.items()
        if column.new_rows
    ]
    if new:
        caption = "Values that the training data did not have, the most frequent ones."
        blocks.append(html.table(("feature", "rows", "values"), new, caption=caption))
    return Section("Drift from the training data", tuple(blocks))


_DRIFT = ("feature", "distance", "threshold", "", "missing, training", "missing")


def _drift_row(name: str, column: ColumnDrift) -> Sequence[object]:
    distance = column.distance
    badge: object = ""
    if distance is not None and distance.threshold is not None:
        if column.is_chance:
            badge = html.badge("few rows")
        elif column.is_drifted:
            badge = html.badge("drifted", "warning")
        else:
            badge = html.badge("ok", "good")
    return (
        name,
        "-" if distance is None else f"{distance.value:.4f}",
        "-" if distance is None or distance.threshold is None else f"{distance.threshold:g}",
        badge,
        f"{column.trained_missing:.1%}",
        f"{column.missing:.1%}",
    )
