import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.examples import Examples, ShardFile
from kfp_tabular.components.common.artifacts.supervised_task import Task
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.input import parquet_reader
from kfp_tabular.components.training.input.label_scale import LabelScale
from kfp_tabular.components.training.input.packed_rows import Categorical, ColumnLayout, Vector
from kfp_tabular.components.training.input.shuffling import TrainingInput

LAYOUT = ColumnLayout("y", ("x",), (Categorical("c", 1, 4),))
BINARY = Task("binary", "y", ("0", "1"))


def write(folder, groups, name="part-00000.parquet", **columns):
    """A file whose `x` counts rows from 0."""
    rows = sum(groups)
    values = {
        "c": np.arange(rows) % 4 + 1,
        "y": np.arange(rows) % 2,
        "x": np.arange(rows, dtype=np.float32),
        **columns,
    }
    table = pa.table(values)
    file = folder / name
    with pq.ParquetWriter(file, table.schema) as writer:
        start = 0
        for group in groups:
            writer.write_table(table.slice(start, group), row_group_size=max(1, group))
            start += group
    return ShardFile.of(file)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("rows"), [70, 1, 50, 129])


@pytest.fixture(scope="module")
def second_file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("more"), [250])


def seen(rows):
    return rows.numeric[:, 0].astype(int).tolist()


@pytest.mark.parametrize("number", [pa.float16(), pa.float32()])
def test_vectors_are_packed_behind_the_numbers(tmp_path, number):
    wanted = np.arange(500, dtype=np.float32).reshape(250, 2)
    column = pa.FixedSizeListArray.from_arrays(pa.array(wanted.ravel()).cast(number), 2)
    file = write(tmp_path, [70, 1, 50, 129], note=column)
    layout = ColumnLayout("y", ("x",), (), (Vector("note", 2),))
    reader = parquet_reader.Reader(layout, BINARY)
    # A worker's share starts in the middle of a row group.
    share = parquet_reader.worker_share([file], worker=1, workers=3)
    rows = reader.read(share)
    first = int(rows.numeric[0, 0])
    np.testing.assert_array_equal(rows.numeric[:, 1:], wanted[first : first + len(rows)])
    with TrainingInput(reader, share, seed=3) as stream:
        taken = stream.take(60).numeric
    np.testing.assert_array_equal(taken[:, 1:], wanted[taken[:, 0].astype(int)])


def test_vectors_that_do_not_fit(tmp_path):
    layout = ColumnLayout("y", ("x",), (), (Vector("note", 2),))
    reader = parquet_reader.Reader(layout, BINARY)
    kind = pa.list_(pa.float32(), 2)
    cases = {
        "not a vector of 2 numbers": pa.array([[1.0, 2.0, 3.0]] * 4, pa.list_(pa.float32(), 3)),
        "has 1 missing values": pa.array([[None, 2.0], *[[1.0, 2.0]] * 3], kind),
        "column 'note' holds NaN": pa.array([[1.0, float("nan")]] * 4, kind),
    }
    for message, column in cases.items():
        file = write(tmp_path, [4], note=column)
        with pytest.raises(UserError, match=message):
            reader.read(parquet_reader.worker_share([file]))


def test_a_sample_of_wide_rows_is_bounded(tmp_path, monkeypatch):
    file = write(tmp_path, [10] * 25)
    reader = parquet_reader.Reader(LAYOUT, BINARY)
    monkeypatch.setattr(parquet_reader, "SAMPLE_BYTES", 60 * reader.row_bytes)
    asked, read = [], reader.read
    monkeypatch.setattr(reader, "read", lambda share: asked.extend(share) or read(share))
    rows = seen(parquet_reader.sample(reader, [file], most=200))
    assert (len(rows), sum(row_range.rows for row_range in asked)) == (60, 80)
    assert rows == sorted(rows) and rows[0] < 10 and rows[-1] >= 240


def test_columns_are_packed_in_order(file):
    rows = parquet_reader.Reader(LAYOUT, BINARY).read(parquet_reader.worker_share([file]))
    assert seen(rows) == list(range(250))
    np.testing.assert_array_equal(rows.categorical[:, 0], np.arange(250) % 4)
    np.testing.assert_array_equal(rows.label, np.arange(250) % 2)
    assert (rows.numeric.dtype, rows.categorical.dtype, rows.label.dtype) == (
        np.float32,
        np.int32,
        np.int32,
    )


@given(workers=st.integers(1, 12))
@settings(deadline=None, max_examples=12)
def test_workers_share_every_row_evenly(file, second_file, workers):
    reader = parquet_reader.Reader(LAYOUT, BINARY)
    files = [file, second_file]
    shares = [parquet_reader.worker_share(files, worker, workers) for worker in range(workers)]
    sizes = [sum(row_range.rows for row_range in share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert [row for share in shares for row in seen(reader.read(share))] == [*range(250)] * 2


def test_a_regression_label_is_standardized_before_it_is_rounded(tmp_path):
    label = 1e9 + np.arange(100.0)
    file = write(tmp_path, [100], y=label)
    task = Task("regression", "y")
    rows = parquet_reader.Reader(LAYOUT, task, LabelScale("none", 1e9 + 49.5, 28.866)).read(
        parquet_reader.worker_share([file])
    )
    np.testing.assert_allclose(rows.label, (np.arange(100) - 49.5) / 28.866, rtol=1e-6)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": pa.array([1.0, None, 2.0])}, "'x' has 1 missing values"),
        ({"x": np.array([1.0, np.nan, np.inf])}, "'x' holds NaN or infinity in 2 of 3 rows"),
        ({"x": pa.array(["a", "b", "c"])}, "'x' is string, not a number"),
        ({"c": np.array([1, 5, 2])}, "'c' holds 4, outside 0 to 3"),
        ({"c": np.array([1, 0, 2])}, "'c' holds -1, outside 0 to 3"),
        ({"y": np.array([0, 1, 2])}, "label 'y' holds 2, outside 0 to 1"),
        ({"y": np.array([0.0, 1.0, 0.5])}, "label 'y' holds fractions"),
    ],
)
def test_what_the_transform_promised_is_checked(tmp_path, columns, message):
    file = write(tmp_path, [3], **columns)
    with pytest.raises(UserError, match=f"{file}.*{message}"):
        parquet_reader.Reader(LAYOUT, BINARY).read(parquet_reader.worker_share([file]))


def test_a_missing_column(tmp_path):
    file = write(tmp_path, [3])
    reader = parquet_reader.Reader(ColumnLayout("y", ("x", "z"), ()), BINARY)
    with pytest.raises(UserError, match="lacks column 'z'.*the same transform_features task"):
        reader.read(parquet_reader.worker_share([file]))


def test_a_sample_is_spread_over_the_split(file):
    reader = parquet_reader.Reader(LAYOUT, BINARY)
    assert seen(parquet_reader.sample(reader, [file], 250)) == list(range(250))
    rows = seen(parquet_reader.sample(reader, [file], 50))
    assert len(set(rows)) == 50
    assert max(np.diff(rows)) <= 6


def test_a_sample_of_many_row_groups_reads_only_some(tmp_path):
    file = write(tmp_path, [10] * 40)
    rows = seen(parquet_reader.sample(parquet_reader.Reader(LAYOUT, BINARY), [file], 40, groups=5))
    assert len({row // 10 for row in rows}) == 5
    assert rows[0] < 10 <= 390 <= rows[-1]
    # Where the row groups picked hold too few rows, all are read.
    assert (
        len(parquet_reader.sample(parquet_reader.Reader(LAYOUT, BINARY), [file], 60, groups=5))
        == 60
    )


def test_an_empty_train_split(tmp_path):
    (tmp_path / "split=train").mkdir()
    write(tmp_path / "split=train", [0])
    with pytest.raises(UserError, match="'train' has no rows"):
        parquet_reader.require_rows(Examples(tmp_path))
    with pytest.raises(UserError, match="no examples found"):
        parquet_reader.require_rows(Examples(tmp_path / "split=train"))


def even(rows, _numbers=None):
    """Return whether each row is one of those with an even number."""
    return rows.numeric[:, 0] % 2 == 0


def stream(file, keep=None, **options):
    reader = parquet_reader.Reader(LAYOUT, BINARY, keep=keep)
    share = parquet_reader.worker_share([file])
    return TrainingInput(reader, share, **{"seed": 3, "buffer_rows": 100, **options})


@given(
    buffer=st.sampled_from([1, 60, 100, 10_000]),
    takes=st.lists(st.integers(1, 200), min_size=1, max_size=8),
)
@settings(deadline=None, max_examples=15)
def test_every_pass_holds_every_row_once(file, buffer, takes):
    with stream(file, buffer_rows=buffer) as rows:
        found = [row for count in takes for row in seen(rows.take(count))]
    assert len(found) == sum(takes)
    for start in range(0, len(found), 250):
        part = found[start : start + 250]
        assert len(set(part)) == len(part)
        if len(part) == 250:
            assert sorted(part) == list(range(250))


@given(start=st.integers(0, 600), buffer=st.sampled_from([60, 10_000]))
@settings(deadline=None, max_examples=15)
def test_a_stream_continues_where_it_was(file, start, buffer):
    with (
        stream(file, buffer_rows=buffer) as whole,
        stream(file, start=start, buffer_rows=buffer) as rest,
    ):
        assert seen(whole.take(start + 80))[start:] == seen(rest.take(80))


@pytest.mark.parametrize("read_rows", [7, 1 << 16])
def test_a_reader_may_keep_some_rows(file, read_rows, monkeypatch):
    monkeypatch.setattr(parquet_reader, "READ_ROWS", read_rows)
    share = parquet_reader.worker_share([file])
    rows = parquet_reader.Reader(LAYOUT, BINARY, keep=even).read(share)
    whole = parquet_reader.Reader(LAYOUT, BINARY).read(share)
    expected = whole.take(even(whole))
    assert seen(rows) == seen(expected)
    assert np.array_equal(rows.label, expected.label)
    nothing = parquet_reader.Reader(LAYOUT, BINARY, keep=lambda rows, _: rows.label < 0)
    assert len(nothing.read(share)) == 0


@given(data=st.data(), read_rows=st.sampled_from([3, 1 << 16]))
@settings(deadline=None, max_examples=25)
def test_a_row_has_the_same_number_however_it_is_read(tmp_path_factory, data, read_rows):
    folder = tmp_path_factory.mktemp("shards")
    sizes = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=3))
    rows, shards = sum(sizes), []
    for index, size in enumerate(sizes):
        start = sum(sizes[:index])
        numbers = np.arange(start, start + size)
        columns = {"fare": numbers.astype(np.float64), "tip": numbers * 0}
        pq.write_table(pa.table(columns), folder / f"{index}.parquet", row_group_size=7)
        shards.append(ShardFile.of(folder / f"{index}.parquet"))
    workers = data.draw(st.integers(1, min(rows, 4)))
    share = parquet_reader.worker_share(shards, data.draw(st.integers(0, workers - 1)), workers)
    share = data.draw(st.permutations(share))
    seen = []

    def keep(found, numbers):
        seen.extend(numbers.tolist())
        assert found.numeric[:, 0].tolist() == numbers.tolist()
        return numbers % 2 == 0

    layout = ColumnLayout("tip", ("fare",), ())
    reader = parquet_reader.Reader(layout, Task("regression", "tip"), keep=keep, shards=shards)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_reader, "READ_ROWS", read_rows)
        found = reader.read(share)
    assert len(seen) == sum(row_range.rows for row_range in share)
    assert found.numeric[:, 0].tolist() == [number for number in seen if number % 2 == 0]


@given(start=st.integers(0, 600), buffer=st.sampled_from([1, 60, 10_000]))
@settings(deadline=None, max_examples=15)
def test_a_stream_of_some_rows_holds_each_once_per_pass_and_continues(file, start, buffer):
    with (
        stream(file, even, buffer_rows=buffer) as whole,
        stream(file, even, start=start, buffer_rows=buffer) as rest,
    ):
        found = seen(whole.take(start + 80))
        assert found[start:] == seen(rest.take(80))
    for first in range(0, len(found) - 124, 125):
        assert sorted(found[first : first + 125]) == list(range(0, 250, 2))


def test_the_order_follows_from_the_seed_and_changes_by_pass(file):
    with stream(file) as one, stream(file) as same, stream(file, seed=4) as other:
        first, second = seen(one.take(250)), seen(one.take(250))
        assert first != second
        assert first == seen(same.take(250))
        assert first != seen(other.take(250))
    # Row groups come in random order, and rows leave a buffer mixed.
    assert first != sorted(first)
    assert np.abs(np.corrcoef(first, range(250))[0, 1]) < 0.9


def test_a_bad_row_group_is_reported_from_the_background(tmp_path):
    file = write(tmp_path, [5], y=np.array([0, 1, 7, 0, 1]))
    with pytest.raises(UserError, match="label 'y' holds 7"):
        stream(file)
