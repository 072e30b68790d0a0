"""Chooses the positive class of a binary task: the one whose probability the model predicts."""

from collections.abc import Mapping
from typing import Any

from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.feature_engineering.target_encoding import class_text

_OBVIOUS = (
    ("0", "1"),
    ("false", "true"),
    ("f", "t"),
    ("no", "yes"),
    ("n", "y"),
    ("off", "on"),
    ("negative", "positive"),
    ("neg", "pos"),
    ("absent", "present"),
)
_NEGATIONS = ("no", "not", "non", "un", "in")


def order(counts: Mapping[Any, int], label: str, wanted: str, found: Findings) -> tuple[Any, Any]:
    """Return the negative and the positive class.

    Args:
        counts: Rows of the train split by class; two classes.
        label: The label's column.
        wanted: The positive class as text; empty to choose.
        found: The findings of the task. A choice that is not obvious is noted.

    Raises:
        UserError: No class is called like that.

    Example:
        >>> order({"churned": 20, "retained": 80}, "status", "", Findings())
        ('retained', 'churned')
        >>> order({"no": 20, "yes": 80}, "status", "", Findings())
        ('no', 'yes')
    """
    first, second = sorted(counts)
    if wanted:
        by_text = {class_text(value): value for value in (first, second)}
        if wanted not in by_text:
            names = ", ".join(map(repr, by_text))
            raise UserError(
                f"positive_class: label {label!r} has no class {wanted!r}, only {names}."
                f"{closest(wanted, by_text)}"
            )
        positive = by_text[wanted]
    else:
        positive, why = _chosen(counts, first, second)
        if why:
            other = first if positive == second else second
            found.note(
                "positive-class",
                f"The positive class of label {label!r} is {class_text(positive)!r}, {why}: "
                f"{counts[positive]:,} of {sum(counts.values()):,} rows of the train split.",
                column=label,
                option=f"positive_class={class_text(other)}",
            )
    return (second, first) if positive == first else (first, second)


def _chosen(counts: Mapping[Any, int], first: Any, second: Any) -> tuple[Any, str]:
    """Return the positive class, and why; no reason where it is obvious."""
    if not isinstance(first, str):
        return second, "" if (first, second) in ((0, 1), (-1, 1)) else "the larger one"
    obvious = _obvious(first, second)
    if obvious:
        return obvious, ""
    return min((second, first), key=lambda value: counts[value]), "the rarer one"


def _obvious(first: str, second: str) -> str | None:
    """Return the class that is positive by its name; None if neither is."""
    by_name = {first.strip().casefold(): first, second.strip().casefold(): second}
    for negative, positive in _OBVIOUS:
        if set(by_name) == {negative, positive}:
            return by_name[positive]
    if len(by_name) < 2:
        return None
    shorter, longer = sorted(by_name, key=len)
    negation = longer.removesuffix(shorter)
    is_negated = negation != longer and negation.rstrip(" _-") in _NEGATIONS
    return by_name[shorter] if is_negated and shorter else None
