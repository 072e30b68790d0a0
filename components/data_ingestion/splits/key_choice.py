"""Chooses the columns of the split's key from evidence, and whether equal rows can stay together.

The key covers what the model learns from, so that equal rows never lie in two splits: otherwise the
model would be evaluated on rows that it has seen. The label is no part of it, or else rows that
differ in the label only would be sorted into splits by their label. Identifiers are no part of it,
or else they would tell duplicates apart.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kfp_tabular.components.data_ingestion.splits.split_evidence import ColumnEvidence, Kinds

FEWEST_KINDS = 5
"""A split with fewer kinds of row is no sample of them."""

_MOST_DEVIATION = 0.5
_SIGMAS = 4.0
_MOSTLY_DISTINCT = 0.5


@dataclass(frozen=True)
class KeyChoice:
    """How to split by hash.

    Attributes:
        keys: The columns that are hashed.
        by_row: Whether equal rows are told apart by their number, instead of staying together.
    """

    keys: tuple[str, ...]
    by_row: bool = False


def features_among(columns: Mapping[str, ColumnEvidence]) -> tuple[str, ...]:
    """Return the columns of the key: all but identifiers, or all where there is nothing else.

    Args:
        columns: The evidence of the columns that are neither the label nor excluded.
    """
    features = [name for name, shown in columns.items() if not shown.identifies(name)]
    return tuple(features or columns)


def keeps_together(kinds: Kinds, shares: Sequence[float]) -> bool:
    """Return whether splits are usable if rows of the same kind stay together.

    Each split needs several kinds, and about its share of the rows.

    Args:
        kinds: The kinds of row.
        shares: The share of each split.

    Example:
        >>> six = np.arange(6, dtype=np.uint64)
        >>> hashes, splits = np.repeat(six, 100), np.repeat([0, 0, 0, 0, 1, 2], 100)
        >>> keeps_together(Kinds.of(hashes, splits, 3), [0.7, 0.15, 0.15])
        False
    """
    rows, wanted = kinds.rows, np.asarray(shares)
    if kinds.distinct < _MOSTLY_DISTINCT * rows and min(shares) * kinds.distinct < FEWEST_KINDS:
        return False
    if kinds.distinct >= rows:
        return True
    found = kinds.by_split / max(1, rows)
    by_chance = _SIGMAS * np.sqrt(wanted * (1 - wanted) / max(1, rows))
    return bool(np.all(np.abs(found - wanted) <= np.maximum(_MOST_DEVIATION * wanted, by_chance)))


def described(kinds: Kinds) -> str:
    """Return the number of kinds as text: `72`, or `about 15,000` for an estimate."""
    if kinds.is_exact:
        return f"{kinds.distinct:,}"
    digits = max(0, int(math.log10(max(kinds.distinct, 1))) - 1)
    return f"about {round(kinds.distinct, -digits):,}"
