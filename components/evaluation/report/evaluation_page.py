"""The HTML page of an evaluation, drawn from the content of `evaluation.json` alone."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts import findings_page
from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.html import Markup, Section
from kfp_tabular.components.evaluation.report import kfp_metrics

_COUNTED_CLASSES = 12
_PERCENT = 100
_SLICE_METRICS = {
    "binary": ("auc", "pr_auc", "log_loss", "accuracy", "precision", "recall", "f1"),
    "multiclass": ("accuracy", "auc", "log_loss", "precision", "recall", "f1"),
    "regression": ("rmse", "mae", "r2", "bias"),
}


def page(document: Mapping[str, Any]) -> str:
    """Return the page as HTML; see `evaluation_document.build` for what it draws."""
    found = [Finding(**entry) for entry in document["findings"]]
    sections = [
        Section("Verdict", tuple(_verdict(document))),
        *findings_page.sections(found),
        Section("Metrics", (_metrics(document),)),
        *_charts(document),
    ]
    if document["slices"]:
        sections.append(Section("Slices", tuple(_slices(document))))
    sections.append(Section("About this evaluation", (_about(document),), collapsed=True))
    subtitle = (
        f"{document['task']} model of {document['label']}, split {document['split']}, "
        f"{html.format_number(document['rows'])} rows"
    )
    return html.page("Evaluation", sections, subtitle=subtitle)


def _verdict(document: Mapping[str, Any]) -> Iterable[Markup]:
    blessed = document["blessed"]
    yield html.badge("blessed" if blessed else "not blessed", tone="good" if blessed else "error")
    yield html.paragraph(document["why"])
    yield html.table(
        ("", "Condition", "Slice", "Value", "95 % interval"),
        [
            (
                html.badge("holds", tone="good")
                if check["passed"]
                else html.badge("fails", tone="error"),
                f"{_checked(check)} {check['condition']}",
                check["slice"] or "all rows",
                check["value"],
                _interval(check["interval"]),
            )
            for check in document["checks"]
        ],
    )
    for note in document["notes"]:
        yield html.paragraph(note)


def _checked(check: Mapping[str, Any]) -> str:
    change = check["kind"] in ("change", "baseline")
    return f"change of {check['metric']}" if change else str(check["metric"])


def _metrics(document: Mapping[str, Any]) -> Markup:
    baseline = document["baseline"]
    headers = ["Metric", "Value", "95 % interval"]
    if baseline:
        headers += ["Baseline", "Change", "95 % interval of the change"]
    rows = []
    for name, entry in document["metrics"].items():
        row = [name, entry["value"], _interval(entry["interval"])]
        if baseline:
            change = baseline["changes"].get(name)
            row += [
                baseline["metrics"].get(name, {}).get("value"),
                None if change is None else change["value"],
                None if change is None else _interval(change["interval"]),
            ]
        rows.append(row)
    return html.table(headers, rows)


def _charts(document: Mapping[str, Any]) -> Iterable[Section]:
    if document["task"] == "binary":
        yield Section("Curves", tuple(_curves(document)))
    if document["task"] == "regression":
        yield Section("Predicted and actual", tuple(_regression(document)))
    else:
        yield Section("Confusion", tuple(_confusion(document)))
    if "per_class" in document:
        yield Section("Classes", (_per_class(document["per_class"]),))


def _curves(document: Mapping[str, Any]) -> Iterable[Markup]:
    curves, calibration = document["curves"], document["calibration"]
    drawn = []
    if curves:
        rates, recalls = curves["false_positive_rates"], curves["recalls"]
        drawn.append(
            html.line_chart(
                {"model": list(zip(rates, recalls, strict=True))},
                x_label="false positive rate",
                y_label="true positive rate",
                title="ROC curve",
                diagonal=True,
                x_range=(0, 1),
                y_range=(0, 1),
            )
        )
        drawn.append(
            html.line_chart(
                {"model": list(zip(recalls, curves["precisions"], strict=True))},
                x_label="recall",
                y_label="precision",
                title="Precision and recall",
                x_range=(0, 1),
                y_range=(0, 1),
            )
        )
    drawn.append(
        html.line_chart(
            {"model": [(part["predicted"], part["observed"]) for part in calibration]},
            x_label="mean predicted probability",
            y_label="share of positives",
            title="Calibration",
            diagonal=True,
        )
    )
    histogram = document["score_histogram"]
    classes = document["classes"]
    bars = len(histogram["negative"])
    scores = html.histogram(
        [bar / bars for bar in range(bars + 1)],
        {
            name: _shares(histogram[side])
            for name, side in zip(classes, ("negative", "positive"), strict=True)
        },
        title=f"Probability of {classes[1]}, share of each class's rows",
    )
    charts = [*drawn, scores]
    for start in range(0, len(charts), 2):
        yield html.row(*charts[start : start + 2])


def _confusion(document: Mapping[str, Any]) -> Iterable[Markup]:
    matrix = kfp_metrics.confusion_matrix(document)
    if matrix is None:
        return
    classes, counts = matrix
    blocks = [
        html.heatmap(
            [[_PERCENT * share for share in _shares(row)] for row in counts],
            row_labels=classes,
            column_labels=classes,
            row_title="actual",
            column_title="predicted",
            title="Predictions, in % of the rows of each actual class",
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
        ),
        html.histogram(
            residuals["edges"],
            {"rows": residuals["counts"]},
            title="Residuals: predicted minus actual",
            legend=False,
        ),
    )
    edges = [html.format_number(edge) for edge in joint["edges"]]
    # The largest actual values at the top, as on the axis of a chart.
    yield html.heatmap(
        joint["counts"][::-1],
        row_labels=edges[:-1][::-1],
        column_labels=edges[:-1],
        row_title="actual, from",
        column_title="predicted, from",
        title="Rows by predicted and actual value; values beyond count at the border",
    )


def _slices(document: Mapping[str, Any]) -> Iterable[Markup]:
    names = [
        name
        for name in _SLICE_METRICS[document["task"]]
        if any(name in part["metrics"] for part in document["slices"])
    ]
    change = names[0] if names and document["baseline"] else None
    headers = ["Slice", "Rows", *names]
    if names:
        headers.insert(3, f"{names[0]}, 95 % interval")
    if change:
        headers.append(f"change of {change}")
    for slicing in document["slices_left_out"]:
        parts = [part for part in document["slices"] if part["slicing"] == slicing]
        if not parts:
            continue
        rows = []
        for part in parts:
            values = [part["metrics"].get(name, {}).get("value") for name in names]
            if names:
                first = part["metrics"].get(names[0], {})
                values.insert(1, _interval(first.get("interval")))
            if change:
                values.append(part["changes"].get(change, {}).get("value"))
            rows.append([part["name"], part["rows"], *values])
        left_out = document["slices_left_out"][slicing]
        more = f", the {len(parts)} largest; {left_out} more not measured" if left_out else ""
        yield html.table(headers, rows, caption=f"{slicing}{more}")


def _about(document: Mapping[str, Any]) -> Markup:
    left_out = document["rows_left_out"]
    rows = [
        ("model", document["model"]["digest"]),
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


def _interval(ends: Sequence[float] | None) -> str | None:
    return None if ends is None else " to ".join(html.format_number(end) for end in ends)


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total if total else float("nan") for count in counts]
