"""Distances between two distributions: between splits (skew), and from earlier data (drift).

Categorical columns are compared by the L-infinity distance, numbers by the Jensen-Shannon
divergence, as in TFDV. The divergence is computed here, because TFDV computes it over ten bins of
equal width: where a column has a long tail, two halves of the same data come out as far apart
(see docs/decisions).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.statistics.column_summary import ColumnSummary
from kfp_tabular.components.common.statistics.distance_thresholds import (
    DistanceKind,
    DistanceThresholds,
)

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

Measure = Literal["L_INFTY", "JENSEN_SHANNON_DIVERGENCE"]

_NAMES = {
    "L_INFTY": "L-infinity distance",
    "JENSEN_SHANNON_DIVERGENCE": "Jensen-Shannon divergence",
}
_BINS = 10
_DECIMALS = 9  # numpy's logarithm differs in the last bit between versions

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distance:
    """The distance between a column's distribution in a split and another distribution.

    Attributes:
        column: The column.
        split: The split.
        kind: `skew`: against the train split. `drift`: against the same split of earlier data.
        measure: How it was measured.
        value: The distance, from 0 (equal) to 1 (no overlap).
        threshold: The largest distance allowed; None for no check.
    """

    column: str
    split: str
    kind: DistanceKind
    measure: Measure
    value: float
    threshold: float | None

    @property
    def is_too_far(self) -> bool:
        """Whether the distance is above the threshold."""
        return self.threshold is not None and self.value > self.threshold

    @property
    def measure_name(self) -> str:
        """The measure's usual name."""
        return _NAMES[self.measure]


def measure_columns(
    schema: "schema_pb2.Schema",
    kind: DistanceKind,
    split: str,
    now: Mapping[str, ColumnSummary],
    before: Mapping[str, ColumnSummary],
    thresholds: DistanceThresholds,
) -> list[Distance]:
    """Measure the distance of every column that has values on both sides.

    Args:
        schema: Says which columns are categorical; may hold thresholds.
        kind: `skew` or `drift`.
        split: The split that `now` describes.
        now: The summaries of the split's columns.
        before: The summaries to compare with: of the train split, or of earlier data.
        thresholds: The largest distances allowed.

    Example:
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> schema = schema_pb2.Schema(feature=[{"name": "payment"}])
        >>> old = {"payment": ColumnSummary(rows=10, missing=0, ranked=(("cash", 6), ("card", 4)))}
        >>> new = {"payment": ColumnSummary(rows=10, missing=0, ranked=(("cash", 1), ("card", 9)))}
        >>> limits = DistanceThresholds({}, every=0.1)
        >>> [found] = measure_columns(schema, "drift", "train", new, old, limits)
        >>> found.column, found.value, found.is_too_far
        ('payment', 0.5, True)
    """
    found = []
    for feature in schema.feature:
        a, b = now.get(feature.name), before.get(feature.name)
        if a is None or b is None or not a.present or not b.present or a.numeric != b.numeric:
            continue
        categorical = not a.numeric or _categorical(feature)
        measure: Measure
        if categorical and a.ranked and b.ranked:
            measure, value = "L_INFTY", l_infinity_distance(a, b)
        elif len(a.quantiles) > 1 and len(b.quantiles) > 1:
            measure, value = (
                "JENSEN_SHANNON_DIVERGENCE",
                jensen_shannon_divergence(a.quantiles, b.quantiles),
            )
        else:
            continue
        threshold = thresholds.of(feature, kind)
        found.append(Distance(feature.name, split, kind, measure, value, threshold))
    return found


def l_infinity_distance(a: ColumnSummary, b: ColumnSummary) -> float:
    """Return the largest difference between the shares that one value has on the two sides.

    Example:
        >>> cash = ColumnSummary(rows=10, missing=0, ranked=(("cash", 6), ("card", 4)))
        >>> card = ColumnSummary(rows=10, missing=0, ranked=(("cash", 1), ("card", 9)))
        >>> l_infinity_distance(cash, card)
        0.5
    """
    left, right = dict(a.ranked), dict(b.ranked)
    return max(
        abs(left.get(value, 0) / a.present - right.get(value, 0) / b.present)
        for value in left.keys() | right.keys()
    )


def jensen_shannon_divergence(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the Jensen-Shannon divergence of two distributions, given by their quantiles.

    The deciles of the second distribution set the bins, so a long tail does not widen them. A
    value that is repeated often gets a bin of its own.

    Args:
        a: Equally spaced quantiles, from minimum to maximum.
        b: The same for the other distribution; the number of quantiles may differ.

    Returns:
        The divergence with logarithms to base 2, from 0 (equal) to 1 (no overlap).

    Example:
        >>> jensen_shannon_divergence([0, 1, 2, 3], [0, 1, 2, 3])
        0.0
        >>> jensen_shannon_divergence([0, 1, 2, 3], [10, 11, 12, 13])
        1.0
    """
    levels = np.linspace(0, 1, _BINS + 1)
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    edges = np.unique(np.quantile(right, levels, method="inverted_cdf"))
    below, up_to = _cumulative(right, edges)
    heavy = up_to - below >= 0.5 / _BINS
    p, q = _shares(left, edges, heavy), _shares(right, edges, heavy)
    middle = (p + q) / 2
    measured = (_information(p, middle) + _information(q, middle)) / 2
    return round(max(0.0, min(1.0, measured)), _DECIMALS)


def to_protos(found: Sequence[Distance]) -> list["anomalies_pb2.DriftSkewInfo"]:
    """Return the distances as TensorFlow Metadata protos, one per column.

    Example:
        >>> [proto] = to_protos([Distance("fare", "eval", "skew", "L_INFTY", 0.5, threshold=0.25)])
        >>> proto.path.step, proto.skew_measurements[0].value, proto.skew_measurements[0].threshold
        (['fare'], 0.5, 0.25)
    """
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    protos: dict[str, anomalies_pb2.DriftSkewInfo] = {}
    for distance in found:
        proto = protos.setdefault(distance.column, anomalies_pb2.DriftSkewInfo())
        proto.path.step[:] = [distance.column]
        drift = distance.kind == "drift"
        measured = (proto.drift_measurements if drift else proto.skew_measurements).add()
        measured.type = anomalies_pb2.DriftSkewInfo.Measurement.Type.Value(distance.measure)
        measured.value = distance.value
        if distance.threshold is not None:
            measured.threshold = distance.threshold
    return list(protos.values())


def _categorical(feature: "schema_pb2.Feature") -> bool:
    kind = feature.WhichOneof("domain_info")
    return kind == "bool_domain" or bool(feature.int_domain.is_categorical)


def _shares(quantiles: Floats, edges: Floats, heavy: npt.NDArray[np.bool_]) -> Floats:
    """Return a distribution's share of each bin: up to an edge, at a heavy edge, after the last."""
    below, up_to = _cumulative(quantiles, edges)
    cuts = np.sort(np.concatenate([[0.0], up_to, below[heavy], [1.0]]))
    return np.asarray(np.diff(cuts))


def _cumulative(quantiles: Floats, points: Floats) -> tuple[Floats, Floats]:
    """Return the share of values below each point, and the share up to and including it.

    Linear between distinct quantiles; a repeated quantile is a step.
    """
    levels = np.linspace(0, 1, len(quantiles))
    values, first, repeats = np.unique(quantiles, return_index=True, return_counts=True)
    low, high = levels[first], levels[first + repeats - 1]
    # The distribution starts at its smallest value, whether or not that is repeated.
    low[0] = 0.0
    after = np.searchsorted(values, points, side="right")
    before = np.searchsorted(values, points, side="left")
    at_value = after > before
    left = np.clip(after - 1, 0, len(values) - 1)
    right = np.clip(after, 0, len(values) - 1)
    width = values[right] - values[left]
    part = np.divide(points - values[left], width, out=np.zeros_like(points), where=width > 0)
    between = high[left] + part * (low[right] - high[left])
    between = np.where(after == 0, 0.0, np.where(after == len(values), 1.0, between))
    index = np.clip(before, 0, len(values) - 1)
    return np.where(at_value, low[index], between), np.where(at_value, high[index], between)


def _information(p: Floats, middle: Floats) -> float:
    """Return the Kullback-Leibler divergence of p from the middle, in bits."""
    some = p > 0
    terms = p[some] * np.log2(p[some] / middle[some])
    return math.fsum(terms.tolist())
