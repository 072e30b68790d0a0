"""The ranges of the train split's numbers: from the Parquet footers, else in a pass over them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from kfp_tabular.components.common.artifacts.examples import RowRange, ShardFile
from kfp_tabular.components.training.input import parquet_reader

Range = tuple[float, float]
"""A column's smallest and largest number."""

_NONE = (np.inf, -np.inf)


def from_footers(shards: Sequence[ShardFile], names: Sequence[str]) -> dict[str, Range]:
    """Return the ranges of columns, read from the statistics in the Parquet footers.

    Args:
        shards: The split's shards. Only their footers are read.
        names: The columns.

    Returns:
        The range by name, without the columns whose range is not in every footer.

    Example:
        >>> import tempfile, pyarrow as pa
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "train.parquet"
        ...     pq.write_table(pa.table({"fare": [4.5, 7.0], "miles": [1, 3]}), file)
        ...     from_footers([ShardFile.of(file)], ["fare", "miles"])
        {'fare': (4.5, 7.0), 'miles': (1.0, 3.0)}
    """
    found = dict.fromkeys(names, _NONE)
    for shard in shards:
        with shard.open() as parquet:
            metadata = parquet.metadata
        # The one number in each row of a list has a repetition level and another path.
        flat = {
            metadata.schema.column(index).path: index
            for index in range(metadata.num_columns)
            if not metadata.schema.column(index).max_repetition_level
        }
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            if not group.num_rows:
                continue
            for name in list(found):
                own = _statistics(group, flat.get(name))
                if own is None:
                    del found[name]
                else:
                    found[name] = _joined(found[name], own)
    return found


def from_rows(share: Sequence[RowRange], names: Sequence[str]) -> "np.ndarray[Any, Any]":
    """Return the ranges of columns in one pass over them, shape `[names, 2]`.

    Args:
        share: Pieces of the train split.
        names: The columns.

    Example:
        >>> import tempfile, pyarrow as pa
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "train.parquet"
        ...     pq.write_table(pa.table({"fare": [4.5, 7.0]}), file)
        ...     from_rows(parquet_reader.worker_share([ShardFile.of(file)]), ["fare"])
        array([[4.5, 7. ]])
    """
    found = np.tile(_NONE, (len(names), 1))
    for file, batch in parquet_reader.batches(share, names):
        if not batch.num_rows:
            continue
        for index, name in enumerate(names):
            values = parquet_reader.dense(batch, name, file)
            # NaN does not count: reading the rows for training reports it.
            found[index, 0] = np.fmin(found[index, 0], np.fmin.reduce(values))
            found[index, 1] = np.fmax(found[index, 1], np.fmax.reduce(values))
    return found


def _statistics(group: "pq.RowGroupMetaData", index: int | None) -> Range | None:
    statistics = None if index is None else group.column(index).statistics
    if statistics is None or not statistics.has_min_max:
        return None
    return float(statistics.min), float(statistics.max)


def _joined(one: Range, other: Range) -> Range:
    return min(one[0], other[0]), max(one[1], other[1])
