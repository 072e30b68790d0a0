"""The HTML report of a training."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kfp_tabular.components.common import html
from kfp_tabular.components.common.artifacts.hyperparameters import BLEND, TREES
from kfp_tabular.components.common.options import describe
from kfp_tabular.components.training.options import WorkerOptions
from kfp_tabular.components.training.training_record import TrainingRecord

_LARGEST_CLASSES = 30


def page(record: TrainingRecord) -> str:
    """Return the page: key figures, leaderboard, learning curves, configuration, data.

    Args:
        record: The record of the training.
    """
    facts, metrics = record.facts, record.metrics
    # Records of earlier versions have one candidate, and do not name it.
    kept = facts.get("kept") or facts["hyperparameters"]["model_type"]
    name = facts["model_fn"] or kept
    leaderboard = []
    if record.leaderboard:
        leaderboard = [html.Section("Leaderboard", _leaderboard(record))]
    return html.page(
        f"Training: {facts['label']}",
        [
            html.Section(
                "Result", (html.facts(_key_figures(record)), _result(metrics), *_threshold(facts))
            ),
            *leaderboard,
            html.Section("Learning curves", (*_trained(record), *_curves(record))),
            html.Section("Configuration", (_configuration(facts),), collapsed=True),
            html.Section("Data", _data(facts)),
        ],
        subtitle=f"{facts['task']} model {name}",
    )


def _key_figures(record: TrainingRecord) -> dict[str, object]:
    facts, metrics = record.facts, record.metrics
    objective = facts["objective"]
    figures: dict[str, object] = {}
    if objective in metrics:
        figures[f"{objective} (kept model)"] = metrics[objective]
    if len(record.candidates) < 2:
        figures |= _progress(_main_name(record), metrics)
    return figures | {
        "seconds": metrics["seconds"],
        "parameters": facts["parameters"],
        "workers": facts["workers"],
    }


def _main_name(record: TrainingRecord) -> str:
    """Return the model type whose training the metrics describe."""
    if record.candidates:
        return str(max(record.candidates, key=lambda member: member.get("weight", 1.0))["name"])
    return str(record.facts["hyperparameters"]["model_type"])


def _progress(name: str, metrics: Mapping[str, float]) -> dict[str, object]:
    """Return how far a model was trained, in the words of its kind."""
    if name == TREES:
        # A tree is no pass over the rows as a network makes them, so there is no speed in rows.
        return {"trees grown": int(metrics["steps"]), "trees kept": int(metrics["best_step"])}
    return {
        "steps": int(metrics["steps"]),
        "best step": int(metrics["best_step"]),
        "epochs": metrics["epochs"],
        "rows per second": round(metrics["rows_per_second"]),
    }


def _trained(record: TrainingRecord) -> list[html.Markup]:
    """Return a table of the candidates, where there are several."""
    if len(record.candidates) < 2:
        return []
    rows = [
        (
            member["name"],
            f"{int(member['steps']):,} {_unit(member['name'])}s",
            f"{int(member['best_step']):,} {_unit(member['name'])}s",
            round(member["seconds"], 1),
            member["parameters"],
        )
        for member in record.candidates
    ]
    headers = ("candidate", "trained", "best after", "seconds", "parameters")
    return [html.table(headers, rows, caption="What was trained")]


def _unit(name: str) -> str:
    return "tree" if name == TREES else "step"


def _result(metrics: Mapping[str, float]) -> html.Markup:
    names = [name.removeprefix("train_") for name in metrics if name.startswith("train_")]
    rows = [
        (name, metrics[f"train_{name}"], metrics.get(f"eval_{name}", "no eval split"))
        for name in names
    ]
    return html.table(("metric", "train", "eval"), rows, caption="Of the model that was kept")


def _threshold(facts: Mapping[str, Any]) -> list[html.Markup]:
    choice = facts.get("threshold_choice")
    if choice is None:
        return []
    per_thousand = [html.format_number(1000 * choice[name]) for name in ("value", "gain")]
    return [
        html.paragraph(
            f"Decision threshold {choice['threshold']:.4g}: worth most on the {choice['rows']:,} "
            f"rows of split {choice['split']!r}, {per_thousand[0]} per 1,000 rows, which is "
            f"{per_thousand[1]} more than at 0.5 (option decision_threshold)."
        )
    ]


def _leaderboard(record: TrainingRecord) -> tuple[html.Markup, ...]:
    entries, facts = record.leaderboard, record.facts
    best = entries[0]["score"]
    rows = [
        (
            f"{entry['candidate']} (kept)" if entry["is_kept"] else entry["candidate"],
            entry["score"],
            "" if entry["score"] == best else _worse(entry["score"], best),
            "" if entry["cross_validated"] is None else entry["cross_validated"],
            round(entry["seconds"], 1),
            round(entry["size"] / 2**20, 2),
            "" if entry["candidate"] == BLEND else _percent(entry["weight"]),
        )
        for entry in entries
    ]
    headers = (
        "candidate",
        facts["objective"],
        "worse than the best",
        "cross-validated",
        "seconds",
        "MiB",
        "share in the kept model",
    )
    note = (
        f"Kept: {facts['kept']}, {facts['reason']}. All were measured on the same "
        f"{facts['eval_rows_used']:,} rows of the {facts.get('eval_source', 'eval split')}; lower "
        "is better. A blend is fitted on these rows, so its cross-validated score, on rows that it "
        "was not fitted on, must not be worse by more than a standard error."
    )
    if _weighs_classes(facts):
        note += " The score weighs the classes as the loss does; those of the evaluation do not."
    return (html.paragraph(note), html.table(headers, rows))


def _worse(score: float, best: float) -> html.Figure:
    """Return by how much a score is above the best; beside a perfect one there is no share."""
    return html.Figure(f"+{_percent(score / best - 1)}" if best else "")


def _percent(value: float) -> html.Figure:
    return html.Figure(f"{value:.1%}" if math.isfinite(value) else "")


def _weighs_classes(facts: Mapping[str, Any]) -> bool:
    return bool(facts["class_weights"] == "balanced")


def _curves(record: TrainingRecord) -> tuple[html.Markup, ...]:
    members: Sequence[Mapping[str, Any]] = record.candidates
    if not members:
        # A record of an earlier version.
        alone = {
            "name": record.facts["hyperparameters"]["model_type"],
            "history": record.history,
            "best_step": record.metrics["best_step"],
            "interval": record.facts["schedule"]["interval"],
        }
        members = (alone,)
    blocks: list[html.Markup] = []
    for member in members:
        blocks += _member_curves(member, record)
    return tuple(blocks)


def _member_curves(member: Mapping[str, Any], record: TrainingRecord) -> list[html.Markup]:
    history, best = member["history"], member["best_step"]
    measured = [name for name in history[-1] if name.startswith("eval_")]
    loss = next((name for name in _EVAL_LOSSES if name in measured), "")
    series = {"train": _points(history, "train_loss")}
    scale = record.facts.get("label_scale", 1.0)
    if loss == "eval_rmse" and not scale:
        # The train loss is that of the transformed label, the RMSE is in the label's own unit.
        loss = ""
    if loss and loss != "eval_rmse":
        series["eval"] = _points(history, loss)
    elif loss:
        # The train loss is the mean squared error of the standardized label.
        series = {
            "train": [(step, scale * math.sqrt(value)) for step, value in series["train"]],
            "eval": _points(history, loss),
        }
    marks, unit = {"kept": best}, f"{_unit(member['name'])}s"
    charts = [
        html.line_chart(
            series,
            x_label=unit,
            y_label=loss.removeprefix("eval_") or "loss",
            title="Loss",
            marks=marks,
        )
    ]
    charts += [
        html.line_chart(
            {name: _points(history, name)}, x_label=unit, y_label=name, title=name, marks=marks
        )
        for name in measured
        if name != loss
    ]
    source = record.facts.get("eval_source", "eval split")
    text = (
        f"{member['name']}: measured every {member['interval']} {unit}, on "
        f"{record.facts['eval_rows_used']:,} rows of the {source}. Kept is what was trained "
        f"after {int(best):,} {unit}."
    )
    if loss == "eval_log_loss" and _weighs_classes(record.facts):
        text += " The train loss weighs the classes; the log loss on eval does not."
    return [html.paragraph(text), html.row(*charts, pairs=True)]


_EVAL_LOSSES = ("eval_log_loss", "eval_loss", "eval_rmse")


def _points(history: Sequence[Mapping[str, float]], name: str) -> list[tuple[float, float]]:
    return [(entry["step"], entry[name]) for entry in history if name in entry]


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
    inputs = html.table(
        ("input", "kind", "values"),
        [
            *((name, "categorical", size) for name, size in facts["categorical"].items()),
            *((name, "number", "") for name in facts["numeric"]),
            *((name, "vector", f"{width} numbers") for name, width in vectors.items()),
        ],
    )
    counted = f"{len(facts['categorical'])} categorical and {len(facts['numeric'])} numeric inputs"
    blocks.append(html.details(f"{counted}{more}", inputs))
    return tuple(blocks)


def _largest_first(rows: Sequence[tuple[str, int, float]]) -> list[tuple[object, ...]]:
    ordered: list[tuple[object, ...]] = [*sorted(rows, key=lambda row: -row[1])]
    if len(ordered) <= _LARGEST_CLASSES:
        return ordered
    rest = ordered[_LARGEST_CLASSES:]
    return [*ordered[:_LARGEST_CLASSES], (f"{len(rest)} more", "", "")]
