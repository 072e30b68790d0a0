"""The part of a validation's page about columns: an entry for each."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from kfp_tabular.components.common import html
from kfp_tabular.components.common.html.charts import time_axis
from kfp_tabular.components.common.statistics.column_summary import ColumnSummary
from kfp_tabular.components.data_validation import schema_features as schemas
from kfp_tabular.components.data_validation.column_charts import chart, shortened
from kfp_tabular.components.data_validation.report_content import Floats, ReportContent

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_MOST_DRAWN = 2500  # columns with a chart: about 3 kB each, so the page stays below 10 MB
_MANY = 100  # with more columns, charts are smaller and have no tooltips
_LONG = 3 * 86_400.0  # seconds; over a longer span, the time of day does not matter
_DAY_LENGTH = len("2024-01-31")
_IDENTIFIED = {"row": "rows", "entity": "entities, such as customers"}


def section(content: ReportContent) -> html.Section:
    """Return the section, the label first, then columns with anomalies."""
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
        if name in content.identifiers:
            body = html.paragraph(_identifier(content, name))
        else:
            table = _split_table(content, name)
            drawn = chart(content, name, many=many) if position < _MOST_DRAWN else None
            body = table if drawn is None else html.row(table, drawn)
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
        parts.append(severity(troubled[name]))
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


def _identifier(content: ReportContent, name: str) -> str:
    """Return the one line about a column of identifiers: its values say nothing by themselves."""
    found = [columns[name] for columns in content.summaries.values() if name in columns]
    largest = max(found, key=lambda summary: summary.rows)
    parts = [f"Identifier of {_IDENTIFIED[content.identifiers[name]]}"]
    if largest.distinct:
        parts.append(f"{largest.distinct:,} distinct values in {largest.present:,} rows")
    missing = sum(summary.missing for summary in found)
    if missing:
        parts.append(f"{missing:,} rows without a value")
    if largest.ranked:
        parts.append(f"for example {shortened(largest.ranked[0][0], 40)}")
    elif largest.numeric and not math.isnan(largest.low):
        parts.append(f"from {largest.low:.0f} to {largest.high:.0f}")
    return f"{parts[0]}: {', '.join(parts[1:])}." if parts[1:] else f"{parts[0]}."


def _split_table(content: ReportContent, name: str) -> html.Markup:
    found = {s: columns[name] for s, columns in content.summaries.items() if name in columns}
    times = {split: columns[name] for split, columns in content.times.items() if name in columns}
    if any(len(values) for values in times.values()):
        headers = ["split", "values", "missing", "first", "middle", "last"]
        every = np.concatenate(list(times.values()))
        days = bool(every.max() - every.min() > _LONG)
        return html.table(
            headers,
            [
                (split, f.present, _share(f), *_moments(times.get(split, np.empty(0)), days=days))
                for split, f in found.items()
            ],
        )
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
            (
                s,
                f.present,
                _share(f),
                f.distinct,
                shortened(f.ranked[0][0], 40) if f.ranked else None,
            )
            for s, f in found.items()
        ],
    )


def _moments(seconds: Floats, *, days: bool) -> tuple[html.Markup | None, ...]:
    if not len(seconds):
        return None, None, None
    moments = (seconds.min(), np.median(seconds), seconds.max())
    shown = [time_axis.written(float(moment)) for moment in moments]
    most = _DAY_LENGTH if days else None
    return tuple(html.Figure(html.escape(text[:most])) for text in shown)


def severity(name: str) -> html.Markup:
    """Return the badge of an anomaly's severity."""
    return html.badge(name, "error" if name == "error" else "warning")


def _share(summary: ColumnSummary) -> html.Figure:
    if not summary.rows:
        return html.Figure("-")
    share = summary.missing / summary.rows
    return html.Figure(f"{share:.2%}" if summary.missing else "0")


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
