"""A model card: what a model is, what it was measured on, and where its limits are.

The parts follow Mitchell et al., "Model Cards for Model Reporting" (2019). Everything is taken from
`evaluation.json`, `model.json` and the lineage; only the intended use is text of the user's own.
"""

import datetime
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts import hyperparameters
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.html import Markup, Section
from kfp_tabular.components.common.values.time_text import PER_SECOND
from kfp_tabular.components.evaluation.report import metric_names

HTML_FILE, MARKDOWN_FILE = "model_card.html", "model_card.md"

_MOST_ROWS = 30
_DRAWN_INPUTS = 12
_BAR_CELLS = 12
_ASIDE = ("calibration", "blend", "threshold_choice")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_DAY = 86_400
_FAR = 6e10  # seconds; about the years 70 and 3870
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")
_METHODS = {
    "integrated_gradients": "integrated gradients",
    "shapley_values": "Shapley values",
}

_BASELINES = {
    "training": "The typical row is below. The model holds it: it is the default baseline of the "
    "endpoint and of batch predictions; a baseline of your own replaces single features.",
    "evaluation": "The typical row is below, as a baseline for the endpoint and for batch "
    "predictions; the model holds none.",
}


@dataclass(frozen=True)
class CardSection:
    """A section of the card.

    Attributes:
        title: Its title.
        texts: Its paragraphs.
        headers: The headers of its table.
        rows: The rows of its table; empty for none.
        chart: The page's chart of the rows; the table is folded below it.
        bars: A bar of text for each row, which Markdown has instead of the chart.
        code: The typical row as JSON, to copy.
    """

    title: str
    texts: Sequence[str] = ()
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    chart: Markup | None = None
    bars: Sequence[str] = ()
    code: str = ""


@dataclass(frozen=True)
class ModelCard:
    """A model card.

    Attributes:
        title: Its title, with the model's name.
        subtitle: What the model predicts.
        sections: Its sections.
    """

    title: str
    subtitle: str
    sections: Sequence[CardSection]

    def page(self) -> str:
        """Return the card as HTML."""
        parts = [Section(part.title, tuple(_blocks(part))) for part in self.sections]
        return html.page(self.title, parts, subtitle=self.subtitle)

    def markdown(self) -> str:
        r"""Return the card as Markdown.

        Example:
            >>> part = CardSection("Use", ["For *us*."], ("a", "b"), [("1", "x|y")])
            >>> print(ModelCard("Card", "binary model", [part]).markdown())
            # Card
            <BLANKLINE>
            binary model
            <BLANKLINE>
            ## Use
            <BLANKLINE>
            For \*us\*.
            <BLANKLINE>
            | a | b |
            | --- | --- |
            | 1 | x\|y |
            <BLANKLINE>
        """
        lines = [f"# {_plain(self.title)}", "", _plain(self.subtitle), ""]
        for part in self.sections:
            lines += [f"## {_plain(part.title)}", ""]
            for text in part.texts:
                lines += [_plain(text), ""]
            if part.rows:
                bars = [[bar] for bar in part.bars] or [[] for _ in part.rows]
                headers = [*part.headers, *([""] if part.bars else [])]
                lines.append(_line(headers))
                lines.append(_line(["---"] * len(headers), escape=False))
                rows = zip(part.rows, bars, strict=True)
                lines += [_line([*row, *bar]) for row, bar in rows]
                lines.append("")
            if part.code:
                # Longer than any run of backticks in it.
                fence = max(["``", *re.findall("`+", part.code)], key=len) + "`"
                lines += [fence, part.code, fence, ""]
        return "\n".join(lines)


def build(
    document: Mapping[str, Any],
    spec: ModelSpec,
    *,
    rows: Mapping[str, int],
    model_name: str,
    intended_use: str,
) -> ModelCard:
    """Return the card of a model.

    Args:
        document: The content of `evaluation.json`.
        spec: The model's description.
        rows: The rows of the splits that it was trained on, from its lineage.
        model_name: The model's name.
        intended_use: What the model is for, in the user's words.
    """
    limits = [entry["message"] for entry in document["findings"]]
    found = [
        CardSection("Intended use", [intended_use or "Not stated (option intended_use)."]),
        CardSection("Model", headers=("", ""), rows=list(_model(document, spec, model_name))),
        CardSection("Data", headers=("", ""), rows=list(_data(document, rows))),
        CardSection(
            "Inputs",
            headers=("Column", "Type", "Required"),
            rows=[
                (entry.name, entry.dtype, "yes" if entry.required else "no")
                for entry in spec.inputs
            ],
        ),
        _metrics(document),
        _slices(document),
        _fairness(document),
        _importance(document),
        _example(document, spec),
        CardSection("Verdict", [document["why"]]),
        CardSection("Limits", limits or ["The evaluation found nothing to warn of."]),
    ]
    return ModelCard(
        f"Model card: {model_name}",
        f"predicts {spec.label}, {spec.task}",
        [section for section in found if section.texts or section.rows],
    )


def _blocks(part: CardSection) -> Iterable[Markup]:
    yield from (html.paragraph(text) for text in part.texts)
    if part.chart is not None:
        yield part.chart
    if part.rows:
        table = html.table(part.headers, part.rows)
        yield html.details("As a table", table) if part.chart is not None else table
    if part.code:
        yield html.details("The typical row as a baseline", html.code(part.code))


def _model(
    document: Mapping[str, Any], spec: ModelSpec, model_name: str
) -> Iterable[tuple[str, str]]:
    yield "name", model_name
    yield "digest", document["model"]["digest"]
    yield "task", spec.task
    yield "label", spec.label
    if spec.classes:
        yield "classes", ", ".join(spec.classes[:_MOST_ROWS])
    if spec.decision_threshold is not None:
        chosen = spec.hyperparameters.get("threshold_choice")
        told = ", of the highest expected value on eval" if isinstance(chosen, Mapping) else ""
        yield "decision threshold", f"{spec.decision_threshold:g}{told}"
    calibrated = spec.hyperparameters.get("calibration")
    if isinstance(calibrated, Mapping):
        yield "calibration", f"{calibrated.get('method')}, on {calibrated.get('rows')} eval rows"
    yield "schema", spec.schema_digest
    for name, value in spec.hyperparameters.items():
        if name not in _ASIDE:
            yield name, str(hyperparameters.shown(name, value))
    for name, version in spec.versions.items():
        yield f"version of {name}", str(version)


def _data(document: Mapping[str, Any], rows: Mapping[str, int]) -> Iterable[tuple[str, str]]:
    for split, count in rows.items():
        yield f"rows of split {split}", f"{count:,}"
    yield f"evaluated rows of split {document['split']}", f"{document['rows']:,}"
    left_out = document["rows_left_out"]
    yield "rows without a label, left out", f"{left_out['without_label']:,}"


def _metrics(document: Mapping[str, Any]) -> CardSection:
    baseline = document["baseline"]
    rows = []
    for name, entry in document["metrics"].items():
        row = [metric_names.label(name), *_figure(entry)]
        if baseline:
            change = baseline["changes"].get(name)
            row += ["", ""] if change is None else _figure(change)
        rows.append(row)
    headers = ["Metric", "Value", "95% interval"]
    return CardSection(
        "Metrics",
        headers=[*headers, *(["Change from the baseline", "95% interval"] if baseline else [])],
        rows=rows,
    )


def _slices(document: Mapping[str, Any]) -> CardSection:
    metric = "r2" if document["task"] == "regression" else "auc"
    measured = [part for part in document["slices"] if metric in part["metrics"]]
    measured.sort(key=lambda part: -metric_names.badness(metric, part["metrics"][metric]["value"]))
    return CardSection(
        "Weakest slices",
        headers=("Slice", "Rows", metric_names.label(metric), "95% interval"),
        rows=[
            (part["name"], f"{part['rows']:,}", *_figure(part["metrics"][metric]))
            for part in measured[:10]
        ],
    )


def _fairness(document: Mapping[str, Any]) -> CardSection:
    return CardSection(
        "Gaps between groups",
        headers=("Column", "Rate", "Gap", "95% interval", "Highest", "Lowest"),
        rows=[
            (
                part["column"],
                metric_names.label(rate),
                *_figure(gap),
                gap["highest"],
                gap["lowest"],
            )
            for part in document["fairness"]
            for rate, gap in part["gaps"].items()
        ],
    )


def _importance(document: Mapping[str, Any]) -> CardSection:
    entries = document.get("importance", [])[:_MOST_ROWS]
    title = "What the model relies on"
    if not entries:
        return CardSection(title)
    drawn = entries[:_DRAWN_INPUTS]
    score = metric_names.label(document["explained"]["score"])
    chart = html.interval_bars(
        [entry["name"] for entry in drawn],
        [entry["mean"] for entry in drawn],
        [entry["interval"] for entry in drawn],
        x_label=f"increase of {score} when shuffled",
        title="Importance over all rows, with 95% intervals",
    )
    most = max(entry["mean"] for entry in entries)
    return CardSection(
        title,
        headers=("Column", f"Increase of {score} when shuffled", "95% interval"),
        rows=[
            (row["name"], *_figure({"value": row["mean"], "interval": row["interval"]}))
            for row in entries
        ],
        chart=chart,
        bars=[_bar(entry["mean"], most) for entry in entries],
    )


def _example(document: Mapping[str, Any], spec: ModelSpec) -> CardSection:
    example = document.get("example")
    title = "One prediction explained"
    if not example:
        return CardSection(title)
    features = [_as_shown(entry, spec) for entry in example["features"]]
    drawn, rest = features[:_DRAWN_INPUTS], features[_DRAWN_INPUTS:]
    labels = [f"{entry['name']} = {entry['value']}" for entry in drawn]
    changes = [entry["attribution"] for entry in drawn]
    if rest:
        labels.append(f"{len(rest)} others")
        changes.append(sum(entry["attribution"] for entry in rest))
    what = _explained(document, example)
    chart = html.waterfall(
        labels,
        changes,
        start=example["baseline_value"],
        ends=("a typical row", "this row"),
        x_label=what,
        title="From a typical row to this one",
    )
    shown = features[:_MOST_ROWS]
    sampled = any(entry["error"] for entry in shown)
    most = max((abs(entry["attribution"]) for entry in shown), default=0.0)
    return CardSection(
        title,
        _example_texts(document, example, what),
        headers=(
            "Column",
            "This row",
            "Typical row",
            "Attribution",
            *(["Standard error"] if sampled else []),
        ),
        rows=[
            (
                entry["name"],
                entry["value"],
                entry["baseline"],
                html.signed(entry["attribution"]),
                *([html.format_number(entry["error"])] if sampled else []),
            )
            for entry in shown
        ],
        chart=chart,
        bars=[_bar(entry["attribution"], most) for entry in shown],
        code=json.dumps(
            {
                entry["name"]: entry["baseline"]
                for entry in example["features"]
                if entry["baseline"] is not None
            },
            ensure_ascii=False,
        ),
    )


def _explained(document: Mapping[str, Any], example: Mapping[str, Any]) -> str:
    if example["class"] is None:
        return f"predicted {document['label']}"
    return f"probability of {document['label']} = {example['class']}"


def _example_texts(document: Mapping[str, Any], example: Mapping[str, Any], what: str) -> list[str]:
    value, base = (html.format_number(example[name]) for name in ("value", "baseline_value"))
    label = example["label"]
    actual = label if isinstance(label, str) else html.format_number(label)
    method = _METHODS.get(example["method"], example["method"])
    left = len(example["features"]) - _MOST_ROWS
    data = example.get("typical_of", "evaluation")
    return [
        f"A row of split {document['split']}: the {what} is {value}; for a typical row (medians, "
        f"most frequent values of the {data} data) it is {base}. The label of the row is {actual}.",
        f"Each attribution is how far a column moved the answer from one to the other ({method}). "
        "They explain the model, not the world: a column can stand in for another one that it "
        "goes with.",
        *([f"Not listed: {left} columns with smaller attributions."] if left > 0 else []),
        _BASELINES[data],
    ]


def _as_shown(entry: Mapping[str, Any], spec: ModelSpec) -> dict[str, Any]:
    """Return the entry of a feature with its values as text."""
    (given,) = (each for each in spec.inputs if each.name == entry["name"])
    unit = given.format.time.unit if given.format and given.format.time else ""
    values = {name: _value(entry[name], unit) for name in ("value", "baseline")}
    return {**entry, **values}


def _value(value: Any, unit: str) -> str:
    """Return a raw value as text.

    Args:
        value: The value; None where it is missing.
        unit: The unit of a point in time; empty for other values.

    Example:
        >>> _value(1385000000, "seconds"), _value(12345, ""), _value(None, "")
        ('2013-11-21 02:13:20', '12345', 'missing')
    """
    if value is None:
        return "missing"
    if isinstance(value, str):
        return value
    if unit:
        seconds = value * _DAY if unit == "days" else value / PER_SECOND[unit]
        if abs(seconds) < _FAR:
            moment = _EPOCH + datetime.timedelta(seconds=round(seconds))
            return str(moment.replace(tzinfo=None))
    # An id is not grouped.
    return str(value) if isinstance(value, int) else html.format_number(value)


def _bar(value: float, most: float) -> str:
    """Return a bar of text, whose sign is its character.

    Example:
        >>> _bar(0.5, 1.0), _bar(-1.0, 1.0)
        ('██████', '░░░░░░░░░░░░')
    """
    cells = round(_BAR_CELLS * abs(value) / most) if most > 0 else 0
    return ("█" if value > 0 else "░") * cells


def _figure(entry: Mapping[str, Any]) -> list[str]:
    ends = entry["interval"]
    interval = "" if ends is None else f"{ends[0]:.4g} to {ends[1]:.4g}"
    return [f"{entry['value']:.4g}", interval]


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _line(cells: Sequence[str], *, escape: bool = True) -> str:
    return f"| {' | '.join(_plain(cell) if escape else cell for cell in cells)} |"
