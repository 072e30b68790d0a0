"""The HTML report of a training."""

from collections.abc import Mapping, Sequence
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.options import describe
from kfp_tabular.components.training.options import WorkerOptions
from kfp_tabular.components.training.training_record import TrainingRecord

_LARGEST_CLASSES = 30


def page(record: TrainingRecord) -> str:
    """Return the page: key figures, learning curves, configuration, data.

    Args:
        record: The record of the training.
    """
    facts, metrics = record.facts, record.metrics
    kind = facts["hyperparameters"]["model_type"]
    name = facts["model_fn"] or kind
    return html.page(
        "Training",
        [
            html.Section("Result", (html.facts(_key_figures(record)), _result(metrics))),
            html.Section("Learning curves", _curves(record)),
            html.Section("Configuration", (_configuration(facts),)),
            html.Section("Data", _data(facts)),
        ],
        subtitle=f"{facts['task']} model {name} for {facts['label']}",
    )


def _key_figures(record: TrainingRecord) -> dict[str, object]:
    facts, metrics = record.facts, record.metrics
    objective = facts["objective"]
    figures: dict[str, object] = {}
    if objective in metrics:
        figures[f"{objective} (kept weights)"] = metrics[objective]
    return figures | {
        "steps": int(metrics["steps"]),
        "best step": int(metrics["best_step"]),
        "epochs": metrics["epochs"],
        "seconds": metrics["seconds"],
        "rows per second": round(metrics["rows_per_second"]),
        "parameters": facts["parameters"],
        "workers": facts["workers"],
    }


def _result(metrics: Mapping[str, float]) -> html.Markup:
    names = [name.removeprefix("train_") for name in metrics if name.startswith("train_")]
    rows = [
        (name, metrics[f"train_{name}"], metrics.get(f"eval_{name}", "no eval split"))
        for name in names
    ]
    return html.table(("metric", "train", "eval"), rows, caption="Of the weights that were kept")


def _curves(record: TrainingRecord) -> tuple[html.Markup, ...]:
    charts = []
    names = [name for name in record.history[-1] if name not in ("step", "epoch")]
    for name in names:
        points = [(entry["step"], entry[name]) for entry in record.history if name in entry]
        charts.append(html.line_chart({name: points}, x_label="step", y_label=name, title=name))
    return (
        html.paragraph(
            f"An evaluation every {record.facts['schedule']['interval']} steps, on "
            f"{record.facts['eval_rows_used']:,} rows of the eval split. The weights kept are "
            f"those of step {int(record.metrics['best_step']):,}."
        ),
        html.row(*charts),
    )


def _configuration(facts: Mapping[str, Any]) -> html.Markup:
    settings = {
        **facts["hyperparameters"],
        **{name: facts[name] for name in describe(WorkerOptions)},
    }
    return html.table(("setting", "value"), list(settings.items()))


def _data(facts: Mapping[str, Any]) -> tuple[html.Markup, ...]:
    blocks = [html.facts({f"{split} rows": rows for split, rows in facts["rows"].items()})]
    if facts["classes"]:
        total = sum(facts["class_counts"])
        blocks.append(
            html.table(
                ("class", "train rows", "share"),
                _largest_first(
                    [
                        (name, count, count / total)
                        for name, count in zip(facts["classes"], facts["class_counts"], strict=True)
                    ]
                ),
                caption=f"Classes of {facts['label']}",
            )
        )
    # Records of earlier versions have no vectors.
    vectors = facts.get("vectors", {})
    more = f", and {len(vectors)} vectors" if vectors else ""
    blocks.append(
        html.table(
            ("input", "kind", "values"),
            [
                *((name, "categorical", size) for name, size in facts["categorical"].items()),
                *((name, "number", "") for name in facts["numeric"]),
                *((name, "vector", f"{width} numbers") for name, width in vectors.items()),
            ],
            caption=f"{len(facts['categorical'])} categorical and {len(facts['numeric'])} numeric "
            f"inputs of the network{more}",
        )
    )
    return tuple(blocks)


def _largest_first(rows: Sequence[tuple[str, int, float]]) -> list[tuple[object, ...]]:
    ordered: list[tuple[object, ...]] = [*sorted(rows, key=lambda row: -row[1])]
    if len(ordered) <= _LARGEST_CLASSES:
        return ordered
    rest = ordered[_LARGEST_CLASSES:]
    return [*ordered[:_LARGEST_CLASSES], (f"{len(rest)} more", "", "")]
