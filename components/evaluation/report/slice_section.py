"""The part of an evaluation's page about slices: the worst first."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.html import Markup
from kfp_tabular.components.evaluation.report import metric_names

_PLACES = 3
_METRICS = {
    "binary": ("auc", "pr_auc", "log_loss", "accuracy", "precision", "recall", "f1"),
    "multiclass": ("accuracy", "auc", "log_loss", "precision", "recall", "f1"),
    "regression": ("rmse", "mae", "r2", "bias"),
}


def slices(document: Mapping[str, Any]) -> Iterable[Markup]:
    """Yield a table for each slicing, with the difference of each slice to all rows."""
    names = [
        name
        for name in _METRICS[document["task"]]
        if any(name in part["metrics"] for part in document["slices"])
    ]
    for slicing, left_out in document["slices_left_out"].items():
        parts = [part for part in document["slices"] if part["slicing"] == slicing]
        if not parts:
            continue
        more = f", the {len(parts)} largest; {left_out} more not measured" if left_out else ""
        yield _table(document, names, parts, f"{slicing}{more}")
    if names:
        yield html.note(
            f"Worst {metric_names.label(names[0])} first. A difference has an arrow if the value "
            "of all rows is outside the 95% interval of the slice."
        )


def _table(
    document: Mapping[str, Any],
    names: Sequence[str],
    parts: Sequence[Mapping[str, Any]],
    caption: str,
) -> Markup:
    if not names:
        rows = [[part["name"], part["rows"]] for part in parts]
        return html.table(["Slice", "Rows"], rows, caption=caption)
    first, others = names[0], names[1:]
    headers = ["Slice", "Rows", metric_names.label(first), "to all rows", "95% interval"]
    headers += map(metric_names.label, others)
    if document["baseline"]:
        headers.append(f"change of {metric_names.label(first)}")
    places = {name: _places(document, name) for name in names}
    overall = document["metrics"].get(first, {}).get("value")
    rows = []
    for part in sorted(parts, key=lambda part: _badness(part, first)):
        values = {name: part["metrics"].get(name, {}).get("value") for name in names}
        ends = part["metrics"].get(first, {}).get("interval")
        row: list[object] = [
            part["name"].removeprefix(f"{part['slicing']}="),
            part["rows"],
            _written(values[first], places[first]),
            _difference(first, values[first], overall, ends, places[first]),
            None if ends is None else html.interval(ends[0], ends[1], places[first]),
            *(_written(values[name], places[name]) for name in others),
        ]
        if document["baseline"]:
            row.append(_change(first, part, places[first]))
        rows.append(row)
    return html.table(headers, rows, caption=caption)


def _badness(part: Mapping[str, Any], metric: str) -> tuple[bool, float, float]:
    value = part["metrics"].get(metric, {}).get("value")
    if value is None:  # undefined slices last
        return True, 0.0, -part["rows"]
    return False, -metric_names.badness(metric, value), -part["rows"]


def _change(metric: str, part: Mapping[str, Any], places: int) -> Markup | None:
    change = part["changes"].get(metric)
    now = part["metrics"].get(metric, {}).get("value")
    if change is None or now is None:
        return None
    value, ends = change["value"], change["interval"]
    chance = ends is None or ends[0] <= 0 <= ends[1]
    better = None if chance else metric_names.is_better(metric, now, now - value)
    return html.change(value, better, places)


def _difference(
    metric: str,
    value: float | None,
    overall: float | None,
    ends: Sequence[float] | None,
    places: int,
) -> Markup | None:
    if value is None or overall is None:
        return None
    return html.change(value - overall, metric_names.verdict(metric, value, overall, ends), places)


def _places(document: Mapping[str, Any], metric: str) -> int:
    """Return the decimals of a column: those of the metric on all rows."""
    ends = document["metrics"].get(metric, {}).get("interval")
    return _PLACES if ends is None else html.decimals(ends[0], ends[1])


def _written(value: float | None, places: int) -> Markup | None:
    return None if value is None else html.fixed(value, places)
