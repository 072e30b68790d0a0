"""Sections of the evaluation's page that explain the model: importance, dependence, thresholds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.html import Markup, Section

_DRAWN_INPUTS = 20
_SCORE_NAMES = {"log_loss": "log loss", "rmse": "RMSE"}
_PERCENT = 100
_THOUSAND = 1000
_TAIL = 0.1
_NAMED_PAIRS = 8
_MARKS = {
    "decision_threshold": "the model's",
    "best_f1": "best F1",
    "least_cost": "least cost",
}


def learned(document: Mapping[str, Any]) -> Iterator[Section]:
    """Yield the sections on importance and dependence, where the document has them."""
    if document.get("importance"):
        yield Section("What the model relies on", tuple(_importance(document)))
    if document.get("dependence"):
        yield Section("How answers depend on it", tuple(_dependence(document)))


def thresholds(document: Mapping[str, Any]) -> Iterator[Section]:
    """Yield the sections on thresholds, gain and lift of a binary model."""
    if document.get("thresholds"):
        yield Section("Thresholds", tuple(_thresholds(document)))
    if document.get("gain"):
        yield Section("Gain and lift", tuple(_gain(document)))


def _importance(document: Mapping[str, Any]) -> Iterable[Markup]:
    explained, entries = document["explained"], document["importance"]
    score = _SCORE_NAMES[explained["score"]]
    drawn = entries[:_DRAWN_INPUTS]
    chart = html.interval_bars(
        [entry["name"] for entry in drawn],
        [entry["mean"] for entry in drawn],
        [entry["interval"] for entry in drawn],
        x_label=f"increase of the {score} when shuffled",
        title="Permutation importance, with 95% intervals",
    )
    more = entries[_DRAWN_INPUTS:]
    yield chart
    yield from _related(drawn)
    every = f"all {len(entries)} inputs" if more else "all inputs"
    yield html.details(f"Values of {every}", _importance_table(entries, score))
    yield html.note(
        f"How much the {score} ({html.format_number(explained['score_value'])} on these rows) "
        "rises if a column's values are shuffled among the rows: "
        f"{_measured(explained, entries)}. If an interval contains 0, the model does as well "
        "without the column."
    )


def _related(entries: Sequence[Mapping[str, Any]]) -> Iterator[Markup]:
    """Yield which of the inputs are related, each pair once."""
    pairs: dict[frozenset[str], str] = {}
    for entry in entries:
        for other in entry["related"]:
            written = f"{entry['name']} and {other['name']} ({other['strength']:.2f})"
            pairs.setdefault(frozenset((entry["name"], other["name"])), written)
    if pairs:
        named = list(pairs.values())[:_NAMED_PAIRS]
        more = f" and {len(pairs) - len(named)} more pairs" if len(pairs) > len(named) else ""
        yield html.paragraph(
            "Related columns share their importance; each alone looks less important than they "
            f"are together: {', '.join(named)}{more}."
        )


def _measured(explained: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> str:
    first = entries[0]
    rows = html.format_number(first["rows"])
    measured = f"{rows} random rows, {first['repetitions']} shuffles (explanation_rows, "
    measured += "explanation_repetitions)"
    if explained["screened_rows"]:
        screened = html.format_number(explained["screened_rows"])
        measured += f"; the less important ones on {screened} rows only"
    return measured


def _importance_table(entries: Sequence[Mapping[str, Any]], score: str) -> Markup:
    rows = []
    for entry in entries:
        related = ", ".join(
            f"{other['name']} ({other['strength']:.2f})" for other in entry["related"][:3]
        )
        rows.append((entry["name"], entry["mean"], _interval(entry["interval"]), related or None))
    return html.table(("Input", f"Increase of {score}", "95% interval", "Related to"), rows)


def _dependence(document: Mapping[str, Any]) -> Iterable[Markup]:
    entries = document["dependence"]
    answers = document["explained"]["answers"]
    label = f"P({answers[0]})" if document["task"] != "regression" else answers[0]
    if len(answers) > 1:
        label = "probability"
        yield html.legend(answers)
    low, high = _ends(entries)
    yield html.row(*_charts(entries, label, (low, high)))
    centered = [_centered(entry) for entry in entries]
    yield html.details(
        "Centered: the difference to the first value (of categories: to the most frequent one)",
        html.row(*_charts(centered, f"change of {label}", _ends(centered))),
    )
    single = (
        f"; thin lines are single rows, for {answers[0]}"
        if len(answers) > 1
        else ("; thin lines are single rows")
    )
    beyond = any(not low <= value <= high for value in _answers(entries))
    cut = (
        " The axis holds all means and the middle 80% of single rows; lines are cut beyond it."
        if beyond
        else ""
    )
    yield html.note(
        "The mean answer if all of "
        f"{html.format_number(entries[0]['rows'])} random rows had the same value of a column "
        f"(partial dependence){single}, or the range of 80% of them for a category. Where they "
        "cross, the effect depends on other columns. Gray bars: how many rows have these values; "
        "the outer 1% on either side are not shown. Where columns are related, some combinations "
        f"never occur, and the answer for them is a guess.{cut}"
    )
    passed = document["explained"]["dependence_left_out"]
    if passed:
        yield html.note(
            f"Not shown, since values hardly repeat or are all equal: {', '.join(passed)}."
        )


def _charts(
    entries: Sequence[Mapping[str, Any]], label: str, between: tuple[float, float]
) -> Iterator[Markup]:
    for entry in entries:
        missing = entry["missing"]
        if entry["kind"] == "category":
            yield _dots(entry, label, between)
            continue
        lines = html.DependenceLines(
            entry["grid"],
            entry["means"],
            entry["lines"],
            entry["histogram"]["edges"],
            entry["histogram"]["counts"],
            None if missing is None else missing["means"],
            entry["kind"] == "time",
        )
        yield html.dependence_lines(lines, title=entry["name"], y_label=label, y_range=between)


def _ends(entries: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the ends of the axis of answers: all means, and the range of most single rows.

    A few rows would else decide the axis, and where a class is rare no mean could be told apart.
    """
    values = []
    for entry in entries:
        values += [value for means in entry["means"].values() for value in means]
        values += (entry["missing"] or {"means": {}})["means"].values()
        for answers in zip(*entry["lines"], strict=True):
            values += _most(answers)
    return min(values), max(values)


def _answers(entries: Sequence[Mapping[str, Any]]) -> Iterator[float]:
    return (value for entry in entries for line in entry["lines"] for value in line)


def _dots(entry: Mapping[str, Any], label: str, between: tuple[float, float]) -> Markup:
    missing = entry["missing"]
    labels, shares = list(entry["grid"]), list(entry["shares"])
    means = {name: list(values) for name, values in entry["means"].items()}
    ranges: list[tuple[float, float] | None] = [
        _most(values) for values in zip(*entry["lines"], strict=True)
    ]
    if missing is not None:
        labels.append("(missing)")
        shares.append(missing["share"])
        ranges.append(None)
        for name, values in means.items():
            values.append(missing["means"][name])
    return html.dependence_dots(
        labels,
        means,
        ranges=ranges,
        shares=shares,
        title=entry["name"],
        x_label=label,
        x_range=between,
    )


def _most(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    cut = int(len(ordered) * _TAIL)
    return ordered[cut], ordered[len(ordered) - 1 - cut]


def _centered(entry: Mapping[str, Any]) -> dict[str, Any]:
    means = {name: [v - values[0] for v in values] for name, values in entry["means"].items()}
    missing = entry["missing"]
    if missing is not None:
        moved = {name: v - entry["means"][name][0] for name, v in missing["means"].items()}
        missing = {**missing, "means": moved}
    lines = [[value - line[0] for value in line] for line in entry["lines"]]
    return {**entry, "means": means, "missing": missing, "lines": lines}


def _thresholds(document: Mapping[str, Any]) -> Iterable[Markup]:
    costs, rows = document["costs"], document["thresholds"]
    yield _threshold_table([row for row in rows if row["marks"]])
    yield html.details(f"All {len(rows)} thresholds", _threshold_table(rows))
    yield html.note(
        f"On all rows. A row is predicted as {document['classes'][1]} if its probability is at "
        f"least the threshold; 'Positive' is their share of all rows. A false positive costs "
        f"{costs['false_positive']:g}, a false negative {costs['false_negative']:g} (options "
        "false_positive_cost, false_negative_cost). The model's own threshold is the option "
        "decision_threshold of training."
    )


def _threshold_table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    return html.table(
        ("Threshold", "", "Precision", "Recall", "F1", "Positive, %", "Cost of 1,000 rows"),
        [
            (
                row["threshold"],
                _marks(row["marks"]),
                row["precision"],
                row["recall"],
                row["f1"],
                _PERCENT * row["predicted_positive"],
                _THOUSAND * row["cost"],
            )
            for row in rows
        ],
    )


def _marks(marks: Sequence[str]) -> Markup:
    return Markup(
        " ".join(
            html.badge(_MARKS[mark], "neutral" if mark == "decision_threshold" else "good")
            for mark in marks
        )
    )


def _gain(document: Mapping[str, Any]) -> Iterable[Markup]:
    gain, positive = document["gain"], document["classes"][1]
    chart = html.line_chart(
        {"model": list(zip(gain["shares"], gain["captured"], strict=True))},
        x_label="share of the rows, highest probability first",
        y_label=f"share of {positive} found",
        title="Cumulative gain",
        diagonal=True,
        equal=True,
        x_range=(0, 1),
        y_range=(0, 1),
    )
    table = html.table(
        ("Decile", f"Share of {positive}", "Lift", "Found so far", "Lift so far"),
        [
            (
                row["decile"],
                f"{_PERCENT * row['share']:.3g}%",
                f"{row['lift']:.2f}",
                f"{_PERCENT * row['captured']:.3g}%",
                f"{row['cumulative_lift']:.2f}",
            )
            for row in gain["deciles"]
        ],
        caption="Tenths of the rows, highest probability first",
    )
    yield html.row(chart, table)
    yield html.note(
        "Dashed: rows in random order. A lift of 2 means twice as many as among all rows."
    )


def _interval(ends: Sequence[float] | None) -> str | None:
    return None if ends is None else " to ".join(html.format_number(end) for end in ends)
