"""The HTML page of a validation: anomalies first, then every column."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts import findings_page
from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.statistics.column_summary import ColumnSummary, SplitSummaries
from kfp_tabular.components.common.statistics.distances import Distance
from kfp_tabular.components.data_validation import schema_features as schemas
from kfp_tabular.components.data_validation.anomalies import Anomaly
from kfp_tabular.components.data_validation.schema_changes import SchemaChange

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_MOST_LISTED = 500  # rows of a table; the artifacts hold all of them
_MOST_DRAWN = 2500  # columns with a chart: about 3 kB each, so the page stays below 10 MB
_MANY = 100  # with more columns, charts are smaller and have no tooltips
_TOP_DISTANCES = 15
_TEXTS = 8  # bars in a chart of texts
_BARS = 12  # whole numbers that get a bar each
_CHART = (400.0, 170.0)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReportContent:
    """The content of the page.

    Attributes:
        label: The label's column; may be empty.
        rows: Rows by split.
        columns: The columns' names, in the order of the data.
        schema: The schema that the data were compared with.
        schema_uri: The URI of a given schema; empty for an inferred one.
        summaries: Statistics by split and column.
        samples: Values for the charts, by split and column of numbers.
        changes: Differences between a given schema and the data.
        distances: Skew and drift.
        anomalies: The anomalies found, most severe first.
        is_valid: Whether the data are valid.
        findings: What a person should know, from anomalies and beyond them.
    """

    label: str
    rows: Mapping[str, int]
    columns: Sequence[str]
    schema: "schema_pb2.Schema"
    schema_uri: str
    summaries: SplitSummaries
    samples: Mapping[str, Mapping[str, Floats]]
    changes: Sequence[SchemaChange]
    distances: Sequence[Distance]
    anomalies: Sequence[Anomaly]
    is_valid: bool
    findings: Sequence[Finding] = ()


def page(content: ReportContent) -> str:
    """Return the page as a self-contained HTML document."""
    sections = [
        *findings_page.sections(content.findings),
        _summary(content),
        _anomalies(content),
    ]
    if content.schema_uri:
        sections.append(_changes(content))
    if content.distances:
        sections.append(_distances(content))
    sections.append(_columns(content))
    source = content.schema_uri or "inferred from these data"
    return html.page("Data validation", sections, subtitle=f"Schema: {source}")


def _summary(content: ReportContent) -> html.Section:
    severities = [anomaly.severity for anomaly in content.anomalies]
    verdict = html.badge("valid", "good") if content.is_valid else html.badge("not valid", "error")
    figures: dict[str, object] = {
        "verdict": verdict,
        "errors": severities.count("error"),
        "warnings": severities.count("warning"),
        "columns": len(content.columns),
    }
    figures |= {f"rows in {split}": rows for split, rows in content.rows.items()}
    if content.label:
        figures["label"] = content.label
    return html.Section("Summary", (html.facts(figures),))


def _anomalies(content: ReportContent) -> html.Section:
    if not content.anomalies:
        return html.Section("Anomalies", (html.paragraph("None found."),))
    rows = (
        (
            _severity(anomaly.severity),
            anomaly.column or "(all)",
            anomaly.split or "all",
            anomaly.kind,
            anomaly.expected,
            anomaly.found,
            anomaly.rows,
            None if not anomaly.rows else f"{anomaly.rows / anomaly.total:.2%}",
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
            distance.kind,
            distance.measure_name,
            distance.value,
            distance.threshold,
            _verdict(distance),
        )
        for distance in distances
    )
    headers = ["column", "split", "kind", "measure", "distance", "threshold", ""]
    if all(distance.threshold is None for distance in distances):
        headers = headers[:5]
    return html.table(headers, (row[: len(headers)] for row in rows))


def _verdict(distance: Distance) -> html.Markup | None:
    if distance.threshold is None:
        return None
    return html.badge("too far", "error") if distance.is_too_far else html.badge("within", "good")


def _columns(content: ReportContent) -> html.Section:
    troubled = {a.column: a.severity for a in reversed(content.anomalies) if a.column}
    features = {feature.name: feature for feature in content.schema.feature}
    order = sorted(
        content.columns,
        key=lambda name: (name != content.label, troubled.get(name, "~")),
    )
    many = len(order) > _MANY
    entries = []
    for position, name in enumerate(order):
        title = html.Markup(
            html.escape(name) + _badges(content, features.get(name), troubled, name)
        )
        table = _split_table(content, name)
        chart = _chart(content, name, many) if position < _MOST_DRAWN else None
        body = table if chart is None else html.row(table, chart)
        entries.append(html.entry(title, body))
    note = html.note(
        "Columns with anomalies come first. Charts show shares of the rows with a value."
    )
    legend = html.legend(list(content.rows))
    return html.Section(f"Columns ({len(order)})", (note, legend, *entries))


def _badges(
    content: ReportContent,
    feature: "schema_pb2.Feature | None",
    troubled: Mapping[str, str],
    name: str,
) -> html.Markup:
    parts = []
    if name == content.label:
        parts.append(html.badge("label", "good"))
    if name in troubled:
        parts.append(_severity(troubled[name]))
    if feature is not None:
        parts.append(html.badge(schemas.type_name(feature)))
        parts.append(html.badge("required" if schemas.is_required(feature) else "optional"))
        domain = schemas.describe_domain(content.schema, feature)
        texts = schemas.texts(content.schema, feature)
        if domain:
            parts.append(html.badge(domain if texts is None else f"{len(texts)} values"))
    else:
        parts.append(html.badge("not in the schema"))
    return html.Markup("".join(parts))


def _split_table(content: ReportContent, name: str) -> html.Markup:
    found = {s: columns[name] for s, columns in content.summaries.items() if name in columns}
    if any(summary.numeric for summary in found.values()):
        headers = ["split", "values", "missing", "min", "mean", "median", "max"]
        rows = [
            (s, f.present, _share(f), *(_or_none(v) for v in (f.low, f.mean, f.median, f.high)))
            for s, f in found.items()
        ]
        return html.table(headers, rows)
    headers = ["split", "values", "missing", "distinct", "most frequent"]
    return html.table(
        headers,
        [
            (s, f.present, _share(f), f.distinct, _text(f.ranked[0][0], 40) if f.ranked else None)
            for s, f in found.items()
        ],
    )


def _chart(content: ReportContent, name: str, many: bool) -> html.Markup | None:
    found = {s: columns[name] for s, columns in content.summaries.items() if name in columns}
    with_values = {s: f for s, f in found.items() if f.present}
    if not with_values:
        return None
    if all(f.ranked for f in with_values.values()):
        numeric = all(f.numeric for f in with_values.values())
        return _codes_chart(with_values, many) if numeric else _texts_chart(with_values, many)
    drawn = {s: content.samples[s].get(name, np.array([])) for s in with_values}
    drawn = {split: values for split, values in drawn.items() if len(values)}
    return _numbers_chart(drawn, many) if drawn else None


def _texts_chart(found: Mapping[str, ColumnSummary], many: bool) -> html.Markup:
    totals: dict[str, float] = {}
    for summary in found.values():
        for text, rows in summary.ranked[: 3 * _TEXTS]:
            totals[text] = totals.get(text, 0.0) + rows / summary.present
    most = _TEXTS // 2 if many else _TEXTS
    top = sorted(totals, key=lambda text: (-totals[text], text))[:most]
    counts = {split: dict(summary.ranked) for split, summary in found.items()}
    series = {
        split: [counts[split].get(text, 0) / summary.present for text in top]
        for split, summary in found.items()
    }
    rest = {split: 1 - sum(shares) for split, shares in series.items()}
    labels = [_text(text, 34) for text in top]
    if any(share > 1e-9 for share in rest.values()):
        labels.append("(other)")
        series = {split: [*shares, max(rest[split], 0.0)] for split, shares in series.items()}
    return html.bar_chart(
        labels, series, upright=False, legend=False, tooltips=not many, size=_CHART
    )


def _codes_chart(found: Mapping[str, ColumnSummary], many: bool) -> html.Markup:
    counts = {
        split: {int(value): rows / summary.present for value, rows in summary.ranked}
        for split, summary in found.items()
    }
    values = sorted(set().union(*counts.values()))
    if len(values) <= _BARS or values[-1] - values[0] >= 3 * _MANY:
        labels = [str(value) for value in values[:_BARS]]
        series = {s: [c.get(v, 0.0) for v in values[:_BARS]] for s, c in counts.items()}
        return html.bar_chart(labels, series, legend=False, tooltips=not many, size=_CHART)
    every = range(values[0], values[-1] + 1)
    edges = [value - 0.5 for value in (*every, every[-1] + 1)]
    shares = {split: [c.get(value, 0.0) for value in every] for split, c in counts.items()}
    return html.histogram(edges, shares, size=_CHART, legend=False, tooltips=not many)


def _numbers_chart(samples: Mapping[str, Floats], many: bool) -> html.Markup:
    edges = bin_edges(list(samples.values()), 16 if many else 32)
    shares = {}
    for split, values in samples.items():
        counted, _ = np.histogram(values, edges)
        shares[split] = (counted / len(values)).tolist()
    beyond = max(1 - sum(heights) for heights in shares.values())
    note = f"without the outermost {beyond:.1%} of the rows" if beyond > 1e-9 else ""
    chart = html.histogram(edges.tolist(), shares, size=_CHART, legend=False, tooltips=not many)
    return html.Markup(chart + html.note(note)) if note else chart


def bin_edges(samples: Sequence[Floats], bins: int) -> Floats:
    """Return edges of bins of equal width over the range that holds most values.

    A few distant outliers would put everything else into one bin, so the range ends at most 1.5
    times the spread of the middle 90 % beyond these.

    Args:
        samples: Arrays of finite values; at least one, none of them empty.
        bins: The number of bins.

    Returns:
        Ascending edges, one more than there are bins. Fewer where floating point cannot tell so
        many edges apart.

    Example:
        >>> bin_edges([np.array([0.0, 1.0, 2.0, 4.0])], 4).tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    together = np.concatenate(samples)
    low, high = float(together.min()), float(together.max())
    p5, p95 = np.quantile(together, [0.05, 0.95])
    spread = max(p95 - p5, 0.0)
    if spread > 0:
        low, high = max(low, float(p5 - 1.5 * spread)), min(high, float(p95 + 1.5 * spread))
    if not high > low:
        margin = max(abs(low) * 1e-3, 0.5)
        low, high = low - margin, high + margin
    edges = np.linspace(low, high, bins + 1)
    return edges if np.all(np.diff(edges) > 0) else np.array([low, np.nextafter(high, np.inf)])


def _severity(severity: str) -> html.Markup:
    return html.badge(severity, "error" if severity == "error" else "warning")


def _share(summary: ColumnSummary) -> str:
    if not summary.rows:
        return "-"
    share = summary.missing / summary.rows
    return f"{share:.2%}" if summary.missing else "0"


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _text(value: str, most: int) -> str:
    return value if len(value) <= most else value[: most - 1] + "…"


def _shown(found: int, file: str) -> str:
    if found <= _MOST_LISTED:
        return ""
    where = f"; {file} holds all of them" if file else ""
    return f"The first {_MOST_LISTED} of {found}{where}."
