"""The names of splits, their shares and their order."""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from kfp_tabular.components.common.errors import UserError

MOST_SPLITS = 100
"""A column with more values than this does not name splits."""

_ORDER = {"train": 0, "training": 0, "eval": 1, "validation": 1, "valid": 1, "val": 1, "dev": 1}
_ORDER_TEST, _ORDER_OTHER = 2, 3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def parse_fractions(fractions: Mapping[str, float]) -> dict[str, float]:
    """Check the option `split_fractions` and convert weights to shares.

    Args:
        fractions: Relative weights by split.

    Returns:
        The shares, which add up to 1, in this order: train, then eval (validation, val, valid,
        dev), then test, then others by name. A pipeline does not keep the order of a mapping.

    Raises:
        UserError: There is no split, a name cannot be used in a path, or a weight is not a
            positive number.

    Example:
        >>> parse_fractions({"test": 1, "train": 3})
        {'train': 0.75, 'test': 0.25}
    """
    if not fractions:
        raise UserError(
            "split_fractions: expected weights by split, for example "
            '{"train": 0.7, "eval": 0.15, "test": 0.15}, found none.'
        )
    weights: dict[str, float] = {}
    for name, weight in fractions.items():
        check_name(name, "split_fractions")
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise UserError(
                f"split_fractions: {name!r}: expected a positive number, found {weight!r}."
            )
        if not 0 < weight < float("inf"):
            raise UserError(
                f"split_fractions: {name!r}: expected a positive number, found {weight}. Leave "
                "the split out if it should get no rows."
            )
        weights[name] = float(weight)
    total = sum(weights.values())
    return {name: weights[name] / total for name in sorted(weights, key=_rank)}


def limits(shares: Sequence[float]) -> list[float]:
    """Return the cumulative shares; the last is exactly 1.

    Example:
        >>> limits([0.5, 0.25, 0.25])
        [0.5, 0.75, 1.0]
    """
    return [*np.cumsum(shares)[:-1].tolist(), 1.0]


def check_name(name: str, where: str) -> None:
    """Check that a split's name can be used in a path, as the directory `split=<name>`.

    Args:
        name: The split's name.
        where: The option or column that it comes from, for the message.

    Raises:
        UserError: It cannot.

    Example:
        >>> check_name("train", "column 'part'")
        >>> check_name("my split", "column 'part'")
        Traceback (most recent call last):
        kfp_tabular.components.common.errors.UserError: column 'part': 'my split' is not a valid
        name of a split. Use letters, digits, '_', '.' and '-'.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{where}: {name!r} is not a valid name of a split. Use letters, digits, '_', '.' and "
            "'-'."
        )


def split_names(values: Iterable[str | None], column: str) -> list[str]:
    """Return the names of the splits that a column holds, in the order of `parse_fractions`.

    Args:
        values: The column's distinct values; None is missing.
        column: The column's name.

    Raises:
        UserError: The column has too many values, or one that cannot be used in a path.

    Example:
        >>> split_names(["test", None, "train"], "part")
        ['train', 'test']
    """
    names = [value for value in values if value is not None]
    if len(names) > MOST_SPLITS:
        raise UserError(
            f"split_column: column {column!r} has more than {MOST_SPLITS} values "
            f"({', '.join(names[:3])}, ...). Choose a column of names such as train and test."
        )
    for name in names:
        check_name(name, f"column {column!r}")
    return sorted(names, key=_rank)


def _rank(name: str) -> tuple[int, str]:
    order = _ORDER_TEST if name == "test" else _ORDER.get(name.lower(), _ORDER_OTHER)
    return order, name
