"""TFDV statistics of every split, computed from Arrow record batches.

One pass with bounded memory: each batch is folded into TFDV's own accumulators. No Beam pipeline
(its runner copies the data in and out), and no Python code per row.
"""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kfp_tabular.components.common.artifacts.examples import Examples
from kfp_tabular.components.common.statistics import lean_tfdv
from kfp_tabular.components.common.statistics.batch_scan import BatchScan
from kfp_tabular.components.common.statistics.column_summary import (
    QUANTILES,
    VALUE_COUNTS,
    feature_name,
)

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2

_SPLIT_ORDER = {"train": 0, "eval": 1, "test": 2}  # splits are listed in this order
_CELLS_PER_BATCH = 2_000_000
_LARGEST_BATCH = 65_536
_WIDE = 200  # more columns than this get fewer quantiles and ranks: less time, smaller files
_COUNTED_TEXTS = 16_384
_COUNTED_IN_ALL = 1_000_000

_logger = logging.getLogger(__name__)


def compute(
    examples: Examples, casts: Mapping[str, pa.DataType], scan: BatchScan
) -> dict[str, "statistics_pb2.DatasetFeatureStatisticsList"]:
    """Compute the statistics of every split.

    Args:
        examples: The data.
        casts: Columns to read as another type, by name; all their values must fit it.
        scan: Receives every batch, too.

    Returns:
        By split, train first: a list proto with one dataset. Features have the order of the
        columns. The dataset of a split without rows has no features.
    """
    columns = examples.schema.names
    batch_size = max(1024, min(_LARGEST_BATCH, _CELLS_PER_BATCH // max(len(columns), 1)))
    generators = _generators(len(columns))
    found = {}
    total = examples.rows()
    for split in sorted(total, key=lambda name: (_SPLIT_ORDER.get(name, len(total)), name)):
        rows = total[split]
        start = time.monotonic()
        scan.start_split(split, rows)
        batches = _prepared(examples.batches(split, batch_size=batch_size), casts, scan)
        # TFDV subtracts infinities from one another. Infinite values are reported elsewhere.
        with np.errstate(invalid="ignore", over="ignore"):
            found[split] = _fold(generators, _ahead(batches), split, columns)
        seconds = time.monotonic() - start
        _logger.info("Statistics of %s: %d rows in %.1f s", split, rows, seconds)
    _add_custom(found, scan)
    return found


def as_lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Convert a batch to TFDV's form: each value a list of one, a missing value a null list.

    Columns without missing values are not copied.

    Args:
        batch: Columns of numbers and strings.

    Example:
        >>> as_lists(pa.RecordBatch.from_pydict({"x": [1, None]})).to_pydict()
        {'x': [[1], None]}
    """
    whole = pa.array(np.arange(batch.num_rows + 1, dtype=np.int32))
    return pa.RecordBatch.from_arrays(
        [_as_list(column, whole) for column in batch.columns], names=batch.schema.names
    )


def _prepared(
    batches: Iterator[pa.RecordBatch], casts: Mapping[str, pa.DataType], scan: BatchScan
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        converted = cast(batch, casts)
        scan.add(converted)
        yield as_lists(converted)


def _ahead(items: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Prepare the next batch in a thread while the caller works on this one."""
    with ThreadPoolExecutor(max_workers=1) as worker:
        coming = worker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = worker.submit(next, items, None)
            yield item


def cast(batch: pa.RecordBatch, casts: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    """Return a batch with some columns cast to another type.

    Args:
        batch: The data.
        casts: The types, by column.

    Example:
        >>> batch = pa.RecordBatch.from_pydict({"x": [1, 2]})
        >>> cast(batch, {"x": pa.float64()}).schema.field("x").type
        DataType(double)
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
    # A null offset makes a null list, which is empty: the next list starts at the same offset.
    nulls = np.append(~present, False)
    return pa.ListArray.from_arrays(pa.array(offsets, mask=nulls), column.drop_null())


def _generators(columns: int) -> list[Any]:
    lean_tfdv.load()
    from tensorflow_data_validation.statistics.generators import (
        basic_stats_generator,
        top_k_uniques_sketch_stats_generator,
    )

    wide = columns > _WIDE
    # The two generators that TFDV runs in memory. Constructed here because TFDV's own list adds a
    # Python loop that measures the length of random strings for telemetry.
    return [
        basic_stats_generator.BasicStatsGenerator(
            # TFDV builds each of these buckets in Python from 100 quantiles, although its sketch is
            # exact to 1 % only. Half the default is as exact; `QUANTILES` holds more.
            num_quantiles_histogram_buckets=2 if wide else 5,
        ),
        top_k_uniques_sketch_stats_generator.TopKUniquesSketchStatsGenerator(
            num_top_values=20,
            num_rank_histogram_buckets=100 if wide else 1000,
            # Counts are exact up to this many distinct texts. Beyond, the sketch drops rare texts,
            # and which of several equally rare ones depends on the process's hash seed.
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
    from tensorflow_metadata.proto.v0 import statistics_pb2

    accumulators = [generator.create_accumulator() for generator in generators]
    for batch in batches:
        accumulators = [
            generator.add_input(accumulator, batch)
            for generator, accumulator in zip(generators, accumulators, strict=True)
        ]
    merged = lean_tfdv.merged_output(generators, accumulators)
    by_name = {feature_name(feature): feature for feature in merged.datasets[0].features}
    ordered = statistics_pb2.DatasetFeatureStatistics(
        name=split, num_examples=merged.datasets[0].num_examples
    )
    ordered.features.extend(by_name[name] for name in columns if name in by_name)
    return statistics_pb2.DatasetFeatureStatisticsList(datasets=[ordered])


def _add_custom(
    found: Mapping[str, "statistics_pb2.DatasetFeatureStatisticsList"], scan: BatchScan
) -> None:
    """Add TFDV custom statistics that later comparisons need.

    TFDV's ten bins of equal width hide the shape of a column with a long tail, and its statistics
    of whole numbers do not count values.
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
                # `inverted_cdf` picks values from the data, so repeated values stay repeated.
                edges = np.quantile(values, levels, method="inverted_cdf")
                histogram = feature.custom_stats.add(name=QUANTILES).histogram
                histogram.type = statistics_pb2.Histogram.QUANTILES
                share = len(values) / (len(edges) - 1)
                for low, high in pairwise(edges.tolist()):
                    histogram.buckets.add(low_value=low, high_value=high, sample_count=share)
