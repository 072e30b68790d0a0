"""`features.json` and the task's Markdown page: what was derived, what was dropped, and why."""

import json
from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common.task import Task
from kfp_tabular.components.feature_engineering.plan import Feature, Output, Plan
from kfp_tabular.components.feature_engineering.writing import Written

FILE_NAME = "features.json"

_SHOWN = 300
"""Rows of a table in the Markdown page."""


def document(plan: Plan, task: Task) -> dict[str, Any]:
    """Gives the content of `features.json` for a derived plan.

    Returns:
        `label`, `task`; `raw_features`, the features that the graph takes (`name`, `dtype`,
        `required`); `features`, what was derived (`column`, `kind`, `why`, `settings`, `outputs`,
        each `name` and `size`, null for a number); `dropped` (`column`, `why`).
    """
    return {
        "label": task.label,
        "task": task.kind,
        "preprocessing_fn": None,
        "raw_features": [
            {
                "name": feature.feature.name,
                "dtype": feature.feature.dtype,
                "required": feature.feature.required,
            }
            for feature in plan.features
        ],
        "features": [_feature(feature) for feature in plan.features],
        "dropped": [{"column": column.name, "why": column.why} for column in plan.dropped],
    }


def as_json(document: Mapping[str, Any]) -> str:
    """Gives a document as text."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def markdown(document: Mapping[str, Any], written: Written) -> str:
    """Gives the page that the KFP UI shows."""
    rows = sum(written.rows.values())
    lines = [
        "# Features",
        "",
        f"Task: {document['task']}, label {_code(document['label'])}. "
        f"{len(document['raw_features'])} columns in, "
        f"{sum(len(feature['outputs']) for feature in document['features'])} out; {rows:,} rows.",
        "",
    ]
    lines += _table(
        ("split", "rows", "left out for want of a label"),
        [
            (split, f"{count:,}", f"{written.unlabelled[split]:,}")
            for split, count in written.rows.items()
        ],
    )
    if document["preprocessing_fn"]:
        lines += ["", f"Computed by {_code(document['preprocessing_fn'])}.", ""]
    lines += ["", "## Kept", ""]
    lines += _table(
        ("column", "kind", "why", "settings", "transformed columns"),
        [
            (
                _code(feature["column"]),
                feature["kind"],
                feature["why"],
                ", ".join(f"{key} {_shown(value)}" for key, value in feature["settings"].items()),
                ", ".join(_output(output) for output in feature["outputs"]),
            )
            for feature in document["features"]
        ],
    )
    if document["dropped"]:
        lines += ["", "## Dropped", ""]
        lines += _table(
            ("column", "why"),
            [(_code(column["column"]), column["why"]) for column in document["dropped"]],
        )
    return "\n".join(lines) + "\n"


def _feature(feature: Feature) -> dict[str, Any]:
    return {
        "column": feature.feature.name,
        "kind": feature.kind,
        "why": feature.why,
        "settings": feature.settings,
        "outputs": [output_entry(output) for output in feature.outputs],
    }


def output_entry(output: Output) -> dict[str, Any]:
    """Gives a transformed column as `features.json` lists it."""
    return {"name": output.name, "size": output.size}


def _table(headers: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [_line(headers), _line(("---",) * len(headers)), *map(_line, rows[:_SHOWN])]
    if len(rows) > _SHOWN:
        more = f"and {len(rows) - _SHOWN} more, see {FILE_NAME}"
        lines.append(_line((more, *[""] * (len(headers) - 1))))
    return lines


def _line(cells: tuple[str, ...]) -> str:
    escaped = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _code(name: str) -> str:
    # A name may hold a backtick itself.
    return f"`` {name} ``" if "`" in name else f"`{name}`"


def _output(output: Mapping[str, Any]) -> str:
    size = "" if output["size"] is None else f" ({output['size']} ids)"
    return _code(output["name"]) + size


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " ".join(value)
    return str(value)
