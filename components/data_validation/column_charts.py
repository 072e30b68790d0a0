"""The charts of columns on the page of a validation."""

from collections.abc import Mapping, Sequence

import numpy as np

from kfp_tabular.components.common import html
from kfp_tabular.components.common.statistics.column_summary import ColumnSummary
from kfp_tabular.components.data_validation.report_content import Floats, ReportContent

_TEXTS = 8  # bars in a chart of texts
_BARS = 12  # whole numbers that get a bar each
_WIDEST_CODES = 300
_CHART = (400.0, 170.0)


def chart(content: ReportContent, name: str, *, many: bool) -> html.Markup | None:
    """Return the chart of a column: of times, texts, codes or numbers; None without values.

    Args:
        content: The content of the page.
        name: The column.
        many: Whether the page has so many columns that charts must be small.
    """
    times = {split: columns[name] for split, columns in content.times.items() if name in columns}
    if any(len(values) for values in times.values()):
        return _numbers_chart({s: v for s, v in times.items() if len(v)}, many, times=True)
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
    labels = [shortened(text, 34) for text in top]
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
    if len(values) <= _BARS or values[-1] - values[0] >= _WIDEST_CODES:
        return _bars_of_codes(counts, values, many)
    every = range(values[0], values[-1] + 1)
    edges = [value - 0.5 for value in (*every, every[-1] + 1)]
    shares = {split: [c.get(value, 0.0) for value in every] for split, c in counts.items()}
    return html.histogram(edges, shares, size=_CHART, legend=False, tooltips=not many)


def _bars_of_codes(
    counts: Mapping[str, Mapping[int, float]], values: Sequence[int], many: bool
) -> html.Markup:
    """Return a bar for each of the most frequent codes, in their order."""
    total = {value: sum(c.get(value, 0.0) for c in counts.values()) for value in values}
    shown = sorted(sorted(values, key=lambda value: (-total[value], value))[:_BARS])
    series = {split: [c.get(value, 0.0) for value in shown] for split, c in counts.items()}
    labels = [str(value) for value in shown]
    chart = html.bar_chart(labels, series, legend=False, tooltips=not many, size=_CHART)
    if len(shown) == len(values):
        return chart
    return html.Markup(chart + html.note(f"the {len(shown)} most frequent of {len(values)} values"))


def _numbers_chart(
    samples: Mapping[str, Floats], many: bool, *, times: bool = False
) -> html.Markup:
    edges = bin_edges(list(samples.values()), 16 if many else 32)
    shares = {}
    for split, values in samples.items():
        counted, _ = np.histogram(values, edges)
        shares[split] = (counted / len(values)).tolist()
    beyond = max(1 - sum(heights) for heights in shares.values())
    note = f"without the outermost {beyond:.1%} of the rows" if beyond > 1e-9 else ""
    chart = html.histogram(
        edges.tolist(), shares, size=_CHART, legend=False, tooltips=not many, times=times
    )
    return html.Markup(chart + html.note(note)) if note else chart


def bin_edges(samples: Sequence[Floats], bins: int) -> Floats:
    """Return edges of bins of equal width over the range that holds most values.

    A few distant outliers would put everything else into one bin, so the range ends at most 1.5
    times the spread of the middle 90% beyond these.

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


def shortened(value: str, most: int) -> str:
    """Return a text cut to `most` characters, with an ellipsis."""
    return value if len(value) <= most else value[: most - 1] + "…"
