"""The HTML page of a validation: the verdict and anomalies first, then every column."""

from collections.abc import Sequence

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts import findings_page
from kfp_tabular.components.common.statistics.distances import Distance
from kfp_tabular.components.data_validation import column_entries
from kfp_tabular.components.data_validation.column_entries import severity
from kfp_tabular.components.data_validation.report_content import ReportContent

_MOST_LISTED = 500  # rows of a table; the artifacts hold all of them
_TOP_DISTANCES = 15


def page(content: ReportContent) -> str:
    """Return the page as a self-contained HTML document."""
    sections = [
        _summary(content),
        *findings_page.sections(content.findings),
        _anomalies(content),
    ]
    if content.schema_uri:
        sections.append(_changes(content))
    if content.distances:
        sections.append(_distances(content))
    sections.append(column_entries.section(content))
    source = content.schema_uri or "inferred from these data"
    title = f"Data validation: {content.label}" if content.label else "Data validation"
    return html.page(title, sections, subtitle=f"Schema: {source}")


def _summary(content: ReportContent) -> html.Section:
    severities = [anomaly.severity for anomaly in content.anomalies]
    badge = html.badge("valid", "good") if content.is_valid else html.badge("not valid", "error")
    errors, warnings = severities.count("error"), severities.count("warning")
    figures: dict[str, object] = {"columns": len(content.columns)}
    figures |= {f"rows in {split}": rows for split, rows in content.rows.items()}
    if content.label:
        figures["label"] = content.label
    counts = f"{_counted(errors, 'error')} and {_counted(warnings, 'warning')}."
    return html.Section("Summary", (html.lead(badge, counts), html.facts(figures)))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _anomalies(content: ReportContent) -> html.Section:
    if not content.anomalies:
        return html.Section("Anomalies", (html.paragraph("None found."),))
    rows = (
        (
            severity(anomaly.severity),
            anomaly.column or "(all)",
            anomaly.split or "all",
            anomaly.kind,
            anomaly.expected,
            anomaly.found,
            anomaly.rows,
            None if not anomaly.rows else html.Figure(f"{anomaly.rows / anomaly.total:.2%}"),
        )
        for anomaly in content.anomalies[:_MOST_LISTED]
    )
    headers = ["", "column", "split", "anomaly", "expected", "found", "rows", "share"]
    caption = _shown(len(content.anomalies), "anomalies.json")
    return html.Section("Anomalies", (html.table(headers, rows, caption=caption),))


def _changes(content: ReportContent) -> html.Section:
    if not content.changes:
        text = "None: columns, types, presence and domains are those of the given schema."
        return html.Section("Differences from the given schema", (html.paragraph(text),))
    rows = (
        (html.badge(change.kind), change.column, change.before, change.now)
        for change in content.changes[:_MOST_LISTED]
    )
    table = html.table(
        ["", "column", "given schema", "these data"], rows, caption=_shown(len(content.changes), "")
    )
    return html.Section("Differences from the given schema", (table,))


def _distances(content: ReportContent) -> html.Section:
    ranked = sorted(content.distances, key=lambda d: (not d.is_too_far, -d.value))
    table = _distance_table(ranked[:_TOP_DISTANCES])
    blocks = [
        html.paragraph(
            "The distance of a column's distribution in a split from that in the train split "
            "(skew) or in earlier data (drift), from 0 (equal) to 1 (no overlap)."
        ),
        table,
    ]
    rest = ranked[_TOP_DISTANCES:_MOST_LISTED]
    if rest:
        blocks.append(html.details(f"{len(ranked) - _TOP_DISTANCES} more", _distance_table(rest)))
    return html.Section("Skew and drift", tuple(blocks))


def _distance_table(distances: Sequence[Distance]) -> html.Markup:
    rows = (
        (
            distance.column,
            distance.split,
            html.fixed(distance.value, 4),
            distance.kind,
            distance.measure_name,
            distance.threshold,
            _verdict(distance),
        )
        for distance in distances
    )
    headers = ["column", "split", "distance", "kind", "measure", "threshold", ""]
    if all(distance.threshold is None for distance in distances):
        headers = headers[:5]
    return html.table(headers, (row[: len(headers)] for row in rows))


def _verdict(distance: Distance) -> html.Markup | None:
    if distance.threshold is None:
        return None
    return html.badge("too far", "error") if distance.is_too_far else html.badge("within", "good")


def _shown(found: int, file: str) -> str:
    if found <= _MOST_LISTED:
        return ""
    where = f"; {file} holds all of them" if file else ""
    return f"The first {_MOST_LISTED} of {found}{where}."
