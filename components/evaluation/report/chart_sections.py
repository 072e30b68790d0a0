"""The charts of an evaluation's page: curves, confusion, and predicted against actual values."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.html import Markup, Section
from kfp_tabular.components.evaluation.report import calibration_chart, kfp_metrics, verdict_section

_COUNTED_CLASSES = 12
_PERCENT = 100


def sections(document: Mapping[str, Any]) -> Iterable[Section]:
    """Yield the sections for the document's task."""
    if document["task"] == "binary":
        yield Section("Curves", tuple(_curves(document)))
    if document["task"] == "regression":
        yield Section("Predicted and actual", tuple(_regression(document)))
    else:
        yield Section("Confusion", tuple(_confusion(document)))
    if "per_class" in document:
        yield Section("Classes", (_per_class(document["per_class"]),))


def _curves(document: Mapping[str, Any]) -> Iterable[Markup]:
    curves, classes = document["curves"], document["classes"]
    histogram = document["score_histogram"]
    drawn = [] if not curves else [_roc(curves), _precision_recall(curves, document)]
    both = [sum(pair) for pair in zip(histogram["negative"], histogram["positive"], strict=True)]
    drawn.append(calibration_chart.draw(document["calibration"], both))
    yield html.row(*drawn)
    bins = [part for part in document["calibration"] if "interval" in part]
    if bins:
        yield html.details("Calibration, as numbers", _reliability(bins))
    bars = len(both)
    yield html.histogram(
        [bar / bars for bar in range(bars + 1)],
        {
            name: _shares(histogram[side])
            for name, side in zip(classes, ("negative", "positive"), strict=True)
        },
        title=f"Probability of {classes[1]}, share of each class's rows",
    )


def _reliability(bins: Sequence[Mapping[str, Any]]) -> Markup:
    rows = []
    for part in bins:
        places = html.decimals(*part["interval"])
        numbers = [html.fixed(part[name], places) for name in ("predicted", "observed")]
        rows.append((*numbers, verdict_section.interval(part["interval"]), part["rows"]))
    headers = ("Mean probability", "Share of positives", "95% interval of the share", "Rows")
    return html.table(headers, rows)


def _roc(curves: Mapping[str, Sequence[float]]) -> Markup:
    points = list(zip(curves["false_positive_rates"], curves["recalls"], strict=True))
    return html.line_chart(
        {"model": points},
        x_label="false positive rate",
        y_label="true positive rate",
        title="ROC curve",
        diagonal=True,
        equal=True,
        x_range=(0, 1),
        y_range=(0, 1),
    )


def _precision_recall(curves: Mapping[str, Sequence[float]], document: Mapping[str, Any]) -> Markup:
    prevalence = document.get("constant_answer", {}).get("pr_auc")
    levels = {}
    if prevalence is not None:
        levels[f"share of positives, {html.format_number(prevalence)}"] = prevalence
    return html.line_chart(
        {"model": list(zip(curves["recalls"], curves["precisions"], strict=True))},
        x_label="recall",
        y_label="precision",
        title="Precision and recall",
        equal=True,
        levels=levels,
        x_range=(0, 1),
        y_range=(0, 1),
    )


def _confusion(document: Mapping[str, Any]) -> Iterable[Markup]:
    matrix = kfp_metrics.confusion_matrix(document)
    if matrix is None:
        return
    classes, counts = matrix
    blocks = [
        html.heatmap(
            [[round(_PERCENT * share, 1) for share in _shares(row)] for row in counts],
            row_labels=classes,
            column_labels=classes,
            row_title="actual",
            column_title="predicted",
            title="Predictions, in % of the rows of each actual class",
            diagonal=True,
        )
    ]
    if len(classes) <= _COUNTED_CLASSES:
        blocks.append(
            html.table(
                ("actual / predicted", *classes),
                [(name, *row) for name, row in zip(classes, counts, strict=True)],
                caption="Rows",
            )
        )
    yield html.row(*blocks)
    if document["decision_threshold"] is not None:
        yield html.paragraph(
            f"A row is predicted as {document['classes'][1]} if its probability is at least "
            f"{document['decision_threshold']:g}."
        )


def _per_class(classes: Sequence[Mapping[str, Any]]) -> Markup:
    names = ("rows", "precision", "recall", "f1", "auc")
    return html.table(
        ("Class", *names), [(part["class"], *(part[name] for name in names)) for part in classes]
    )


def _regression(document: Mapping[str, Any]) -> Iterable[Markup]:
    means = [(part["predicted"], part["actual"]) for part in document["means"]]
    residuals, joint = document["residuals"], document["predicted_actual"]
    yield html.row(
        html.line_chart(
            {"model": means},
            x_label="mean prediction",
            y_label="mean actual value",
            title="Actual value by prediction, in bins of equally many rows",
            diagonal=True,
            equal=True,
        ),
        html.histogram(
            residuals["edges"],
            {"rows": residuals["counts"]},
            title="Residuals: predicted minus actual",
            legend=False,
        ),
    )
    places = html.decimals(*joint["edges"][:2])
    edges = [html.fixed(edge, places) for edge in joint["edges"]]
    # The largest actual values at the top, as on the axis of a chart.
    yield html.heatmap(
        joint["counts"][::-1],
        row_labels=edges[:-1][::-1],
        column_labels=edges[:-1],
        row_title="actual, from",
        column_title="predicted, from",
        title="Rows by predicted and actual value; values beyond count at the border",
        root=True,
    )
    charted = document.get("charted_rows", document["rows"])
    if charted < document["rows"]:
        yield html.note(f"These charts show a random sample of {charted:,} rows.")


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total if total else float("nan") for count in counts]
