"""How far distributions are apart: between splits (skew), and from earlier data (drift).

Categorical columns by the L-infinity distance, numbers by the Jensen-Shannon divergence, as in
TFDV. The divergence is computed here: TFDV takes it over ten bins of equal width, and with a long
tail two halves of the same data come out as far apart (see docs/decisions).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.data_validation.anomalies import Anomaly
from kfp_tabular.components.data_validation.statistics import Summary

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

EVERY_COLUMN = "*"

Kind = Literal["skew", "drift"]
Measure = Literal["L_INFTY", "JENSEN_SHANNON_DIVERGENCE"]

_NAMES = {
    "L_INFTY": "L-infinity distance",
    "JENSEN_SHANNON_DIVERGENCE": "Jensen-Shannon divergence",
}
_REASONS = {
    "L_INFTY": "COMPARATOR_L_INFTY_HIGH",
    "JENSEN_SHANNON_DIVERGENCE": "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH",
}
_BINS = 10
_DECIMALS = 9  # numpy's logarithm is not the same to the last bit in every version

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distance:
    """How far a column's distribution in a split is from another.

    Attributes:
        column: The column.
        split: The split.
        kind: `skew` against the train split, `drift` against the same split of earlier data.
        measure: How it was measured; from 0 (the same) to 1 (nothing in common).
        value: The distance.
        threshold: What it may be at most, or None where that was not said.
    """

    column: str
    split: str
    kind: Kind
    measure: Measure
    value: float
    threshold: float | None

    @property
    def too_far(self) -> bool:
        """Whether the distance is above the threshold."""
        return self.threshold is not None and self.value > self.threshold

    @property
    def measure_name(self) -> str:
        """The measure as people call it."""
        return _NAMES[self.measure]

    def anomaly(self) -> Anomaly:
        """Describes a distance that is too far."""
        other = "the train split" if self.kind == "skew" else "the earlier data"
        return Anomaly(
            severity="error",
            column=self.column,
            split=self.split,
            kind=f"{self.kind} against {other}",
            expected=f"{self.measure_name} at most {self.threshold:g}",
            found=f"{self.value:.4g}",
            reason=_REASONS[self.measure],
        )


@dataclass(frozen=True)
class Thresholds:
    """What distances may be.

    Attributes:
        by_column: The largest distance, by column.
        every: That of the columns not named; None for no check.
    """

    by_column: Mapping[str, float]
    every: float | None = None

    @classmethod
    def parse(
        cls, given: Mapping[str, float], argument: str, columns: Sequence[str]
    ) -> "Thresholds":
        """Checks thresholds as somebody wrote them.

        Args:
            given: A threshold by column, `*` for every column not named.
            argument: The argument's name, for messages.
            columns: The columns of the data.

        Raises:
            UserError: Where a column is unknown or a threshold is not between 0 and 1.
        """
        for name, value in given.items():
            if name != EVERY_COLUMN and name not in columns:
                raise UserError(
                    f"{argument}: there is no column {name!r}.{closest(name, columns)} "
                    "Use '*' for every column."
                )
            number = not isinstance(value, bool) and isinstance(value, int | float)
            if not number or not 0 <= value <= 1:
                raise UserError(
                    f"{argument}: {name!r}: expected a number between 0 and 1, found {value!r}."
                )
        named = {name: float(value) for name, value in given.items() if name != EVERY_COLUMN}
        every = given.get(EVERY_COLUMN)
        return cls(named, None if every is None else float(every))

    def of(self, feature: "schema_pb2.Feature", kind: Kind) -> float | None:
        """Gives a column's threshold: given by name, else its comparator's in the schema, else `*`.

        `*` leaves points in time alone, which move on by nature.
        """
        if feature.name in self.by_column:
            return self.by_column[feature.name]
        comparator = feature.skew_comparator if kind == "skew" else feature.drift_comparator
        for field in ("infinity_norm", "jensen_shannon_divergence"):
            if comparator.HasField(field):
                return float(getattr(comparator, field).threshold)
        return None if feature.WhichOneof("domain_info") == "time_domain" else self.every


def distances(
    schema: "schema_pb2.Schema",
    kind: Kind,
    split: str,
    now: Mapping[str, Summary],
    before: Mapping[str, Summary],
    thresholds: Thresholds,
) -> list[Distance]:
    """Measures every column that has values on both sides.

    Args:
        schema: Tells which columns are categorical, and may hold thresholds.
        kind: Whether this is skew or drift.
        split: The split that `now` describes.
        now: The columns' statistics.
        before: What to compare with: the train split's, or those of earlier data.
        thresholds: What distances may be.
    """
    found = []
    for feature in schema.feature:
        a, b = now.get(feature.name), before.get(feature.name)
        if a is None or b is None or not a.present or not b.present or a.numeric != b.numeric:
            continue
        categorical = not a.numeric or _categorical(feature)
        measure: Measure
        if categorical and a.ranked and b.ranked:
            measure, value = "L_INFTY", l_infinity(a, b)
        elif len(a.quantiles) > 1 and len(b.quantiles) > 1:
            measure, value = "JENSEN_SHANNON_DIVERGENCE", divergence(a.quantiles, b.quantiles)
        else:
            continue
        threshold = thresholds.of(feature, kind)
        found.append(Distance(feature.name, split, kind, measure, value, threshold))
    return found


def l_infinity(a: Summary, b: Summary) -> float:
    """Gives the largest difference between the shares that a value has on either side."""
    left, right = dict(a.ranked), dict(b.ranked)
    return max(
        abs(left.get(value, 0) / a.present - right.get(value, 0) / b.present)
        for value in left.keys() | right.keys()
    )


def divergence(a: Sequence[float], b: Sequence[float]) -> float:
    """Gives the Jensen-Shannon divergence of two distributions, known by their quantiles.

    The bins are set by the second one's deciles, so that a long tail does not decide them; a
    value that is repeated often is a bin of its own.

    Args:
        a: Equally spaced quantiles, from minimum to maximum.
        b: The same of the other distribution; may differ in number.

    Returns:
        With logarithms to base 2: from 0, the same, to 1, no overlap.
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
    """Gives the distances as TensorFlow Metadata has them, a proto per column."""
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
    """Gives a distribution's share of each bin: up to an edge, at a heavy edge, after the last."""
    below, up_to = _cumulative(quantiles, edges)
    cuts = np.sort(np.concatenate([[0.0], up_to, below[heavy], [1.0]]))
    return np.asarray(np.diff(cuts))


def _cumulative(quantiles: Floats, points: Floats) -> tuple[Floats, Floats]:
    """Gives the share of values below each point, and that of values up to and with it.

    Linear between distinct quantiles; a quantile that is repeated is a step.
    """
    levels = np.linspace(0, 1, len(quantiles))
    values, first, repeats = np.unique(quantiles, return_index=True, return_counts=True)
    low, high = levels[first], levels[first + repeats - 1]
    # The smallest value is where the distribution starts, whether or not it is repeated.
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
    """Gives the Kullback-Leibler divergence of p from the middle, in bits."""
    some = p > 0
    terms = p[some] * np.log2(p[some] / middle[some])
    return math.fsum(terms.tolist())
