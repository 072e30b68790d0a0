"""Inputs that say the same: a model may use either, so their importance is shared.

Numbers are compared by Spearman's rank correlation, a number and a category by the correlation
ratio of the ranks, two categories by Cramér's V; both of the latter corrected for chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.statistics.bootstrap import Floats, Ints
from kfp_tabular.components.evaluation.explanations import feature_grid
from kfp_tabular.components.evaluation.explanations.row_sample import SampledRows

STRONG = 0.8
MOST_INPUTS = 50

_MOST_CATEGORIES = 100
_MOST_ROWS = 2000
_LEAST_ROWS = 50


@dataclass(frozen=True)
class SharedPair:
    """Two inputs that are strongly related.

    Attributes:
        first: The name of the more important one.
        second: The name of the other one.
        strength: From `STRONG` to 1.
    """

    first: str
    second: str
    strength: float


def find(rows: SampledRows, inputs: Sequence[ModelInput]) -> list[SharedPair]:
    """Return the strongly related pairs among inputs, the strongest first.

    Args:
        rows: The sampled rows.
        inputs: The inputs, the most important first; at most `MOST_INPUTS` are compared.

    Example:
        >>> miles = np.arange(100, dtype=np.float32)
        >>> rows = SampledRows({"miles": miles, "fare": miles ** 2}, miles)
        >>> find(rows, [ModelInput(name, "float32", False, name) for name in ("fare", "miles")])
        [SharedPair(first='fare', second='miles', strength=1.0)]
    """
    compared = rows.first(_MOST_ROWS)
    columns = [_column(compared, given) for given in inputs[:MOST_INPUTS]]
    found = []
    for place, first in enumerate(columns):
        for second in columns[place + 1 :]:
            strength = _strength(first, second)
            if strength >= STRONG:
                found.append(SharedPair(first.name, second.name, round(strength, 4)))
    return sorted(found, key=lambda pair: -pair.strength)


@dataclass(frozen=True)
class _Column:
    """Values for comparison: ranks of numbers, codes of categories.

    Attributes:
        name: The input's name.
        ranks: The ranks of numbers; None for categories.
        codes: The codes of categories; None for numbers.
        present: Which rows have a value.
    """

    name: str
    ranks: Floats | None
    codes: Ints | None
    present: npt.NDArray[np.bool_]


def _column(rows: SampledRows, given: ModelInput) -> _Column:
    values = rows.inputs[given.input]
    present = ~feature_grid.is_missing(values, given)
    if given.dtype != "string":
        return _Column(given.name, _ranks(values.astype(np.float64), present), None, present)
    _, codes = np.unique(values, return_inverse=True)
    counts = np.bincount(codes)
    order = np.argsort(-counts, kind="stable")
    merged = np.full(len(counts), min(len(counts), _MOST_CATEGORIES), np.int64)
    merged[order[:_MOST_CATEGORIES]] = np.arange(min(len(counts), _MOST_CATEGORIES))
    return _Column(given.name, None, merged[codes], present)


def _ranks(values: Floats, present: npt.NDArray[np.bool_]) -> Floats:
    ranks = np.zeros(len(values))
    _, inverse, counts = np.unique(values[present], return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks[present] = (ends - (counts - 1) / 2)[inverse]
    return ranks


def _strength(first: _Column, second: _Column) -> float:
    both = first.present & second.present
    rows = int(both.sum())
    # Two columns that are rarely present together say little about one another.
    if rows < _LEAST_ROWS or rows < min(first.present.sum(), second.present.sum()) / 2:
        return 0.0
    if first.ranks is not None and second.ranks is not None:
        return abs(_correlation(first.ranks[both], second.ranks[both]))
    if first.codes is not None and second.codes is not None:
        return _association(first.codes[both], second.codes[both])
    if first.ranks is not None and second.codes is not None:
        return _ratio(first.ranks[both], second.codes[both])
    if second.ranks is not None and first.codes is not None:
        return _ratio(second.ranks[both], first.codes[both])
    return 0.0


def _correlation(first: Floats, second: Floats) -> float:
    first, second = first - first.mean(), second - second.mean()
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / scale) if scale > 0 else 0.0


def _ratio(ranks: Floats, codes: Ints) -> float:
    """Return the correlation ratio, adjusted for the number of groups as R2 is."""
    rows = np.bincount(codes)
    groups = int((rows > 0).sum())
    total = float(((ranks - ranks.mean()) ** 2).sum())
    if total <= 0 or groups < 2 or len(ranks) <= groups:
        return 0.0
    means = np.bincount(codes, ranks) / np.maximum(rows, 1)
    within = float(((ranks - means[codes]) ** 2).sum())
    share = 1 - within / total * (len(ranks) - 1) / (len(ranks) - groups)
    return float(np.sqrt(max(share, 0.0)))


def _association(first: Ints, second: Ints) -> float:
    """Return Cramér's V, corrected for chance (Bergsma, 2013)."""
    width = int(second.max()) + 1
    counts = np.bincount(first * width + second, minlength=(int(first.max()) + 1) * width)
    table = counts.reshape(-1, width).astype(np.float64)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    rows, (high, wide) = table.sum(), table.shape
    if min(high, wide) < 2:
        return 0.0
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / rows
    squared = float(((table - expected) ** 2 / expected).sum()) / rows
    squared = max(squared - (high - 1) * (wide - 1) / (rows - 1), 0.0)
    least = min(high - (high - 1) ** 2 / (rows - 1), wide - (wide - 1) ** 2 / (rows - 1)) - 1
    return float(min(np.sqrt(squared / least), 1.0)) if least > 0 else 0.0
