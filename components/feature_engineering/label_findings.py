"""Reports what the label shows: tiny classes, and whole numbers that could be either task."""

from collections.abc import Mapping, Sequence
from typing import Any

from kfp_tabular.components.common.artifacts.findings import Findings
from kfp_tabular.components.feature_engineering.target_encoding import class_text

FEWEST_ROWS = 10
"""A class with fewer rows in the train split can hardly be learned."""

_NAMED = 3

SplitCounts = Mapping[str, Mapping[Any, int]]
"""Rows by split and value."""


def add_classes(label: str, classes: Sequence[Any], splits: SplitCounts, found: Findings) -> None:
    """Warn of classes with too few rows to learn or to measure.

    Args:
        label: The label's column.
        classes: All classes.
        splits: Rows by class in each split.
        found: The findings of the task.

    Example:
        >>> found = Findings()
        >>> add_classes("y", ["a", "b"], {"train": {"a": 90, "b": 3}, "test": {"a": 20}}, found)
        >>> print(next(iter(found)))
        Label 'y' has a class with fewer than 10 rows in train or none in another split: 'b' (3
        train, 0 test). The model can hardly learn it, and its recall is not reliable.
    """
    train, *others = splits
    tiny = [
        value
        for value in classes
        if splits[train].get(value, 0) < FEWEST_ROWS
        or any(not splits[split].get(value, 0) for split in others)
    ]
    if not tiny:
        return
    named = ", ".join(
        f"{class_text(value)!r} ("
        + ", ".join(f"{counts.get(value, 0)} {split}" for split, counts in splits.items())
        + ")"
        for value in tiny[:_NAMED]
    )
    more = f" and {len(tiny) - _NAMED} more" if len(tiny) > _NAMED else ""
    many = len(tiny) > 1
    found.warning(
        "tiny-class",
        f"Label {label!r} has {f'{len(tiny)} classes' if many else 'a class'} with fewer than "
        f"{FEWEST_ROWS} rows in {train} or none in another split: {named}{more}. The model can "
        f"hardly learn {'them, and their' if many else 'it, and its'} recall is not reliable.",
        column=label,
    )


def add_whole_numbers(label: str, values: Sequence[Any], kind: str, found: Findings) -> None:
    """Explain the task of a label of whole numbers, which may be classes, ratings or counts.

    Args:
        label: The label's column.
        values: All values, ascending.
        kind: The task that was chosen.
        found: The findings of the task.

    Example:
        >>> found = Findings()
        >>> add_whole_numbers("stars", [1, 2, 3, 4, 5], "multiclass", found)
        >>> print(next(iter(found)))
        Label 'stars' has 5 whole numbers, 1 to 5: they are classes without an order. If they are a
        rating or a count, regression may fit better. Option: task=regression.
    """
    low, high = class_text(values[0]), class_text(values[-1])
    if kind == "multiclass":
        found.note(
            "whole-number-label",
            f"Label {label!r} has {len(values)} whole numbers, {low} to {high}: they are classes "
            "without an order. If they are a rating or a count, regression may fit better.",
            column=label,
            option="task=regression",
        )
    elif kind == "regression":
        found.note(
            "whole-number-label",
            f"Label {label!r} has {len(values)} whole numbers, {low} to {high}: they are a "
            "quantity, and the task is regression.",
            column=label,
            option="task=multiclass",
        )
