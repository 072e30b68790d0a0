"""Distances between two distributions: between splits (skew), and from earlier data (drift).

Categorical columns are compared by the L-infinity distance, numbers by the Jensen-Shannon
divergence, as in TFDV. The divergence is computed here, because TFDV computes it over ten bins of
equal width: where a column has a long tail, two halves of the same data come out as far apart
(see docs/decisions).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

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
        categorical = not a.numeric or is_categorical(feature)
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
    bins = Bins.of(b)
    return bins.divergence(_shares(np.asarray(a, dtype=np.float64), bins.edges, bins.heavy))


@dataclass(frozen=True)
class Bins:
    """Bins that a distribution sets, and its share of each.

    Attributes:
        edges: Ascending; a bin holds the numbers above the edge before it, up to its own.
        heavy: Edges that are a bin of their own, since many numbers are equal to them.
        shares: The distribution's share of each bin; the last is above all edges.
    """

    edges: Floats
    heavy: npt.NDArray[np.bool_]
    shares: Floats

    @classmethod
    def of(cls, quantiles: Sequence[float]) -> "Bins":
        """Return the bins of a distribution, given by its quantiles."""
        numbers = np.asarray(quantiles, dtype=np.float64)
        levels = np.linspace(0, 1, _BINS + 1)
        edges = np.unique(np.quantile(numbers, levels, method="inverted_cdf"))
        below, up_to = _cumulative(numbers, edges)
        heavy = up_to - below >= 0.5 / _BINS
        return cls(edges, heavy, _shares(numbers, edges, heavy))

    @classmethod
    def of_values(cls, values: Sequence[float], rows: Sequence[int]) -> "Bins":
        """Return the bins of a distribution, given by all its values and the rows of each.

        Example:
            >>> Bins.of_values([0, 1], [1, 3]).shares.tolist()
            [0.0, 0.25, 0.0, 0.75, 0.0]
        """
        order = np.argsort(values)
        numbers = np.asarray(values, np.float64)[order]
        counts = np.asarray(rows, np.int64)[order]
        ends = np.cumsum(counts)
        levels = np.linspace(0, 1, _BINS + 1) * ends[-1]
        edges = np.unique(numbers[np.searchsorted(ends, levels)])
        heavy = counts[np.searchsorted(numbers, edges)] >= 0.5 / _BINS * ends[-1]
        bins = cls(edges, heavy, np.empty(0))
        return cls(edges, heavy, bins.count(numbers, counts) / ends[-1])

    def count(
        self, numbers: "np.ndarray[Any, Any]", rows: "npt.NDArray[np.int64] | None" = None
    ) -> npt.NDArray[np.int64]:
        """Count numbers by bin; they are compared in their own type. NaN is not counted.

        Args:
            numbers: Floats or whole numbers.
            rows: How often each occurs; None for once.

        Example:
            >>> Bins.of([0, 1, 1, 1, 2]).count(np.array([0.5, 1, 1, np.nan, 7])).tolist()
            [0, 1, 2, 0, 1]
        """
        kind = numbers.dtype if numbers.dtype.kind == "f" else np.dtype(np.float64)
        edges = self.edges.astype(kind)
        ends = np.empty(2 * len(edges), kind)
        ends[0::2], ends[1::2] = np.nextafter(edges, kind.type(-np.inf)), edges
        counts = np.bincount(np.searchsorted(ends, numbers), rows, 2 * len(edges) + 1)
        if numbers.dtype.kind == "f":
            counts[-1] -= np.count_nonzero(np.isnan(numbers))
        # What is below a light edge and what is equal to it are one bin.
        below, equal = counts[0:-1:2], counts[1::2]
        joined = [
            part
            for low, at, is_heavy in zip(below, equal, self.heavy, strict=True)
            for part in ((low, at) if is_heavy else (low + at,))
        ]
        return np.array([*joined, counts[-1]], np.int64)

    def divergence(self, shares: Floats) -> float:
        """Return the Jensen-Shannon divergence of a distribution by its share of each bin."""
        middle = (shares + self.shares) / 2
        measured = (_information(shares, middle) + _information(self.shares, middle)) / 2
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


def is_categorical(feature: "schema_pb2.Feature") -> bool:
    """Return whether a schema says that a column's numbers stand for categories."""
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
