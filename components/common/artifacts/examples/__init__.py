"""The examples artifact: Parquet shards by split, `split=train/part-00000.parquet`, and a manifest.

All splits have the same Arrow schema. Columns are `int64`, `float64` or `string`; a missing value
is null. Every reader of hive-partitioned Parquet (pyarrow, DuckDB, Spark, BigQuery) can read it.

- `Examples` reads an artifact, `ExamplesWriter` writes shards, `record` the manifest after them.
- `PieceWriter` writes the shards of one piece to a `ShardDestination`, here or in a store; `gather`
  lists what all pieces wrote, for `record`.
- `ShardFile` is a shard, here or in a store; `worker_share` and `share_batches` divide the rows of
  shards among workers, and read them.
"""

from kfp_tabular.components.common.artifacts.examples.examples_reader import Examples
from kfp_tabular.components.common.artifacts.examples.examples_writer import ExamplesWriter, record
from kfp_tabular.components.common.artifacts.examples.piece_writer import (
    GatheredShards,
    PieceWriter,
    gather,
)
from kfp_tabular.components.common.artifacts.examples.row_ranges import (
    MissingColumnError,
    RowRange,
    share_batches,
    worker_share,
)
from kfp_tabular.components.common.artifacts.examples.shard_destination import ShardDestination
from kfp_tabular.components.common.artifacts.examples.shard_file import ShardFile

__all__ = [
    "Examples",
    "ExamplesWriter",
    "GatheredShards",
    "MissingColumnError",
    "PieceWriter",
    "RowRange",
    "ShardDestination",
    "ShardFile",
    "gather",
    "record",
    "share_batches",
    "worker_share",
]
