"""Reports what a feature plan decided about columns: dropped ones, and numbers taken as codes."""

import json
from collections.abc import Iterable

from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.feature_engineering.features.equality_choice import CONFIGURED, OPTION
from kfp_tabular.components.feature_engineering.features.kind_choice import CODES, FREE_TEXT, PARTS
from kfp_tabular.components.feature_engineering.features.planned_features import (
    DroppedColumn,
    FeaturePlan,
)

_EACH = {"identifier": 3}
"""Up to this many columns are reported one by one, more of them in one line; by default one."""

_NAMED = 5


def add(plan: FeaturePlan, found: Findings) -> None:
    """Add a note for what the plan decided on its own.

    Args:
        plan: The plan.
        found: The findings of the task.

    Example:
        >>> found = Findings()
        >>> dropped = DroppedColumn("id", "identifier: 90 distinct values in 90 rows", "identifier")
        >>> add(FeaturePlan((), (dropped,)), found)
        >>> next(iter(found)).message
        "'id' is not a feature: identifier: 90 distinct values in 90 rows."
    """
    by_code: dict[str, list[DroppedColumn]] = {}
    for column in plan.dropped:
        if column.code:
            by_code.setdefault(column.code, []).append(column)
    for code, columns in by_code.items():
        if len(columns) <= _EACH.get(code, 1):
            for column in columns:
                found.note(
                    code,
                    f"{column.name!r} is not a feature: {column.why}.",
                    column=column.name,
                    option=_option(column.name, column.instead) if column.instead else "",
                )
            continue
        found.note(
            code,
            f"{len(columns)} columns are not features, such as {columns[0].name!r}: "
            f"{columns[0].why}. The others: {_listed(column.name for column in columns[1:])}.",
        )
    _add_texts(plan, found)
    _add_equalities(plan, found)
    coded = [feature.feature.name for feature in plan.features if CODES in feature.why]
    if coded:
        found.note(
            "codes",
            f"Whole numbers taken as codes, by their name or their gaps: {_listed(coded)}.",
            column=coded[0] if len(coded) == 1 else "",
            option=_option(coded[0], "numeric"),
        )


def _add_equalities(plan: FeaturePlan, found: Findings) -> None:
    derived = [equality for equality in plan.equalities if equality.why != CONFIGURED]
    if not derived:
        return
    shown = "; ".join(
        f"{equality.first.name!r} and {equality.second.name!r} ({equality.why})"
        for equality in derived
    )
    more = f"; {len(plan.unpaired)} more pairs are left out" if plan.unpaired else ""
    first = derived[0].first.name
    found.note(
        "equality",
        f"A feature tells whether two columns have the same value: {shown}{more}.",
        column=first if len(derived) == 1 else "",
        option=f"feature_config={json.dumps({first: {OPTION: []}}, ensure_ascii=False)}",
    )


def _add_texts(plan: FeaturePlan, found: Findings) -> None:
    texts = [feature for feature in plan.features if feature.why.startswith((FREE_TEXT, PARTS))]
    if not texts:
        return
    shown = "; ".join(f"{feature.feature.name!r}: {feature.why}" for feature in texts[:_NAMED])
    more = f"; and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    found.note(
        "text",
        f"Text becomes features of its words and characters: {shown}{more}.",
        column=texts[0].feature.name if len(texts) == 1 else "",
        option=_option(texts[0].feature.name, "drop"),
    )


def _option(name: str, kind: str) -> str:
    return f"feature_config={json.dumps({name: {'kind': kind}}, ensure_ascii=False)}"


def _listed(names: Iterable[str]) -> str:
    named = [repr(name) for name in names]
    more = len(named) - _NAMED
    return ", ".join(named[:_NAMED]) + (f" and {more} more" if more > 0 else "")
