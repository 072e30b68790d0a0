import functools
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfp_tabular.components.common.artifacts.examples import ShardFile
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.training.input import label_statistics, parquet_reader


def write(folder, *values):
    files = []
    for index, part in enumerate(values):
        files.append(folder / f"{index}.parquet")
        pq.write_table(pa.table({"y": part}), files[-1], row_group_size=7)
    return parquet_reader.worker_share([ShardFile.of(file) for file in files])


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_moments_over_files(tmp_path, offset):
    values = np.random.default_rng(0).normal(offset, 2.0, 1000)
    share = write(tmp_path, values[:17], values[17:17], values[17:])
    found = label_statistics.moments(share, "y")
    np.testing.assert_allclose((found.mean, found.deviation), (values.mean(), values.std()))
    parts = [label_statistics.moments([row_range], "y") for row_range in share]
    joined = functools.reduce(
        label_statistics.LabelMoments.plus, parts, label_statistics.LabelMoments()
    )
    np.testing.assert_allclose((joined.mean, joined.deviation), (values.mean(), values.std()))


def test_a_constant_target_is_not_divided_by_zero(tmp_path):
    found = label_statistics.moments(write(tmp_path, np.full(5, 7.0)), "y")
    assert (found.mean, found.deviation) == (7.0, 1.0)
    assert label_statistics.LabelMoments().deviation == 1.0


def test_a_target_that_is_not_finite(tmp_path):
    with pytest.raises(UserError, match="label 'y' is NaN or infinite in 2 rows"):
        label_statistics.moments(write(tmp_path, np.array([1.0, np.nan, np.inf])), "y")


def test_class_counts(tmp_path):
    files = write(tmp_path, np.array([0, 2, 2]), np.array([2, 0]))
    assert label_statistics.class_counts(files, "y", 4) == [2, 0, 3, 0]
    with pytest.raises(UserError, match="holds 2, outside 0 to 1.*class indices from 0"):
        label_statistics.class_counts(files, "y", 2)
    with pytest.raises(UserError, match="lacks column 'z'"):
        label_statistics.class_counts(files, "z", 2)


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=9).filter(any))
def test_balanced_weights_make_classes_equal(counts):
    weights = label_statistics.balanced_weights(counts)
    sums = [weight * count for weight, count in zip(weights, counts, strict=True) if count]
    np.testing.assert_allclose(sums, sum(counts) / len(sums))


def test_the_prior_predicts_the_class_shares():
    (logit,) = label_statistics.prior("binary", [980, 20], balanced=False)
    assert 1 / (1 + math.exp(-logit)) == pytest.approx(0.02)
    several = np.exp(label_statistics.prior("multiclass", [5, 3, 2], balanced=False))
    np.testing.assert_allclose(several / several.sum(), [0.5, 0.3, 0.2])
    assert label_statistics.prior("binary", [980, 20], balanced=True) == (0.0,)
    assert label_statistics.prior("regression", [], balanced=False) == (0.0,)
    assert np.isfinite(label_statistics.prior("multiclass", [5, 0, 2], balanced=False)).all()
