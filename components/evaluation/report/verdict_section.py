"""The first parts of an evaluation's page: the verdict, and the metrics beside what they beat."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts.blessing_reason import without_verdict
from kfp_tabular.components.common.html import Markup
from kfp_tabular.components.evaluation.conditions import written_p
from kfp_tabular.components.evaluation.report import metric_names


def verdict(document: Mapping[str, Any]) -> Iterable[Markup]:
    """Yield the verdict with its reason, the conditions behind it, and notes."""
    blessed = document["blessed"]
    badge = html.badge("blessed" if blessed else "not blessed", tone="good" if blessed else "error")
    yield html.lead(badge, without_verdict(document["why"]))
    checks = document["checks"]
    failed = [check for check in checks if not check["passed"]]
    if failed:
        yield _conditions([*failed, *(check for check in checks if check["passed"])])
    elif checks:
        held = "The condition that holds" if len(checks) == 1 else f"All {len(checks)} conditions"
        yield html.details(held, _conditions(checks))
    for note in document["notes"]:
        yield html.paragraph(note)


def _conditions(checks: Iterable[Mapping[str, Any]]) -> Markup:
    rows = []
    checks = list(checks)
    tested = any(check.get("p_value") is not None for check in checks)
    for check in checks:
        places = _places(check["interval"])
        value = check["value"]
        rows.append(
            (
                html.badge("holds", tone="good")
                if check["passed"]
                else html.badge("fails", tone="error"),
                f"{_checked(check)} {check['condition']}",
                check["slice"] or "all rows",
                value if value is None or places is None else html.fixed(value, places),
                interval(check["interval"]),
                *((_p_value(check),) if tested else ()),
            )
        )
    headers = ["", "Condition", "Slice", "Value", "95% interval", *(["p"] if tested else [])]
    return html.table(headers, rows)


def _p_value(check: Mapping[str, Any]) -> str | None:
    value = check.get("p_value")
    return None if value is None else written_p(value)


def _checked(check: Mapping[str, Any]) -> str:
    change = check["kind"] in ("change", "baseline", "test")
    if check["kind"] == "fairness":
        return f"gap of {check['metric']}"
    return f"change of {check['metric']}" if change else str(check["metric"])


def metrics(document: Mapping[str, Any]) -> Iterable[Markup]:
    """Yield the metrics, each beside that of the constant answer and of the baseline."""
    constant = document.get("constant_answer", {})
    baseline = document["baseline"]
    headers = ["Metric", "Value", "95% interval"]
    if constant:
        headers += ["Constant answer", "Difference"]
    if baseline:
        headers += ["Baseline", "Change", "95% interval of the change"]
    rows = []
    for name, entry in document["metrics"].items():
        places = _places(entry["interval"])
        row: list[object] = [
            _named(name),
            _written(entry["value"], places),
            interval(entry["interval"]),
        ]
        if constant:
            row += _compared(name, entry, constant.get(name), places)
        if baseline:
            row += _changed(name, baseline, places)
        rows.append(row)
    yield html.table(headers, rows)
    if constant:
        answer = "the mean" if document["task"] == "regression" else "the shares of the classes"
        yield html.note(
            f"The constant answer is {answer}, for every row. A difference without an arrow may be "
            "chance: it is within the 95% interval, or has none."
        )


def _named(name: str) -> Markup:
    label = metric_names.label(name)
    if label == name:
        return html.escape(label)
    return Markup(f"{html.escape(label)} <code>{html.escape(name)}</code>")


def _compared(
    name: str, entry: Mapping[str, Any], constant: float | None, places: int | None
) -> list[object]:
    if constant is None:
        return [None, None]
    value, ends = entry["value"], entry["interval"]
    better = metric_names.verdict(name, value, constant, ends)
    return [_written(constant, places), html.change(value - constant, better, places)]


def _changed(name: str, baseline: Mapping[str, Any], places: int | None) -> list[object]:
    before = baseline["metrics"].get(name, {}).get("value")
    change = baseline["changes"].get(name)
    if before is None or change is None:
        return [before, None, None]
    value, ends = change["value"], change["interval"]
    better = (
        None
        if ends is None or ends[0] <= 0 <= ends[1]
        else metric_names.is_better(name, before + value, before)
    )
    places = _places(ends) if places is None else places
    return [_written(before, places), html.change(value, better, places), interval(ends)]


def _written(value: float, places: int | None) -> object:
    return value if places is None else html.fixed(value, places)


def _places(ends: Sequence[float] | None) -> int | None:
    return None if ends is None else html.decimals(ends[0], ends[1])


def interval(ends: Sequence[float] | None) -> Markup | None:
    """Return an interval for a table cell; None without one."""
    return None if ends is None else html.interval(ends[0], ends[1])
