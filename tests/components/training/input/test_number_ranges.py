"""Ranges of numbers, from footers and from rows."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.examples import ShardFile
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.distributed.agreement import Agreement
from kfp_tabular.components.training.input import (
    number_ranges,
    parquet_reader,
    training_data,
)


def write(folder, columns, *, row_group_size=7, **options):
    file = folder / f"{len(list(folder.iterdir()))}.parquet"
    pq.write_table(pa.table(columns), file, row_group_size=row_group_size, **options)
    return ShardFile.of(file)


class Others(Agreement):
    """What a process of several sees: the others' values beside its own."""

    def __init__(self, *others):
        self.others = others

    def each(self, values):
        return np.array([values, *self.others])


class Alone(Others):
    """A process that must not ask the others."""

    def each(self, values):
        raise AssertionError("the footers tell the ranges")


@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_footers_and_rows_tell_the_same(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("ranges")
    numbers = st.floats(-(2.0**60), 2.0**60, width=32, allow_subnormal=False)
    parts = data.draw(st.lists(st.lists(numbers, max_size=20), min_size=1, max_size=3))
    every = np.concatenate([np.asarray(part, np.float32) for part in parts])
    files = [
        write(
            folder,
            {
                "x": pa.array(part, pa.float32()),
                "n": pa.array([int(value) for value in part], pa.int64()),
            },
        )
        for part in parts
    ]
    rows = number_ranges.from_rows(parquet_reader.worker_share(files), ["n", "x"])
    footers = number_ranges.from_footers(files, ["n", "x"])
    assert [footers["n"], footers["x"]] == [tuple(row) for row in rows]
    if len(every):
        assert footers["x"] == (every.min(), every.max())


def test_without_statistics_each_worker_reads_its_share_and_all_agree(tmp_path):
    columns = {"x": np.array([2.0, 9.0, 4.0]), "y": np.array([1.0, 1.0, 1.0])}
    file = write(tmp_path, columns, write_statistics=["y"])
    names = ("x", "y")
    assert number_ranges.from_footers([file], names) == {"y": (1.0, 1.0)}
    first, last = (parquet_reader.worker_share([file], worker, 2) for worker in range(2))
    found = training_data._ranges([file], first, names, Others([4.0, 9.0]))
    assert found == [(2.0, 9.0), (1.0, 1.0)]
    assert training_data._ranges([file], last, names, Others([2.0, 2.0])) == found


def test_with_statistics_workers_do_not_read_the_columns(tmp_path):
    file = write(tmp_path, {"x": np.array([2.0, 9.0, 4.0])})
    assert training_data._ranges([file], (), ("x",), Alone()) == [(2.0, 9.0)]
    assert training_data._ranges([file], (), (), Alone()) == []


def test_numbers_that_are_not_finite_are_left_to_the_reader(tmp_path):
    file = write(tmp_path, {"x": [np.nan] * 3, "y": [np.nan, 1.0, np.inf]})
    names = ["x", "y"]
    footers = number_ranges.from_footers([file], names)
    (x, y) = number_ranges.from_rows(parquet_reader.worker_share([file]), names)
    assert footers["y"] == tuple(y) == (1.0, np.inf)
    assert "x" not in footers
    assert x.tolist() == [np.inf, -np.inf]


def test_a_vector_is_not_taken_for_a_number_of_the_same_path(tmp_path):
    vectors = pa.array([[5.0], [6.0]], pa.list_(pa.float32(), 1))
    columns = {"v": vectors, "v.list.element": [1.0, 2.0], "a b.c/d": [3, 4], "": [0, 9]}
    file = write(tmp_path, columns)
    wanted = {"v.list.element": (1.0, 2.0), "a b.c/d": (3.0, 4.0), "": (0.0, 9.0)}
    assert number_ranges.from_footers([file], list(wanted)) == wanted


@pytest.mark.parametrize("missing", ["z", "X"])
def test_a_column_that_is_missing(tmp_path, missing):
    file = write(tmp_path, {"x": [1.0]})
    assert number_ranges.from_footers([file], [missing]) == {}
    with pytest.raises(UserError, match="lacks column"):
        number_ranges.from_rows(parquet_reader.worker_share([file]), [missing])
