"""Labels are transformed and standardized so that it can be undone."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as some

from kfp_tabular.components.common.artifacts.examples import ShardFile, worker_share
from kfp_tabular.components.training.input import label_statistics
from kfp_tabular.components.training.input.label_scale import (
    LOG,
    NONE,
    QUANTILES,
    RANK,
    LabelScale,
    of_quantiles,
)

LABELS = some.lists(
    some.floats(-1e12, 1e12, allow_subnormal=False), min_size=2, max_size=60, unique=True
)


def scales(labels):
    """Return a scale of each transform, fitted to some labels."""
    ranks = of_quantiles([sorted(labels)])
    found = []
    for scale in (LabelScale(NONE), LabelScale(LOG), ranks):
        values = scale.transformed(np.array(labels))
        found.append(scale.fitted(float(values.mean()), float(values.std()) or 1.0))
    return found


@given(labels=LABELS, others=LABELS)
@settings(deadline=None)
def test_a_label_is_restored_also_beyond_those_seen(labels, others):
    for scale in scales(labels):
        values = np.array([*labels, *others])
        # A line through two labels that are close is steep: beyond them digits are lost.
        scale_of_labels = np.abs(values).max()
        restored = scale.restored(scale.standardized(values))
        inner = slice(0, len(labels) if scale.transform == RANK else None)
        np.testing.assert_allclose(
            restored[inner], values[inner], rtol=1e-6, atol=1e-9 * scale_of_labels
        )


@given(labels=LABELS)
@settings(deadline=None)
def test_the_order_of_labels_stays(labels):
    for scale in scales(labels):
        values = scale.standardized(np.sort(labels))
        assert (np.diff(values) >= 0).all()


@pytest.mark.parametrize("place", range(3))
def test_the_graph_restores_the_same(place):
    random = np.random.default_rng(3)
    labels = np.exp(random.normal(3, 2, 500))
    scale = scales(labels.tolist())[place]
    values = random.normal(0, 1.5, 400).astype(np.float32)
    found = scale.restored_tensor(tf.constant(values)).numpy()
    np.testing.assert_allclose(found, scale.restored(values), rtol=2e-4, atol=1e-2)
    assert scale.restored_tensor(tf.constant(values[:0])).shape == (0,)
    # A wild prediction is large, and a number.
    wild = scale.restored_tensor(tf.constant([-1e6, 1e6], tf.float32)).numpy()
    assert np.isfinite(wild).all()


def test_equal_labels_have_one_rank():
    scale = of_quantiles([[0.0, 0.0, 0.0, 5.0, 7.0]])
    assert scale.labels == (0.0, 5.0, 7.0)
    np.testing.assert_allclose(scale.scores, [-0.5244, 0.5244, 1.2816], atol=1e-4)


def test_a_constant_label():
    scale = of_quantiles([[4.0] * 9])
    assert scale.restored(scale.transformed(np.array([4.0]))).tolist() == [4.0]


def test_quantiles_do_not_depend_on_shares(tmp_path):
    """Quantiles of a worker's share, joined, are about those of all rows."""
    labels = np.random.default_rng(0).lognormal(0, 1, 20_000)
    file = tmp_path / "part.parquet"
    pq.write_table(pa.table({"y": labels}), file, row_group_size=1_000)
    files = [ShardFile.of(file)]
    whole = label_statistics.quantiles(worker_share(files), "y", QUANTILES)
    assert (whole[0], whole[-1]) == pytest.approx((labels.min(), labels.max()), rel=1e-3)
    np.testing.assert_allclose(whole, np.quantile(labels, np.linspace(0, 1, 255)), rtol=0.02)
    each = [
        label_statistics.quantiles(worker_share(files, worker, 2), "y", QUANTILES)
        for worker in range(2)
    ]
    values = np.quantile(labels, [0.01, 0.1, 0.5, 0.9, 0.99])
    np.testing.assert_allclose(
        of_quantiles(each).transformed(values), of_quantiles([whole]).transformed(values), atol=0.05
    )
