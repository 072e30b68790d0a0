"""A column's statistics as a plain dataclass, read from TFDV's protos."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2

VALUE_COUNTS = "value_counts"
"""Custom statistic of whole numbers with few distinct values: rows by value."""

QUANTILES = "quantiles"
"""Custom statistic of numbers: quantiles of an evenly spread sample of finite values."""


@dataclass(frozen=True)
class ColumnSummary:
    """The statistics of one column in one split.

    Attributes:
        rows: Rows in the split.
        missing: Rows without a value. NaN counts as a value here.
        nan: Rows that hold NaN.
        numeric: Whether the column holds numbers; the fields from `low` to `zeros` and
            `quantiles` are set only then.
        low: The smallest value; may be infinite.
        high: The largest value; may be infinite.
        mean: Mean of the values that are not NaN.
        deviation: Standard deviation of the same values.
        median: Approximate median.
        zeros: Rows that hold 0.
        distinct: Distinct texts, approximate beyond 16,384. For numbers, the length of `ranked`.
        ranked: The most frequent texts with their rows, most frequent first: up to 1000 (100 where
            there are many columns). Also set for whole numbers with few distinct values.
        quantiles: Values below which 0, 1/n, 2/n, ... 1 of the rows lie; finite and ascending.

    Example:
        >>> ColumnSummary(rows=10, missing=3, distinct=2, ranked=(("a", 4), ("b", 3))).present
        7
    """

    rows: int
    missing: int
    nan: int = 0
    numeric: bool = False
    low: float = math.nan
    high: float = math.nan
    mean: float = math.nan
    deviation: float = math.nan
    median: float = math.nan
    zeros: int = 0
    distinct: int = 0
    ranked: tuple[tuple[str, int], ...] = ()
    quantiles: tuple[float, ...] = ()

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing


SplitSummaries = Mapping[str, Mapping[str, ColumnSummary]]
"""Summaries by split, then by column."""


def summarize(
    statistics: "statistics_pb2.DatasetFeatureStatisticsList",
) -> dict[str, ColumnSummary]:
    """Return a summary of each column, by its name.

    Args:
        statistics: TFDV statistics of one split. Statistics that another program computed lack
            our custom statistics: quantiles come from TFDV's histogram then.

    Example:
        >>> from google.protobuf import text_format
        >>> from tensorflow_metadata.proto.v0 import statistics_pb2
        >>> text = "num_stats { common_stats { num_non_missing: 8 } min: 1 max: 9 mean: 4 }"
        >>> text = f"datasets {{ num_examples: 10 features {{ name: 'fare' {text} }} }}"
        >>> proto = text_format.Parse(text, statistics_pb2.DatasetFeatureStatisticsList())
        >>> fare = summarize(proto)["fare"]
        >>> fare.missing, fare.low, fare.high, fare.mean
        (2, 1.0, 9.0, 4.0)
    """
    dataset = statistics.datasets[0]
    return {feature_name(f): _summary(f, dataset.num_examples) for f in dataset.features}


def feature_name(feature: "statistics_pb2.FeatureNameStatistics") -> str:
    """Return a column's name; a dot in it is part of the name.

    Example:
        >>> from tensorflow_metadata.proto.v0 import statistics_pb2
        >>> feature_name(statistics_pb2.FeatureNameStatistics(path={"step": ["trip.miles"]}))
        'trip.miles'
    """
    return ".".join(feature.path.step) if feature.path.step else str(feature.name)


def _summary(feature: "statistics_pb2.FeatureNameStatistics", rows: int) -> ColumnSummary:
    ranked = tuple(
        (bucket.label, round(bucket.sample_count))
        for custom in feature.custom_stats
        if custom.name == VALUE_COUNTS
        for bucket in custom.rank_histogram.buckets
    )
    if feature.WhichOneof("stats") == "num_stats":
        numbers = feature.num_stats
        common = numbers.common_stats
        nan = int(numbers.histograms[0].num_nan) if numbers.histograms else 0
        missing = rows - int(common.num_non_missing)
        if rows - missing - nan == 0:
            return ColumnSummary(rows=rows, missing=missing, nan=nan, numeric=True)
        return ColumnSummary(
            rows=rows,
            missing=missing,
            nan=nan,
            numeric=True,
            low=numbers.min,
            high=numbers.max,
            mean=numbers.mean,
            deviation=numbers.std_dev,
            median=numbers.median,
            zeros=int(numbers.num_zeros),
            distinct=len(ranked),
            ranked=ranked,
            quantiles=_quantiles(feature),
        )
    texts = feature.string_stats
    return ColumnSummary(
        rows=rows,
        missing=rows - int(texts.common_stats.num_non_missing),
        distinct=int(texts.unique),
        ranked=tuple((b.label, round(b.sample_count)) for b in texts.rank_histogram.buckets),
    )


def _quantiles(feature: "statistics_pb2.FeatureNameStatistics") -> tuple[float, ...]:
    """Return our quantiles, or TFDV's where another program computed the statistics."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    ours = [custom.histogram for custom in feature.custom_stats if custom.name == QUANTILES]
    theirs = [
        histogram
        for histogram in feature.num_stats.histograms
        if histogram.type == statistics_pb2.Histogram.QUANTILES
    ]
    for histogram in (ours + theirs)[:1]:
        edges = [bucket.low_value for bucket in histogram.buckets[:1]]
        edges += [bucket.high_value for bucket in histogram.buckets]
        return tuple(edge for edge in edges if math.isfinite(edge))
    return ()
