from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.examples import Examples, ExamplesWriter
from kfp_tabular.components.common.errors import UserError

SCHEMA = pa.schema([("a", pa.int64()), ("a.b", pa.float64()), ("Spalte mit Ümlaut", pa.string())])


def rows(first, count):
    return pa.record_batch(
        [
            pa.array(range(first, first + count), pa.int64()),
            pa.array([None if n % 3 else n / 2 for n in range(count)], pa.float64()),
            pa.array([f"text {n}" for n in range(count)]),
        ],
        schema=SCHEMA,
    )


@pytest.fixture
def examples(tmp_path):
    with ExamplesWriter(tmp_path, SCHEMA, ["train", "eval"], rows_per_shard=10) as writer:
        for first in range(0, 28, 7):
            writer.write("train", rows(first, 7))
    return Examples(tmp_path)


def test_rows_keep_their_order_over_shards(examples):
    assert [Path(file.uri).name for file in examples.shards["train"]] == [
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    read = [value for batch in examples.batches("train") for value in batch["a"].to_pylist()]
    assert read == list(range(28))


def test_a_split_without_rows_is_there(examples):
    assert examples.splits == ["eval", "train"]
    assert examples.rows() == {"train": 28, "eval": 0}
    assert sum(batch.num_rows for batch in examples.batches("eval")) == 0


def test_all_splits_have_the_writers_schema(examples):
    assert examples.schema.equals(SCHEMA)
    assert {batch.schema for batch in examples.batches("train")} == {SCHEMA}


@pytest.mark.parametrize(
    "columns", [["a"], ["a.b"], ["Spalte mit Ümlaut", "a"], ["a", "a.b"]], ids=str
)
def test_the_columns_that_are_asked_for_are_read(examples, columns):
    for batch in examples.batches("train", columns):
        assert sorted(batch.schema.names) == sorted(columns)


def test_a_column_that_is_not_there_is_named_with_the_closest(examples):
    with pytest.raises(UserError, match=r"no column 'A\.B'.*'a\.b'"):
        list(examples.batches("train", ["a", "A.B"]))


def test_a_split_that_is_not_there_is_named_with_the_closest(examples):
    with pytest.raises(UserError, match=r"no split 'trian'.*'train'"):
        list(examples.batches("trian"))


@pytest.mark.parametrize("content", [[], ["split=train"], ["other"]])
def test_a_directory_without_examples_is_an_error_of_the_user(tmp_path, content):
    for name in content:
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="no examples found"):
        _ = Examples(tmp_path).splits


def test_other_readers_see_a_hive_partitioned_dataset(examples):
    # Lineage lies beside the splits; readers skip it for its underscore.
    (examples.path / "_lineage.json").write_text("{}")
    dataset = pyarrow.dataset.dataset(examples.path, partitioning="hive", format="parquet")
    table = dataset.to_table(filter=pyarrow.dataset.field("split") == "train")
    assert sorted(table["a"].to_pylist()) == list(range(28))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["x", "y"]), st.integers(0, 12)), max_size=8),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_what_is_written_is_read(tmp_path_factory, writes, rows_per_shard, batch_size):
    path = tmp_path_factory.mktemp("examples")
    expected = {"x": [], "y": []}
    with ExamplesWriter(path, SCHEMA, ["x", "y"], rows_per_shard) as writer:
        for first, (split, count) in enumerate(writes):
            writer.write(split, rows(100 * first, count))
            expected[split].extend(range(100 * first, 100 * first + count))
    examples = Examples(path)
    assert writer.rows == examples.rows() == {split: len(r) for split, r in expected.items()}
    for split, values in expected.items():
        batches = list(examples.batches(split, batch_size=batch_size))
        assert [v for batch in batches for v in batch["a"].to_pylist()] == values
        assert all(batch.num_rows <= batch_size for batch in batches)


def test_the_files_are_closed_where_the_block_fails(tmp_path):
    with (
        pytest.raises(RuntimeError),
        ExamplesWriter(tmp_path, SCHEMA, ["train"]) as writer,
    ):
        writer.write("train", rows(0, 3))
        raise RuntimeError
    assert Examples(tmp_path).rows() == {"train": 3}


def test_an_unknown_split_cannot_be_written(tmp_path):
    with ExamplesWriter(tmp_path, SCHEMA, ["train"]) as writer, pytest.raises(KeyError):
        writer.write("eval", rows(0, 1))
