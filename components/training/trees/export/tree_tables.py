"""Trees as arrays: what a vectorized computation looks up, adds and compares.

Every condition of every tree becomes `feature > border`. The features are the numeric columns, and
values that are looked up by category in one table: target statistics, and 1 for the category of an
equality. A combination of categories is looked up by one number made of all its ids.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kfp_tabular.components.training.trees.export import category_hashes, target_statistics
from kfp_tabular.components.training.trees.export.catboost_document import (
    CatBoostDocument,
    CategoryCondition,
    Condition,
    NumericCondition,
    StatisticCondition,
    Tree,
)
from kfp_tabular.components.training.trees.export.tree_columns import TreeColumns

Array = np.ndarray[Any, Any]

_LARGEST_TABLE = 2**24
_BLOCK = 8
_EQUAL = 0.5
_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class TreeTables:
    """The arrays, for N numeric features, L looked-up ones, B blocks of conditions and T trees.

    Attributes:
        numeric: Where each numeric feature is, as `TreeColumns.number_source` says, shape `[N]`.
        missing_is_largest: Whether its missing values are above every border, shape `[N]`.
        categorical: Column of the `categorical` matrix by categorical feature.
        sizes: Its number of ids. Smaller ids count as -1, larger ones as this one.
        bit_features: Features of numeric conditions that take part in lookups.
        bit_borders: Their float32 borders.
        lookup_parts: What a position is made of, shape `[L, parts]`: categorical features, and
            after the last of them the numeric conditions.
        lookup_strides: What each part is multiplied by, shape `[L, parts]`; 0 for none.
        lookup_offsets: Position in the table of each looked-up feature's ids 0, shape `[L]`.
        table: float32.
        block_features: Feature of each block of conditions, shape `[B]`: numeric ones first, then
            looked-up ones.
        block_borders: float32 borders of its conditions, shape `[B, 8]`; unused ones are infinite.
        splits: Condition of each bit of each tree's leaf, as index into the flat `block_borders`,
            shape `[T, depth]`.
        leaf_offsets: First row of each tree in `leaves`, shape `[T]`.
        leaves: float64, shape `[leaves of all trees, units]`; the first tree's include the bias.
        bias: What is predicted without a tree: float64, shape `[units]`.
    """

    numeric: Array
    missing_is_largest: Array
    categorical: Array
    sizes: Array
    bit_features: Array
    bit_borders: Array
    lookup_parts: Array
    lookup_strides: Array
    lookup_offsets: Array
    table: Array
    block_features: Array
    block_borders: Array
    splits: Array
    leaf_offsets: Array
    leaves: Array
    bias: Array


@dataclass(frozen=True)
class _Lookup:
    """A looked-up feature.

    Attributes:
        parts: Categorical features and numeric conditions, the most significant first.
        values: The feature's values, one dimension for each part.
    """

    parts: tuple[int | NumericCondition, ...]
    values: Array


def compile_trees(document: CatBoostDocument, columns: TreeColumns) -> TreeTables:
    """Return the arrays of a model.

    Args:
        document: The model.
        columns: Where its features are in the packed matrices.

    Raises:
        ValueError: If the table would have more than 16 million values.
    """
    trees = [tree for tree in document.trees if tree.conditions]
    conditions = _unique(condition for tree in trees for condition in tree.conditions)
    lookups = _lookups(document, columns, conditions)
    bits = [
        part
        for part in _unique(part for lookup in lookups.values() for part in lookup.parts)
        if isinstance(part, NumericCondition)
    ]
    numeric = sorted(
        {
            condition.feature
            for condition in [*conditions, *bits]
            if isinstance(condition, NumericCondition)
        }
    )
    categorical = sorted(
        {part for lookup in lookups.values() for part in lookup.parts if isinstance(part, int)}
    )
    features: dict[Any, int] = {
        key: index for index, key in enumerate([*map(_numeric_key, numeric), *lookups])
    }
    used: list[int | NumericCondition] = [*categorical, *bits]
    parts = {part: index for index, part in enumerate(used)}
    block_features, block_borders, order = _blocks(conditions, features)
    splits, leaf_offsets, leaves = _leaves(trees, order)
    constant = sum((tree.leaves[0] for tree in document.trees if not tree.conditions), 0.0)
    lookup_parts, lookup_strides = _positions(list(lookups.values()), parts)
    sizes = [lookup.values.size for lookup in lookups.values()]
    bias = np.array(document.bias, np.float64) + constant * document.scale
    leaves *= document.scale
    if trees:
        # One addition less for each row.
        leaves[: 2 ** splits.shape[1]] += bias
    return TreeTables(
        numeric=_integers(columns.number_source(feature) for feature in numeric),
        missing_is_largest=np.array(
            [feature in document.missing_is_largest for feature in numeric], bool
        ),
        categorical=_integers(columns.categorical[feature] for feature in categorical),
        sizes=_integers(columns.sizes[feature] for feature in categorical),
        bit_features=_integers(features[_numeric_key(bit.feature)] for bit in bits),
        bit_borders=np.array([_border(bit) for bit in bits], np.float32),
        lookup_parts=lookup_parts,
        lookup_strides=lookup_strides,
        lookup_offsets=_integers(np.cumsum([0, *sizes])[:-1] + _first_ids(lookups.values())),
        table=np.concatenate(
            [np.zeros(0, np.float32), *(lookup.values.ravel() for lookup in lookups.values())]
        ),
        block_features=block_features,
        block_borders=block_borders,
        splits=splits,
        leaf_offsets=leaf_offsets,
        leaves=leaves,
        bias=bias,
    )


def _unique(values: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


def _integers(values: Iterable[int]) -> Array:
    return np.array(list(values), np.int32)


def _numeric_key(feature: int) -> tuple[str, int]:
    return ("numeric", feature)


def _key(condition: Condition) -> Any:
    """Return what two conditions on the same feature have in common."""
    if isinstance(condition, NumericCondition):
        return _numeric_key(condition.feature)
    if isinstance(condition, StatisticCondition):
        return ("statistic", condition.statistic)
    return condition


def _border(condition: Condition) -> float:
    """Return a border; TensorFlow takes numbers too small for float32's exponent for 0.

    A negative one becomes the largest number that TensorFlow takes for less than 0.
    """
    border = _EQUAL if isinstance(condition, CategoryCondition) else condition.border
    if -_SMALLEST < border < _SMALLEST:
        return -_SMALLEST if border < 0 else 0.0
    return border


def _blocks(
    conditions: Sequence[Condition], features: Mapping[Any, int]
) -> tuple[Array, Array, dict[Condition, int]]:
    """Group conditions on the same feature, so that a value is read once for eight of them.

    Returns:
        The feature and the borders of each block, and each condition's index in the flat borders.
    """
    by_feature: dict[int, list[Condition]] = {}
    for condition in conditions:
        by_feature.setdefault(features[_key(condition)], []).append(condition)
    blocks = [
        (feature, group[start : start + _BLOCK])
        for feature, group in sorted(by_feature.items())
        for start in range(0, len(group), _BLOCK)
    ]
    borders = np.full((len(blocks), _BLOCK), np.inf, np.float32)
    order = {}
    for row, (_, block) in enumerate(blocks):
        for column, condition in enumerate(block):
            borders[row, column] = _border(condition)
            order[condition] = row * _BLOCK + column
    return _integers(feature for feature, _ in blocks), borders, order


def _lookups(
    document: CatBoostDocument, columns: TreeColumns, conditions: Sequence[Condition]
) -> dict[Any, _Lookup]:
    """Return the looked-up features that conditions need, by key."""
    found: dict[Any, _Lookup] = {}
    total = 0
    for condition in conditions:
        key = _key(condition)
        if isinstance(condition, NumericCondition) or key in found:
            continue
        if isinstance(condition, CategoryCondition):
            parts, dimensions = _dimensions((condition,), columns)
            lookup = _Lookup((condition.feature,), _equal(condition, columns).astype(np.float32))
        else:
            statistic = document.statistics[condition.statistic]
            elements = (*statistic.categories, *statistic.conditions)
            parts, dimensions = _dimensions(elements, columns)
            total += math.prod(dimensions)
            if total > _LARGEST_TABLE:
                raise ValueError(
                    "cannot export target statistics of combinations of this many categories: "
                    "train with a lower max_ctr_complexity"
                )
            hashes, known = _combinations(elements, columns)
            table = document.tables[statistic.table]
            lookup = _Lookup(parts, target_statistics.values(statistic, table, hashes, known))
        found[key] = lookup
    return found


Element = int | NumericCondition | CategoryCondition


def _dimensions(
    elements: Sequence[Element], columns: TreeColumns
) -> tuple[tuple[int | NumericCondition, ...], list[int]]:
    """Return the parts of a combination and how many values each has."""
    parts: list[int | NumericCondition] = []
    dimensions = []
    for element in elements:
        if isinstance(element, NumericCondition):
            parts.append(element)
            dimensions.append(2)
        else:
            feature = element if isinstance(element, int) else element.feature
            parts.append(feature)
            dimensions.append(columns.sizes[feature] + 2)
    return tuple(parts), dimensions


def _combinations(elements: Sequence[Element], columns: TreeColumns) -> tuple[Array, Array]:
    """Return the hash of every combination, and whether all its categories are ids."""
    hashes, known = np.zeros((), np.uint64), np.ones((), bool)
    for element in elements:
        inside = np.ones(2, bool)
        if isinstance(element, NumericCondition):
            values = np.arange(2, dtype=np.uint64)
        elif isinstance(element, CategoryCondition):
            values = _equal(element, columns).astype(np.uint64)
            inside = np.ones(len(values), bool)
        else:
            size = columns.sizes[element]
            values = np.pad(category_hashes.id_hashes(size), 1)
            inside = np.pad(np.ones(size, bool), 1)
        hashes = category_hashes.combine(hashes[..., None], values)
        known = known[..., None] & inside
    return hashes, known


def _equal(condition: CategoryCondition, columns: TreeColumns) -> Array:
    """Return which ids have a condition's category; the first and last stand for all others."""
    hashes = category_hashes.id_hashes(columns.sizes[condition.feature])
    return np.pad(hashes == np.int64(condition.category).astype(np.uint64), 1)


def _positions(
    lookups: Sequence[_Lookup], parts: Mapping[int | NumericCondition, int]
) -> tuple[Array, Array]:
    """Return the parts of each lookup and their strides."""
    width = max((len(lookup.parts) for lookup in lookups), default=0)
    indices = np.zeros((len(lookups), width), np.int32)
    strides = np.zeros((len(lookups), width), np.int32)
    for row, lookup in enumerate(lookups):
        for column, part in enumerate(lookup.parts):
            indices[row, column] = parts[part]
            strides[row, column] = math.prod(lookup.values.shape[column + 1 :])
    return indices, strides


def _first_ids(lookups: Iterable[_Lookup]) -> list[int]:
    """Return the position of the ids 0 among the values of each lookup, which begin at -1."""
    return [
        sum(
            math.prod(lookup.values.shape[column + 1 :])
            for column, part in enumerate(lookup.parts)
            if isinstance(part, int)
        )
        for lookup in lookups
    ]


def _leaves(trees: Sequence[Tree], order: Mapping[Condition, int]) -> tuple[Array, Array, Array]:
    """Return the splits, offsets and leaves of trees that have at least one condition.

    A tree that is not as deep as the deepest repeats its last condition: leaves whose last bits
    differ are never reached, and stay 0.
    """
    depth = max((len(tree.conditions) for tree in trees), default=0)
    units = trees[0].leaves.shape[1] if trees else 1
    splits = np.zeros((len(trees), depth), np.int32)
    leaves = np.zeros((len(trees), 2**depth, units), np.float64)
    for row, tree in enumerate(trees):
        given = len(tree.conditions)
        last = tree.conditions[-1]
        conditions = (*tree.conditions, *(last,) * (depth - given))
        splits[row] = [order[condition] for condition in conditions]
        half = 2 ** (given - 1)
        leaves[row, :half] = tree.leaves[:half]
        # The last condition's true leaves, where all its repetitions are true as well.
        start = 2**depth - half
        leaves[row, start:] = tree.leaves[half:]
    offsets = np.arange(len(trees), dtype=np.int32) * 2**depth
    return splits, offsets, leaves.reshape(len(trees) * 2**depth, units)
