"""A fixture that writes small examples artifacts."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from kfp_tabular.components.common import files
from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter, record

WriteExamples = Callable[..., Examples]


@pytest.fixture
def write_examples(tmp_path: Path) -> WriteExamples:
    """Write an examples artifact from a table per split."""

    def write(
        name: str = "examples", rows_per_shard: int = 1_000_000, **splits: pa.Table
    ) -> Examples:
        schema = next(iter(splits.values())).schema
        with files.atomic_directory(tmp_path / name) as directory:
            with ExamplesWriter(directory, schema, list(splits), rows_per_shard) as writer:
                for split, table in splits.items():
                    for batch in table.to_batches(max_chunksize=rows_per_shard):
                        writer.write(split, batch)
            record(directory, writer.schema, writer.shards, inputs={})
        return Examples(tmp_path / name)

    return write
