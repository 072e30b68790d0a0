"""The HTML page of an evaluation, drawn from the content of `evaluation.json` alone."""

from collections.abc import Iterable, Mapping
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts import findings_page
from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.html import Markup, Section
from kfp_tabular.components.evaluation.report import (
    chart_sections,
    comparison_section,
    explanation_sections,
    fairness_section,
    slice_section,
    value_section,
    verdict_section,
)


def page(document: Mapping[str, Any]) -> str:
    """Return the page as HTML; see `evaluation_document.build` for what it draws.

    The order is that of a reader's questions: is the model good enough and why, how good beside
    answering always the same, what is wrong, where is it weak.
    """
    found = [Finding(**entry) for entry in document["findings"]]
    sections = [
        Section("Verdict", tuple(verdict_section.verdict(document))),
        Section("Metrics", tuple(verdict_section.metrics(document))),
        *_compared(document),
        *findings_page.sections(found),
        *explanation_sections.learned(document),
        *chart_sections.sections(document),
        *explanation_sections.thresholds(document),
        *_worth(document),
    ]
    if document["slices"]:
        sections.append(Section("Slices", tuple(slice_section.slices(document))))
    sections.append(Section("About this evaluation", (_about(document),), collapsed=True))
    subtitle = (
        f"{document['task']} model, split {document['split']}, "
        f"{html.format_number(document['rows'])} rows"
    )
    return html.page(f"Evaluation: {document['label']}", sections, subtitle=subtitle)


def _compared(document: Mapping[str, Any]) -> Iterable[Section]:
    if document.get("comparison"):
        parts = tuple(comparison_section.comparison(document))
        yield Section("Compared with the baseline", parts)


def _worth(document: Mapping[str, Any]) -> Iterable[Section]:
    if document.get("value"):
        yield Section("Value", tuple(value_section.value(document)))
    if document.get("fairness"):
        yield Section("Fairness", tuple(fairness_section.fairness(document)))


def _about(document: Mapping[str, Any]) -> Markup:
    left_out = document["rows_left_out"]
    rows = [
        ("model", document["model"]["digest"]),
        ("its card", "the output model_card"),
        ("split", document["split"]),
        ("rows", document["rows"]),
        ("rows without a label, left out", left_out["without_label"]),
        ("rows with a class the model does not know, left out", left_out["unknown_class"]),
        ("intervals", f"{document['bootstrap_samples']} resamples, seed {document['seed']}"),
    ]
    if document["baseline"]:
        rows.append(("baseline", document["baseline"]["path"]))
        rows.append(("digest of the baseline", document["baseline"]["digest"]))
    return html.table(("", ""), rows)
