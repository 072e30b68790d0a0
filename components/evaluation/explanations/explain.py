"""Measures importance and dependence, as keys of `evaluation.json`, with what to know of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.findings import Finding
from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.evaluation.explanations import (
    effort,
    partial_dependence,
    permutation_importance,
    shared_importance,
)
from kfp_tabular.components.evaluation.explanations.effort import Effort
from kfp_tabular.components.evaluation.explanations.partial_dependence import Dependence
from kfp_tabular.components.evaluation.explanations.permutation_importance import (
    Importance,
    Predict,
)
from kfp_tabular.components.evaluation.explanations.row_sample import SampledRows
from kfp_tabular.components.evaluation.explanations.shared_importance import SharedPair

_NAMED_PAIRS = 3
_NAMED_INPUTS = 20


@dataclass(frozen=True)
class Explanation:
    """What was found out about a model.

    Attributes:
        document: `importance`, `dependence` and `explained`, as in `evaluation.json`.
        findings: What was limited, and what misleads.
    """

    document: Mapping[str, Any]
    findings: Sequence[Finding]


def explain(
    rows: SampledRows, spec: ModelSpec, predict: Predict, planned: Effort, seed: int
) -> Explanation:
    """Measure importance and dependence of a model's inputs.

    Args:
        rows: The sampled rows, at most `planned.rows`.
        spec: The model's description.
        predict: The model.
        planned: What to measure.
        seed: Seed of the shuffles.
    """
    by_input = {given.input: given for given in spec.inputs}
    found = []
    names = list(by_input)
    screened, not_finite = _screened(rows, spec, predict, planned, seed)
    if screened:
        names = [each.input for each in screened[: planned.kept]]
    measured, more = permutation_importance.measure(
        rows, predict, spec.task, names, repetitions=planned.repetitions, seed=seed
    )
    not_finite = [*not_finite, *more]
    importance = [*measured, *screened[planned.kept :]]
    ranked = [by_input[each.input] for each in importance]
    pairs = shared_importance.find(rows, ranked)
    columns = partial_dependence.answer_columns(spec, rows.labels)
    chosen, passed = partial_dependence.most_important(
        ranked[: 2 * effort.DEPENDENT_FEATURES],
        rows,
        effort.DEPENDENT_FEATURES,
        effort.GRID_POINTS,
    )
    part = rows.first(planned.dependent_rows)
    dependence = [
        partial_dependence.measure(part, predict, given, grid, columns) for given, grid in chosen
    ]
    if screened:
        found.append(_limited(len(by_input), planned, len(rows)))
    if not_finite:
        found.append(_not_finite([by_input[name] for name in not_finite]))
    found.extend(_shared(pairs, [given.name for given in ranked[:_NAMED_INPUTS]]))
    base = permutation_importance.losses(predict(rows.inputs), rows.labels, spec.task).mean()
    return Explanation(
        {
            "explained": {
                "score": permutation_importance.SCORES[spec.task],
                "score_value": float(np.sqrt(base) if spec.task == "regression" else base),
                "rows": len(rows),
                "screened_rows": min(planned.screened_rows, len(rows)),
                "answers": list(columns),
                "dependence_left_out": passed,
            },
            "importance": [_importance(each, by_input[each.input], pairs) for each in importance],
            "dependence": [_dependence(each) for each in dependence if each is not None],
        },
        found,
    )


def _screened(
    rows: SampledRows, spec: ModelSpec, predict: Predict, planned: Effort, seed: int
) -> tuple[list[Importance], list[str]]:
    if not planned.screened_rows or planned.kept >= len(spec.inputs):
        return [], []
    # Other shuffles than those that measure: luck in being chosen does not count twice.
    return permutation_importance.measure(
        rows.first(planned.screened_rows),
        predict,
        spec.task,
        [given.input for given in spec.inputs],
        repetitions=1,
        seed=seed + 1,
    )


def _limited(inputs: int, planned: Effort, rows: int) -> Finding:
    compared = min(planned.screened_rows, rows)
    return Finding(
        "note",
        "importance-screened",
        f"The model has {inputs} inputs: their importance is compared on {compared} rows, and only "
        f"the {planned.kept} most important ones are measured on {min(planned.rows, rows)}.",
        option="explanation_rows",
    )


def _not_finite(inputs: Sequence[ModelInput]) -> Finding:
    names = ", ".join(repr(given.name) for given in inputs[:3])
    more = f" and {len(inputs) - 3} more" if len(inputs) > 3 else ""
    return Finding(
        "warning",
        "not-finite",
        f"The model's answers are not finite for some combinations of values: with values of other "
        f"rows in {names}{more}. Their importance is not known.",
        column=inputs[0].name,
    )


def _shared(pairs: Sequence[SharedPair], named: Sequence[str]) -> list[Finding]:
    important = [pair for pair in pairs if pair.first in named and pair.second in named]
    if not important:
        return []
    shown = ", ".join(
        f"{pair.first!r} and {pair.second!r} ({pair.strength:.2f})"
        for pair in important[:_NAMED_PAIRS]
    )
    more = len(important) - _NAMED_PAIRS
    return [
        Finding(
            "note",
            "shared-importance",
            f"Strongly related inputs share their importance: {shown}"
            + (f" and {more} more pairs." if more > 0 else "."),
            column=important[0].first,
        )
    ]


def _importance(each: Importance, given: ModelInput, pairs: Sequence[SharedPair]) -> dict[str, Any]:
    related = [
        {"name": pair.second if pair.first == given.name else pair.first, "strength": pair.strength}
        for pair in pairs
        if given.name in (pair.first, pair.second)
    ]
    return {
        "name": given.name,
        "mean": each.mean,
        "interval": None if each.interval is None else list(each.interval),
        "repetitions": each.repetitions,
        "rows": each.rows,
        "related": related,
    }


def _dependence(each: Dependence) -> dict[str, Any]:
    grid = each.grid
    return {
        "name": each.given.name,
        "kind": grid.kind,
        "grid": grid.shown,
        "means": dict(each.means),
        "missing": None
        if each.at_missing is None
        else {"share": grid.missing, "means": dict(each.at_missing)},
        "lines": [[_short(value) for value in line] for line in each.lines],
        "shares": grid.shares,
        "histogram": {"edges": grid.edges, "counts": grid.counts},
        "other": grid.other,
        "rows": each.rows,
    }


def _short(value: float) -> float:
    """Return a value with six digits: those of single rows are drawn, not computed with."""
    return float(f"{value:.6g}")
