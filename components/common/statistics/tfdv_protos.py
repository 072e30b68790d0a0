"""TFDV's protos of statistics, made from our accumulators.

They hold what TFDV's own generators write, and two custom statistics that later comparisons need:
TFDV's ten bins of equal width hide the shape of a column with a long tail, and its statistics of
whole numbers do not count values.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from kfp_tabular.components.common.statistics.column_folds import (
    ColumnFold,
    NumberColumn,
    TextColumn,
)
from kfp_tabular.components.common.statistics.column_summary import QUANTILES, VALUE_COUNTS
from kfp_tabular.components.common.statistics.split_folds import WIDE, SplitStatistics

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2

MOST_CODES = 100
"""A whole-number column with more distinct values than this does not hold codes."""

_BARS = 10
_TOP_TEXTS = 20
_LARGE_TEXT = 1_024  # bytes; TFDV replaces longer texts
_LARGE_TEXT_NAME = "__LARGE_BYTES__"


def to_protos(
    found: Mapping[str, SplitStatistics], splits: Sequence[str], columns: Sequence[str]
) -> dict[str, "statistics_pb2.DatasetFeatureStatisticsList"]:
    """Return the statistics of each split as a list proto with one dataset.

    Args:
        found: The statistics, by split; those without rows may be absent.
        splits: The splits, in order.
        columns: The order of the features.
    """
    from tensorflow_metadata.proto.v0 import statistics_pb2

    codes = codes_among(found)
    protos = {}
    for split in splits:
        dataset = statistics_pb2.DatasetFeatureStatistics(name=split)
        if split in found:
            dataset.num_examples = found[split].rows
            for name in columns:
                column = found[split].columns[name]
                feature = dataset.features.add()
                feature.path.step.append(name)
                _fill(feature, column, len(columns) > WIDE)
                if isinstance(column, NumberColumn):
                    _add_custom(feature, column, name in codes, len(columns) > WIDE)
        protos[split] = statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset])
    return protos


def codes_among(found: Mapping[str, SplitStatistics]) -> set[str]:
    """Return the whole-number columns with at most `MOST_CODES` values in all splits together."""
    values: dict[str, set[int]] = {}
    for statistics in found.values():
        for name, column in statistics.columns.items():
            if isinstance(column, NumberColumn) and column.is_whole:
                few = column.counts.dropped < 0 and len(column.counts) <= MOST_CODES
                seen = column.counts.integers().tolist() if few else range(MOST_CODES + 1)
                values.setdefault(name, set()).update(seen if column.finite else ())
    return {name for name, seen in values.items() if len(seen) <= MOST_CODES}


def _fill(
    feature: "statistics_pb2.FeatureNameStatistics", column: ColumnFold, is_wide: bool
) -> None:
    from tensorflow_metadata.proto.v0 import statistics_pb2

    kinds = statistics_pb2.FeatureNameStatistics
    if isinstance(column, NumberColumn):
        feature.type = kinds.INT if column.is_whole else kinds.FLOAT
        _fill_common(feature.num_stats.common_stats, column)
        _fill_numbers(feature.num_stats, column, 2 if is_wide else 5)
    elif isinstance(column, TextColumn):
        feature.type = kinds.STRING
        _fill_common(feature.string_stats.common_stats, column)
        _fill_texts(feature.string_stats, column, 100 if is_wide else 1000)


def _fill_common(common: "statistics_pb2.CommonStatistics", column: ColumnFold) -> None:
    common.num_non_missing = common.tot_num_values = column.present
    common.num_missing = column.rows - column.present
    if column.present:
        common.min_num_values = common.max_num_values = 1
        common.avg_num_values = 1.0
        from tensorflow_metadata.proto.v0 import statistics_pb2

        common.num_values_histogram.type = statistics_pb2.Histogram.QUANTILES
        for _ in range(_BARS):
            common.num_values_histogram.buckets.add(
                low_value=1.0, high_value=1.0, sample_count=column.present / _BARS
            )


def _fill_numbers(
    numbers: "statistics_pb2.NumericStatistics", column: NumberColumn, quantiles: int
) -> None:
    from tensorflow_metadata.proto.v0 import statistics_pb2

    kinds = statistics_pb2.Histogram
    present = column.present - column.nan
    if present:
        numbers.mean, numbers.std_dev = column.mean, column.deviation
        numbers.num_zeros = column.zeros
        ends = column.quantiles([0.0, 0.5, 1.0]).tolist()
        numbers.min, numbers.median, numbers.max = ends
    if present or column.nan:
        for kind in (kinds.STANDARD, kinds.QUANTILES):
            histogram = numbers.histograms.add(type=kind, num_nan=column.nan)
            if present and kind == kinds.STANDARD:
                _fill_bars(histogram, column)
            elif present:
                edges = column.quantiles(np.linspace(0, 1, quantiles + 1)).tolist()
                for low, high in pairwise(edges):
                    histogram.buckets.add(
                        low_value=low, high_value=high, sample_count=present / quantiles
                    )


def _fill_bars(histogram: "statistics_pb2.Histogram", column: NumberColumn) -> None:
    """Add ten bars of equal width, and one each of infinite numbers."""
    below, above = column.infinite
    if below:
        histogram.buckets.add(low_value=-np.inf, high_value=-np.inf, sample_count=below)
    if column.finite:
        bars = _BARS if column.low < column.high else 1
        with np.errstate(over="ignore", invalid="ignore"):
            edges = np.linspace(column.low, column.high, bars + 1)
        if np.isfinite(edges).all():
            values = np.clip(column.counts.values(), column.low, column.high)
            # A number on an edge counts below it, as in TFDV.
            place = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, bars - 1)
            counts = np.bincount(place, column.counts.counts(), bars).tolist()
            for (low, high), count in zip(pairwise(edges.tolist()), counts, strict=True):
                histogram.buckets.add(low_value=low, high_value=high, sample_count=count)
    if above:
        histogram.buckets.add(low_value=np.inf, high_value=np.inf, sample_count=above)


def _fill_texts(texts: "statistics_pb2.StringStatistics", column: TextColumn, ranks: int) -> None:
    if not column.present:
        return
    texts.avg_length = column.length / column.present
    texts.unique = column.distinct
    for rank, (text, rows) in enumerate(_ranked(column)[:ranks]):
        if rank < _TOP_TEXTS:
            texts.top_values.add(value=text, frequency=rows)
        texts.rank_histogram.buckets.add(
            low_rank=rank, high_rank=rank, sample_count=rows, label=text
        )


def _ranked(column: TextColumn) -> list[tuple[str, float]]:
    """Return texts with their rows as TFDV orders them: of equally many rows, descending."""
    counts: dict[str, float] = {}
    for text, rows in column.ranked():
        name = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        if len(name) * 4 > _LARGE_TEXT and len(name.encode()) > _LARGE_TEXT:
            name = _LARGE_TEXT_NAME
        counts[name] = counts.get(name, 0) + rows
    return sorted(counts.items(), key=lambda entry: (entry[1], entry[0]), reverse=True)


def _add_custom(
    feature: "statistics_pb2.FeatureNameStatistics",
    column: NumberColumn,
    are_codes: bool,
    is_wide: bool,
) -> None:
    from tensorflow_metadata.proto.v0 import statistics_pb2

    if not column.finite:
        return
    if are_codes:
        ranks = feature.custom_stats.add(name=VALUE_COUNTS).rank_histogram
        counted = zip(
            column.counts.integers().tolist(), column.counts.counts().tolist(), strict=True
        )
        for value, rows in sorted(counted, key=lambda entry: (-entry[1], entry[0])):
            ranks.buckets.add(label=str(value), sample_count=rows)
    edges = column.finite_quantiles(np.linspace(0, 1, (50 if is_wide else 200) + 1)).tolist()
    histogram = feature.custom_stats.add(name=QUANTILES).histogram
    histogram.type = statistics_pb2.Histogram.QUANTILES
    share = column.finite / (len(edges) - 1)
    for low, high in pairwise(edges):
        histogram.buckets.add(low_value=low, high_value=high, sample_count=share)
