"""A model card: what a model is, what it was measured on, and where its limits are.

The parts follow Mitchell et al., "Model Cards for Model Reporting" (2019). Everything is taken from
`evaluation.json`, `model.json` and the lineage; only the intended use is text of the user's own.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.html import Section
from kfp_tabular.components.evaluation.report import metric_names

HTML_FILE, MARKDOWN_FILE = "model_card.html", "model_card.md"

_MOST_ROWS = 30
_ASIDE = ("calibration", "blend", "threshold_choice")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")


@dataclass(frozen=True)
class CardSection:
    """A section of the card.

    Attributes:
        title: Its title.
        texts: Its paragraphs.
        headers: The headers of its table.
        rows: The rows of its table; empty for none.
    """

    title: str
    texts: Sequence[str] = ()
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def sections(
    document: Mapping[str, Any], spec: ModelSpec, rows: Mapping[str, int], intended_use: str
) -> list[CardSection]:
    """Return the sections of the card.

    Args:
        document: The content of `evaluation.json`.
        spec: The model's description.
        rows: The rows of the splits that it was trained on, from its lineage.
        intended_use: What the model is for, in the user's words.
    """
    found = [
        CardSection("Intended use", [intended_use or "Not stated (option intended_use)."]),
        CardSection("Model", headers=("", ""), rows=list(_model(document, spec))),
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
        CardSection("Verdict", [document["why"]]),
        CardSection("Limits", [entry["message"] for entry in document["findings"]]),
    ]
    if not document["findings"]:
        found[-1] = CardSection("Limits", ["The evaluation found nothing to warn of."])
    return [section for section in found if section.texts or section.rows]


def page(title: str, parts: Sequence[CardSection]) -> str:
    """Return the card as HTML."""
    return html.page(
        title,
        [
            Section(
                part.title,
                (
                    *(html.paragraph(text) for text in part.texts),
                    *((html.table(part.headers, part.rows),) if part.rows else ()),
                ),
            )
            for part in parts
        ],
    )


def markdown(title: str, parts: Sequence[CardSection]) -> str:
    r"""Return the card as Markdown.

    Example:
        >>> print(markdown("Card", [CardSection("Use", ["For *us*."], ("a", "b"), [("1", "x|y")])]))
        # Card
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
    lines = [f"# {_plain(title)}", ""]
    for part in parts:
        lines += [f"## {_plain(part.title)}", ""]
        for text in part.texts:
            lines += [_plain(text), ""]
        if part.rows:
            lines.append(_line(part.headers))
            lines.append(_line(["---"] * len(part.headers), escape=False))
            lines += [_line(row) for row in part.rows]
            lines.append("")
    return "\n".join(lines)


def _model(document: Mapping[str, Any], spec: ModelSpec) -> Iterable[tuple[str, str]]:
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
            yield name, str(value)
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
    rows = document.get("importance", [])[:_MOST_ROWS]
    return CardSection(
        "What the model relies on",
        headers=("Column", "Importance", "95% interval"),
        rows=[
            (row["name"], *_figure({"value": row["mean"], "interval": row["interval"]}))
            for row in rows
        ],
    )


def _figure(entry: Mapping[str, Any]) -> list[str]:
    ends = entry["interval"]
    interval = "" if ends is None else f"{ends[0]:.4g} to {ends[1]:.4g}"
    return [f"{entry['value']:.4g}", interval]


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _line(cells: Sequence[str], *, escape: bool = True) -> str:
    return f"| {' | '.join(_plain(cell) if escape else cell for cell in cells)} |"
