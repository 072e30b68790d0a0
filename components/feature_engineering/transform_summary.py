"""Documents a transform: `features.json` and the Markdown page of the task."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from kfp_tabular.components.common.artifacts import findings_page
from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.artifacts.raw_features import RawFeature
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.feature_engineering.features.planned_features import (
    DroppedColumn,
    FeaturePlan,
    TransformedColumn,
)
from kfp_tabular.components.feature_engineering.graph.user_function import AnalyzedFunction
from kfp_tabular.components.feature_engineering.transformed_examples import TransformedRows

FILE_NAME = "features.json"

_SHOWN = 300
"""The largest number of rows of a table in the Markdown page."""


def derived(plan: FeaturePlan, task: Task) -> dict[str, Any]:
    """Return the content of `features.json` for a derived plan.

    Returns:
        `label`, `task`; `preprocessing_fn`, null; `raw_features`, the inputs of the graph (`name`,
        `dtype`, `required`); `features`, the derived features (`column`, `kind`, `why`,
        `settings`, `outputs`); `outputs`, all transformed columns (`name`, `size`, null for
        numbers, and the `width` of a vector); `dropped` (`column`, `why`); if there are any,
        `pairs`, features of two columns (`columns`, `kind`, `why`, `settings`, `outputs`).

    Example:
        >>> dropped = DroppedColumn("id", "identifier: 90 rows, almost all values distinct")
        >>> document = derived(FeaturePlan((), (dropped,)), Task("regression", "fare"))
        >>> document["task"], document["dropped"][0]["column"]
        ('regression', 'id')
    """
    features = [
        {
            "column": feature.feature.name,
            "kind": feature.kind,
            "why": feature.why,
            "settings": feature.settings,
            "outputs": [output.name for output in feature.outputs],
        }
        for feature in plan.features
    ]
    pairs = [
        {
            "columns": [equality.first.name, equality.second.name],
            "kind": equality.kind,
            "why": equality.why,
            "settings": {"missing_id": equality.missing_id},
            "outputs": [equality.value.name],
        }
        for equality in plan.equalities
    ]
    raw = [feature.feature for feature in plan.features]
    document = _document(task, None, raw, features, plan.outputs, plan.dropped)
    return document | {"pairs": pairs} if pairs else document


def own(
    function: str, analyzed: AnalyzedFunction, dropped: Iterable[DroppedColumn], task: Task
) -> dict[str, Any]:
    """Return the content of `features.json` for a `preprocessing_fn`, in the form of `derived`.

    `features` is empty, because nothing was derived.

    Example:
        >>> fare, scaled = RawFeature("fare", "float32", True), TransformedColumn("fare_scaled")
        >>> analyzed = AnalyzedFunction(features=(fare,), outputs=(scaled,))
        >>> document = own("taxi:preprocess", analyzed, [], Task("regression", "tip"))
        >>> document["preprocessing_fn"], document["outputs"]
        ('taxi:preprocess', [{'name': 'fare_scaled', 'size': None}])
    """
    return _document(task, function, analyzed.features, [], analyzed.outputs, dropped)


def _document(
    task: Task,
    function: str | None,
    raw: Iterable[RawFeature],
    features: list[dict[str, Any]],
    outputs: Iterable[TransformedColumn],
    dropped: Iterable[DroppedColumn],
) -> dict[str, Any]:
    return {
        "label": task.label,
        "task": task.kind,
        "preprocessing_fn": function,
        "raw_features": [asdict(feature) for feature in raw],
        "features": features,
        "outputs": [_described(output) for output in outputs],
        "dropped": [{"column": column.name, "why": column.why} for column in dropped],
    }


def _described(output: TransformedColumn) -> dict[str, Any]:
    described: dict[str, Any] = {"name": output.name, "size": output.size}
    return described if output.width is None else described | {"width": output.width}


def as_json(document: Mapping[str, Any]) -> str:
    """Return a document as JSON text.

    Example:
        >>> print(as_json({"label": "tip", "task": "binary"}))
        {
          "label": "tip",
          "task": "binary"
        }
    """
    return json.dumps(document, indent=2, ensure_ascii=False)


def _findings(found: Iterable[Finding]) -> list[str]:
    text = findings_page.markdown(found)
    return [text, "", "## Rows", ""] if text else []


def markdown(
    document: Mapping[str, Any], written: TransformedRows, found: Iterable[Finding] = ()
) -> str:
    r"""Return the Markdown page that the KFP UI shows.

    Args:
        document: The content of `features.json`.
        written: The transformed rows.
        found: What a person should know.

    Example:
        >>> document = derived(FeaturePlan((), ()), Task("regression", "fare"))
        >>> page = markdown(document, TransformedRows(rows={"train": 90}, unlabelled={"train": 2}))
        >>> print("\n".join(page.splitlines()[4:]))
        | split | rows | left out without a label |
        | --- | --- | --- |
        | train | 90 | 2 |
        ...
    """
    sizes = {output["name"]: _size(output) for output in document["outputs"]}
    rows = sum(written.rows.values())
    lines = [
        "# Features",
        "",
        f"Task: {document['task']}, label {_code(document['label'])}. "
        f"{len(document['raw_features'])} columns in, {len(sizes)} out; {rows:,} rows.",
        "",
        *_findings(found),
        *_table(
            ("split", "rows", "left out without a label"),
            [
                (split, f"{count:,}", f"{written.unlabelled[split]:,}")
                for split, count in written.rows.items()
            ],
        ),
    ]
    if document["preprocessing_fn"]:
        lines += ["", f"Computed by {_code(document['preprocessing_fn'])}.", ""]
        lines += _table(("transformed column",), [(_output(name, sizes),) for name in sizes])
    else:
        lines += ["", "## Kept", ""]
        lines += _table(
            ("column", "kind", "why", "settings", "transformed columns"),
            [
                (
                    ", ".join(_code(name) for name in _columns(feature)),
                    feature["kind"],
                    feature["why"],
                    "; ".join(
                        f"{key.replace('_', ' ')}: {_shown(value)}"
                        for key, value in feature["settings"].items()
                    ),
                    ", ".join(_output(name, sizes) for name in feature["outputs"]),
                )
                for feature in [*document["features"], *document.get("pairs", ())]
            ],
        )
    if document["dropped"]:
        lines += ["", "## Dropped", ""]
        lines += _table(
            ("column", "why"),
            [(_code(column["column"]), column["why"]) for column in document["dropped"]],
        )
    return "\n".join(lines) + "\n"


def _columns(feature: Mapping[str, Any]) -> Iterable[str]:
    return feature["columns"] if "columns" in feature else [feature["column"]]


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


def _size(output: Mapping[str, Any]) -> str:
    if "width" in output:
        return f" ({output['width']} numbers)"
    return "" if output["size"] is None else f" ({output['size']} ids)"


def _output(name: str, sizes: Mapping[str, str]) -> str:
    return _code(name) + sizes[name]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value)
