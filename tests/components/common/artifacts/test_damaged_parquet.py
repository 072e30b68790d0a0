"""Damaged shards: whatever bytes change, readers return the same rows or one line that names it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts import example_pieces
from kfp_tabular.components.common.artifacts.examples import (
    Examples,
    ExamplesWriter,
    damaged_parquet,
    record,
    shard_file,
    share_batches,
    worker_share,
)
from kfp_tabular.components.common.errors import UserError

ROWS, GROUPS = 900, 3
COLUMNS = ("fare", "miles", "text", "tags")


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """Examples of one shard with three row groups."""
    path = tmp_path_factory.mktemp("examples")
    random = np.random.default_rng(0)
    table = pa.table(
        {
            "fare": random.normal(size=ROWS),
            "miles": random.integers(0, 50, ROWS),
            "text": [f"v{n}" for n in random.integers(0, 30, ROWS)],
            "tags": [[str(n)] * (n % 3) for n in range(ROWS)],
        }
    )
    with ExamplesWriter(path, table.schema, ["train"]) as writer:
        for start in range(0, ROWS, ROWS // GROUPS):
            writer.write("train", table.slice(start, ROWS // GROUPS))
    record(path, writer.schema, writer.shards, inputs={})
    return Examples(path)


@pytest.fixture(scope="module")
def shard(examples):
    (shard,) = examples.require("train")
    return shard


@pytest.fixture(scope="module")
def content(shard):
    return Path(shard.uri).read_bytes()


@pytest.fixture(scope="module")
def rows(examples):
    return pa.Table.from_batches(examples.batches("train", COLUMNS))


def in_order(examples):
    return examples.batches("train", COLUMNS)


def by_pieces(examples):
    read = example_pieces.reader(examples, COLUMNS)
    for piece in example_pieces.pieces(examples, "train"):
        for found in read(piece):
            yield found.batch


def by_shares(examples):
    for worker in range(2):
        share = worker_share(examples.require("train"), worker, 2)
        for _, batch in share_batches(share, COLUMNS, 1000):
            yield batch


WAYS = [in_order, by_pieces, by_shares]


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_no_changed_byte_is_taken_for_another_value(examples, shard, content, rows, data):
    place = data.draw(st.integers(0, len(content) - 1), "place")
    new = data.draw(st.binary(min_size=1, max_size=40), "new")[: len(content) - place]
    changed = content[:place] + new + content[place + len(new) :]
    way = data.draw(st.sampled_from(WAYS))
    Path(shard.uri).write_bytes(changed)
    try:
        found = pa.Table.from_batches(way(examples))
    except UserError as error:
        assert str(error).startswith(f"{shard.uri}: ")
        assert str(error).isprintable()
    else:
        # The footer has no checksum: another name or type there is a column that does not exist.
        assert place + len(new) > pages_end(content) or found.equals(rows)


def pages_end(content):
    """Return where the footer starts."""
    return len(content) - 8 - int.from_bytes(content[-8:-4], "little")


def damaged_page(shard, content, group, column):
    """Return the content with another byte in the middle of a column of a row group."""
    with pq.ParquetFile(pa.BufferReader(content)) as parquet:
        ((start, end),) = shard_file.extents(parquet.metadata.row_group(group), [column])
    place = (start + end) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("column", COLUMNS)
def test_the_row_group_is_named(examples, shard, content, way, column):
    Path(shard.uri).write_bytes(damaged_page(shard, content, 1, column))
    message = f"^{shard.uri}: row group 1 is damaged: .*Copy the artifact again, or run the task"
    with pytest.raises(UserError, match=message):
        list(way(examples))
    Path(shard.uri).write_bytes(content)


def test_errors_of_the_system_and_of_a_store_are_others(shard):
    """They may go away: the piece is tried again."""

    class Busy(OSError):
        pass

    for error in (OSError(5, "Input/output error"), Busy("no answer"), pa.ArrowMemoryError("full")):
        with pytest.raises(type(error)), damaged_parquet.explained(shard.uri):
            raise error
    message = f"^{shard.uri}: not a Parquet file, or damaged: a b"
    with pytest.raises(UserError, match=message), damaged_parquet.explained(shard.uri):
        raise OSError("a\n\x0fb\n")
