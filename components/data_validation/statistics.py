"""TFDV statistics of every split, straight from Arrow record batches.

One pass with bounded memory: each batch is folded into TFDV's own accumulators. There is no Beam
pipeline (its runner would copy the data in and out) and no row is touched in Python.
"""

import logging
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.data_validation.scan import Scan

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2

SUFFIX = ".binpb"

VALUE_COUNTS = "value_counts"
"""Custom statistic of whole numbers with few distinct values: rows by value."""

QUANTILES = "quantiles"
"""Custom statistic of numbers: quantiles of an evenly spread sample of finite values."""

_USUAL_SPLITS = {"train": 0, "eval": 1, "test": 2}  # in this order wherever splits are listed
_CELLS_PER_BATCH = 2_000_000
_LARGEST_BATCH = 65_536
_WIDE = 200  # columns; beyond, fewer quantiles and ranks keep time and files in proportion
_COUNTED_TEXTS = 16_384
_COUNTED_IN_ALL = 1_000_000

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """A column of one split, as its TFDV statistics have it.

    Attributes:
        rows: Rows of the split.
        missing: Rows without a value. NaN is a value here.
        nan: Rows that hold NaN.
        numeric: Whether the numbers below mean anything.
        low: The smallest value; may be infinite.
        high: The largest value; may be infinite.
        mean: Of the values that are not NaN.
        deviation: Standard deviation of the same.
        median: Approximate.
        zeros: Rows that hold 0.
        distinct: Distinct texts, approximate beyond 16,384; of numbers only where `ranked` has any.
        ranked: The most frequent texts and their rows, most frequent first: all of them up to 1000
            (100 where there are many columns). Also of whole numbers with few distinct values.
        quantiles: Values below which 0, 1/n, 2/n, ... 1 of the rows lie; finite and ascending.
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


def compute(
    examples: Examples, casts: Mapping[str, pa.DataType], scan: Scan
) -> dict[str, "statistics_pb2.DatasetFeatureStatisticsList"]:
    """Computes the statistics of every split.

    Args:
        examples: The data.
        casts: Columns that are to be read as another type; all their values must fit it.
        scan: Is shown every batch, too.

    Returns:
        A list proto with one dataset, by split, the train split first. Features are in the order
        of the columns; the dataset of a split without rows has none.
    """
    columns = examples.schema.names
    batch_size = max(1024, min(_LARGEST_BATCH, _CELLS_PER_BATCH // max(len(columns), 1)))
    generators = _generators(len(columns))
    found = {}
    total = examples.rows()
    for split in sorted(total, key=lambda name: (_USUAL_SPLITS.get(name, len(total)), name)):
        rows = total[split]
        start = time.monotonic()
        scan.start_split(split, rows)
        batches = _prepared(examples.batches(split, batch_size=batch_size), casts, scan)
        # TFDV subtracts infinities from one another; they are reported, not warned of here.
        with np.errstate(invalid="ignore", over="ignore"):
            found[split] = _fold(generators, _ahead(batches), split, columns)
        seconds = time.monotonic() - start
        _logger.info("Statistics of %s: %d rows in %.1f s", split, rows, seconds)
    _add_custom(found, scan)
    return found


def as_lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Gives a batch in TFDV's form: every value a list of one, a missing one a null list.

    Columns without missing values are not copied.

    Args:
        batch: Columns of numbers and strings.
    """
    whole = pa.array(np.arange(batch.num_rows + 1, dtype=np.int32))
    return pa.RecordBatch.from_arrays(
        [_as_list(column, whole) for column in batch.columns], names=batch.schema.names
    )


def summaries(
    statistics: "statistics_pb2.DatasetFeatureStatisticsList",
) -> dict[str, Summary]:
    """Gives what the statistics say of each column, by its name."""
    dataset = statistics.datasets[0]
    return {feature_name(f): _summary(f, dataset.num_examples) for f in dataset.features}


def feature_name(feature: "statistics_pb2.FeatureNameStatistics") -> str:
    """Gives a column's name; a dot in it is part of the name."""
    return ".".join(feature.path.step) if feature.path.step else str(feature.name)


def write(
    directory: Path, statistics: Mapping[str, "statistics_pb2.DatasetFeatureStatisticsList"]
) -> None:
    """Writes `<split>.binpb` for every split into a directory."""
    for split, proto in statistics.items():
        (directory / f"{split}{SUFFIX}").write_bytes(proto.SerializeToString(deterministic=True))


def read(
    directory: str | os.PathLike[str],
) -> dict[str, "statistics_pb2.DatasetFeatureStatisticsList"]:
    """Reads a statistics artifact.

    Args:
        directory: Holds `<split>.binpb` files, as `validate_data` writes them.

    Raises:
        UserError: Where there is none, or one cannot be parsed.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_metadata.proto.v0 import statistics_pb2

    found = {}
    for file in sorted(Path(directory).glob(f"*{SUFFIX}")):
        proto = statistics_pb2.DatasetFeatureStatisticsList()
        try:
            proto.ParseFromString(file.read_bytes())
        except DecodeError as error:
            raise UserError(f"{file}: not TFDV statistics: {error}") from error
        if len(proto.datasets) != 1:
            raise UserError(
                f"{file}: expected statistics of 1 data set, found {len(proto.datasets)}."
            )
        found[file.name.removesuffix(SUFFIX)] = proto
    if not found:
        raise UserError(
            f"{directory}: no statistics here. Expected a directory with <split>{SUFFIX} files; "
            "validate_data writes one as its output `statistics`."
        )
    return found


def _prepared(
    batches: Iterator[pa.RecordBatch], casts: Mapping[str, pa.DataType], scan: Scan
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        converted = cast(batch, casts)
        scan.add(converted)
        yield as_lists(converted)


def _ahead(items: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Prepares the next item while the caller is busy with this one."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        coming = worker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = worker.submit(next, items, None)
            yield item


def cast(batch: pa.RecordBatch, casts: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    """Gives a batch with some columns as another type.

    Args:
        batch: The data.
        casts: The types, by column.
    """
    if not casts:
        return batch
    names = batch.schema.names
    columns = [
        pc.cast(column, casts[name], safe=casts[name] != pa.float64()) if name in casts else column
        for name, column in zip(names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _as_list(column: pa.Array, whole: pa.Array) -> pa.Array:
    if pa.types.is_string(column.type):
        column = column.cast(pa.binary())
    if not column.null_count:
        return pa.ListArray.from_arrays(whole, column)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(column) + 1, dtype=np.int32)
    np.cumsum(present, out=offsets[1:])
    # A null offset makes a null list. It holds nothing: the next one starts at the same place.
    nulls = np.append(~present, False)
    return pa.ListArray.from_arrays(pa.array(offsets, mask=nulls), column.drop_null())


def _generators(columns: int) -> list[Any]:
    from tensorflow_data_validation.statistics.generators import (
        basic_stats_generator,
        top_k_uniques_sketch_stats_generator,
    )

    wide = columns > _WIDE
    # These two are what TFDV itself runs in memory. Made by hand because the ready-made list also
    # measures strings in a Python loop, at random, for telemetry.
    return [
        basic_stats_generator.BasicStatsGenerator(
            # TFDV makes a histogram from 100 quantiles for each of these, in Python, although its
            # sketch is good to 1 %; half its default is as exact. We add quantiles of our own.
            num_quantiles_histogram_buckets=2 if wide else 5,
        ),
        top_k_uniques_sketch_stats_generator.TopKUniquesSketchStatsGenerator(
            num_top_values=20,
            num_rank_histogram_buckets=100 if wide else 1000,
            # The counts are exact up to so many distinct texts. With more, the sketch forgets rare
            # ones, and which of those that are equally rare is up to the process's hash seed.
            num_misragries_buckets=max(
                1024, min(_COUNTED_TEXTS, _COUNTED_IN_ALL // max(columns, 1))
            ),
            num_kmv_buckets=16_384,
            length_counter_sampling_rate=0.0,
        ),
    ]


def _fold(
    generators: Sequence[Any],
    batches: Iterable[pa.RecordBatch],
    split: str,
    columns: Sequence[str],
) -> "statistics_pb2.DatasetFeatureStatisticsList":
    from tensorflow_data_validation.statistics import stats_impl
    from tensorflow_metadata.proto.v0 import statistics_pb2

    accumulators = [generator.create_accumulator() for generator in generators]
    for batch in batches:
        accumulators = [
            generator.add_input(accumulator, batch)
            for generator, accumulator in zip(generators, accumulators, strict=True)
        ]
    merged = stats_impl.extract_statistics_output(accumulators, list(generators))
    by_name = {feature_name(feature): feature for feature in merged.datasets[0].features}
    ordered = statistics_pb2.DatasetFeatureStatistics(
        name=split, num_examples=merged.datasets[0].num_examples
    )
    ordered.features.extend(by_name[name] for name in columns if name in by_name)
    return statistics_pb2.DatasetFeatureStatisticsList(datasets=[ordered])


def _add_custom(
    found: Mapping[str, "statistics_pb2.DatasetFeatureStatisticsList"], scan: Scan
) -> None:
    """Adds what later comparisons need and TFDV lacks, as TFDV's custom statistics.

    Its own ten equal-width bins say next to nothing of a column with a long tail, and its
    statistics of whole numbers do not count values.
    """
    from tensorflow_metadata.proto.v0 import statistics_pb2

    samples = scan.samples
    for split, statistics in found.items():
        features = statistics.datasets[0].features
        levels = np.linspace(0, 1, (50 if len(features) > _WIDE else 200) + 1)
        for feature in features:
            name = feature_name(feature)
            counts = scan.codes.get(name, {}).get(split)
            if counts:
                ranks = feature.custom_stats.add(name=VALUE_COUNTS).rank_histogram
                for value, rows in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
                    ranks.buckets.add(label=str(value), sample_count=rows)
            values = samples[split].get(name)
            if values is not None and len(values):
                # A value that is in the data, not one between two: repeated values stay so.
                edges = np.quantile(values, levels, method="inverted_cdf")
                histogram = feature.custom_stats.add(name=QUANTILES).histogram
                histogram.type = statistics_pb2.Histogram.QUANTILES
                share = len(values) / (len(edges) - 1)
                for low, high in pairwise(edges.tolist()):
                    histogram.buckets.add(low_value=low, high_value=high, sample_count=share)


def _summary(feature: "statistics_pb2.FeatureNameStatistics", rows: int) -> Summary:
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
            return Summary(rows=rows, missing=missing, nan=nan, numeric=True)
        return Summary(
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
    return Summary(
        rows=rows,
        missing=rows - int(texts.common_stats.num_non_missing),
        distinct=int(texts.unique),
        ranked=tuple((b.label, round(b.sample_count)) for b in texts.rank_histogram.buckets),
    )


def _quantiles(feature: "statistics_pb2.FeatureNameStatistics") -> tuple[float, ...]:
    """Gives our quantiles, or where another program made the statistics, TFDV's."""
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
