"""Integrated gradients by raw feature (Sundararajan et al., 2017), along a path inside the model.

The path is the straight line between what the baseline and the row are at the model's embeddings
and numbers (`smooth_part`). Each number there belongs to the features that change it: what changes
when a single feature takes the row's value is that feature's part of the way. Where the parts do
not add up to the way, features were crossed before the cut, and the row needs Shapley values.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.explanation.coalitions import Floats
from kfp_tabular.components.common.explanation.mixed_rows import MixedRows
from kfp_tabular.components.common.explanation.smooth_part import SmoothPart

TOLERANCE = 1e-3
"""How far the sum of attributions may be from the change of the prediction: an amount for
probabilities, a share of the larger prediction for regression."""

_STEPS = (16, 64, 256, 1024)
_BATCH_ROWS = 4_096
_CELLS = 4_000_000
_MOST_CELLS = 30_000_000
"""Features times numbers at the cut. A row's parts take so many numbers of eight bytes."""
_SAME = 1e-5


@dataclass(frozen=True)
class PathGradients:
    """Attributions along the path.

    Attributes:
        values: Attributions, `[rows, features]`.
        gaps: How far their sum is from the change of the prediction, `[rows]`; infinite where there
            are no attributions.
    """

    values: Floats
    gaps: Floats


def path_gradients(
    rows: MixedRows,
    part: SmoothPart,
    weights: npt.NDArray[Any],
    change: Floats,
    allowed: Floats,
) -> PathGradients:
    """Return attributions of rows.

    Args:
        rows: The rows and the baseline.
        part: The smooth part of the model.
        weights: What is explained of the answers, `[rows, classes]`: 1 for one of them.
        change: How far the prediction is from the baseline's, `[rows]`.
        allowed: The gap that is small enough, by row; as long as a gap is more than half of it,
            the path gets more steps.
    """
    features = len(rows.inputs)
    values = np.zeros((len(rows), features))
    gaps = np.full(len(rows), np.inf)
    if features * part.width > _MOST_CELLS:
        return PathGradients(values, gaps)
    size = max(1, _batch_rows(part) // (features + 2))
    for start in range(0, len(rows), size):
        block = np.arange(start, min(start + size, len(rows)))
        shares = _shares(rows.part(block), part)
        if shares is None:
            continue
        for steps in _STEPS:
            left = np.flatnonzero(~(gaps[block] <= allowed[block] / 2) & shares.is_whole)
            if not len(left):
                break
            chosen = block[left]
            found = _integrated(shares.take(left), part, weights[chosen], steps)
            found[~np.isfinite(found).all(axis=1)] = np.nan
            values[chosen] = found
            gaps[chosen] = np.abs(found.sum(axis=1) - change[chosen])
    gaps[np.isnan(gaps)] = np.inf
    return PathGradients(values, gaps)


@dataclass(frozen=True)
class _Shares:
    """The way of rows at the cut, and what each feature has of it.

    Attributes:
        base: What the baseline is there.
        parts: By tensor at the cut: `[rows, features, numbers]`.
        is_whole: Whether a row's parts add up to its way.
    """

    base: list[npt.NDArray[Any]]
    parts: list[Floats]
    is_whole: npt.NDArray[np.bool_]

    def take(self, rows: npt.NDArray[np.int64]) -> "_Shares":
        return _Shares(self.base, [part[rows] for part in self.parts], self.is_whole[rows])


def _shares(rows: MixedRows, part: SmoothPart) -> _Shares | None:
    count, features = len(rows), len(rows.inputs)
    nothing, whole = np.zeros((1, features), np.bool_), np.ones((count, features), np.bool_)
    alone = np.tile(np.eye(features, dtype=np.bool_), (count, 1))
    masks = np.concatenate([nothing, whole, alone])
    places = np.concatenate([[0], np.arange(count), np.repeat(np.arange(count), features)])
    found = part.inner(rows.mixed(places, masks))
    differs = rows.differs()
    base, parts = [], []
    is_whole = np.ones(count, np.bool_)
    for values in found:
        if values.shape[:1] != masks.shape[:1]:
            return None
        is_whole &= _finite(values, count)
        flat = np.nan_to_num(values.reshape(len(masks), -1).astype(np.float64), posinf=0, neginf=0)
        start = flat[0]
        way = flat[1 : count + 1] - start
        own = flat[count + 1 :].reshape(count, features, -1) - start
        own[~differs] = 0.0
        allowed = _SAME * (1.0 + np.abs(start) + np.abs(way))
        is_whole &= (np.abs(own.sum(axis=1) - way) <= allowed).all(axis=1)
        base.append(values[:1])
        parts.append(own)
    return _Shares(base, parts, is_whole)


def _finite(values: npt.NDArray[Any], count: int) -> npt.NDArray[np.bool_]:
    """Return whether the numbers of the baseline and of each row are finite."""
    ends = np.isfinite(values[: count + 1].reshape(count + 1, -1)).all(axis=1)
    return np.asarray(ends[1:] & ends[0])


def _integrated(shares: _Shares, part: SmoothPart, weights: npt.NDArray[Any], steps: int) -> Floats:
    """Return the integral of the gradients along the path, by feature."""
    nodes, lengths = np.polynomial.legendre.leggauss(steps)
    nodes, lengths = (nodes + 1) / 2, lengths / 2
    ways = [own.sum(axis=1) for own in shares.parts]
    totals: list[list[Floats]] = [[] for _ in ways]
    size = max(1, _batch_rows(part) // steps)
    for start in range(0, len(weights), size):
        rows = slice(start, start + size)
        count = len(weights[rows])
        arrays = [
            (base.reshape(1, 1, -1) + nodes[:, None] * way[rows, None])
            .astype(base.dtype)
            .reshape(count * steps, *base.shape[1:])
            for base, way in zip(shares.base, ways, strict=True)
        ]
        slopes = part.gradients(arrays, np.repeat(weights[rows], steps, axis=0))
        for total, slope in zip(totals, slopes, strict=True):
            total.append(np.einsum("s,rsn->rn", lengths, slope.reshape(count, steps, -1)))
    parts = zip(shares.parts, totals, strict=True)
    return np.asarray(
        sum(np.einsum("rfn,rn->rf", own, np.concatenate(total)) for own, total in parts)
    )


def _batch_rows(part: SmoothPart) -> int:
    return min(_BATCH_ROWS, _CELLS // max(part.width, 1))
