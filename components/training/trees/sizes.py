"""How many rows and trees a training takes, and its learning rate. Pure arithmetic.

CatBoost's time grows with rows, columns and trees. It is bounded by rules on those numbers, not by
a clock, so that the same data and seed always give the same trees.
"""

import math
from dataclasses import dataclass

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.artifacts.supervised_task import TaskKind
from kfp_tabular.components.training.input.packed_rows import ColumnLayout
from kfp_tabular.components.training.trees import column_choice
from kfp_tabular.components.training.trees.export.tree_columns import TreeColumns

MOST_TREES = 1000
FEWEST_TREES = 150

GROWTH = 2
"""As long as the loss on held-out rows falls, so many times the trees are grown that the learning
rate is made for."""

TREES_WITHOUT_EVAL = 500
"""Most trees without an eval split, where nothing tells which number is best."""

ORDERED_ROWS = 2000
"""With at most as many rows of classes, each tree is fitted to predictions of trees that have not
seen the row."""

LARGEST_ONE_HOT = 16
"""A column with at most as many ids is split by equality; others by target statistics."""

# Nanoseconds of one core for a row and a tree of depth 6, as measured.
_WORK = 20e9
_ROW = 60
_NUMBER = 13
_FEW_IDS = 15
_MANY_IDS = 75
_ORDERED = 8  # Times as long, if boosting is ordered.


@dataclass(frozen=True)
class TreePlan:
    """The sizes of a training.

    Attributes:
        trees: The most trees to grow; early stopping ends before, unless the loss still falls.
        learning_rate: The factor of each tree's leaves.
        depth: Depth of every tree.
        l2: L2 regularization of the leaves.
        is_ordered: Whether boosting is ordered, as CatBoost calls it.
    """

    trees: int
    learning_rate: float
    depth: int
    l2: float
    is_ordered: bool = False


def most_rows(hyperparameters: Hyperparameters, layout: ColumnLayout, units: int) -> int:
    """Return how many rows of the train split trees are grown on.

    Args:
        hyperparameters: `tree_rows` if it is above 0; else as many as `FEWEST_TREES` take
            about ten seconds for on two cores.
        layout: The packed columns.
        units: Logits per row.

    Example:
        >>> layout = ColumnLayout("tip", ("fare", "miles"), ())
        >>> most_rows(Hyperparameters(), layout, units=1)
        1550387
    """
    if hyperparameters.tree_rows:
        return hyperparameters.tree_rows
    used = [layout.categorical[index] for index in column_choice.without_copies(layout)]
    few = sum(column.size <= LARGEST_ONE_HOT for column in used)
    ordered = sum(column.is_ordered for column in used)
    numbers = column_choice.number_count(layout) + ordered
    work = _tree_work(numbers, few, len(used) - few, units)
    return max(1000, int(_WORK / (FEWEST_TREES * work * _depth_factor(hyperparameters))))


def plan(
    hyperparameters: Hyperparameters,
    columns: TreeColumns,
    *,
    kind: TaskKind,
    units: int,
    rows: int,
    has_eval: bool,
    stops_early: bool = True,
) -> TreePlan:
    """Return the sizes of a training.

    Args:
        hyperparameters: Its `tree_...` values; 0 chooses.
        columns: The columns that trees see.
        kind: The task's kind.
        units: Logits per row.
        rows: Training rows.
        has_eval: Whether rows are held out to choose the best number of trees.
        stops_early: Whether growing ends once their loss no longer falls.

    Example:
        >>> columns = TreeColumns((0, 1, 2))
        >>> small = plan(
        ...     Hyperparameters(), columns, kind="binary", units=1, rows=2000, has_eval=True
        ... )
        >>> small.trees, round(small.learning_rate, 3), small.is_ordered
        (2000, 0.038, True)
    """
    few = sum(size <= LARGEST_ONE_HOT for size in columns.sizes)
    work = _tree_work(columns.numbers, few, len(columns.sizes) - few, units)
    affordable = int(_WORK / (rows * work * _depth_factor(hyperparameters)))
    is_ordered = (
        kind != "regression" and rows <= ORDERED_ROWS and affordable >= _ORDERED * FEWEST_TREES
    )
    if is_ordered:
        affordable //= _ORDERED
    most = MOST_TREES if has_eval else TREES_WITHOUT_EVAL
    trees = hyperparameters.tree_count or min(most, max(FEWEST_TREES, affordable))
    rate = hyperparameters.tree_learning_rate or learning_rate(kind, rows, trees, has_eval=has_eval)
    if has_eval and stops_early and not hyperparameters.tree_count:
        trees *= GROWTH
    return TreePlan(
        trees, rate, hyperparameters.tree_depth, hyperparameters.tree_l2, is_ordered=is_ordered
    )


def learning_rate(kind: TaskKind, rows: int, trees: int, *, has_eval: bool) -> float:
    """Return CatBoost's own choice of the learning rate, at most 0.5.

    It grows with the rows and falls with the trees. CatBoost itself only makes it if no other
    parameter of the leaves is set.

    Args:
        kind: The task's kind.
        rows: Training rows.
        trees: The most trees.
        has_eval: Whether the best number of trees is chosen.

    Example:
        >>> round(learning_rate("binary", rows=10_563, trees=1000, has_eval=True), 3)
        0.057
    """
    size, start, decay = _RATES[kind, has_eval]
    rate = math.exp(size * math.log(rows) + start + decay * math.log(trees / 1000))
    return min(0.5, round(rate, 6))


_RATES: dict[tuple[TaskKind, bool], tuple[float, float, float]] = {
    ("binary", True): (0.247, -5.158, -0.435),
    ("binary", False): (0.427, -7.525, -0.917),
    ("multiclass", True): (0.02, -2.364, -0.382),
    ("multiclass", False): (0.051, -2.889, -0.845),
    ("regression", True): (0.157, -4.062, -0.61),
    ("regression", False): (0.158, -4.287, -0.813),
}
"""Exponent of the rows, logarithm of the factor, exponent of the trees over 1,000."""


def _tree_work(numbers: int, few_ids: int, many_ids: int, units: int) -> float:
    """Return nanoseconds per row and tree."""
    return units * (_ROW + _NUMBER * numbers + _FEW_IDS * few_ids + _MANY_IDS * many_ids)


def _depth_factor(hyperparameters: Hyperparameters) -> float:
    return hyperparameters.tree_depth / 6
