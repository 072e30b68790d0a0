"""Distances that few rows show by chance are no drift, and others are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfp_tabular.components.batch_prediction import drift
from kfp_tabular.components.batch_prediction.chance import SampledCounts, explains
from kfp_tabular.components.batch_prediction.drift import (
    DriftBatch,
    DriftFold,
    TrainedColumn,
    Training,
)
from kfp_tabular.components.common.prediction.column_decoder import Texts
from kfp_tabular.components.common.statistics.distances import Bins

TRAINED = np.random.default_rng(1).normal(size=5_000)
NUMBER = TrainedColumn(
    "x", "x", 0.0, Bins.of(np.quantile(TRAINED, np.linspace(0, 1, 101)).tolist()), rows=5_000
)
KIND = TrainedColumn("k", "k", 0.0, values=(b"a", b"b"), shares=(0.7, 0.3), rows=5_000)
LIMITS = Training((NUMBER, KIND), {"x": 0.1, "k": 0.1})


def measured(numbers, kinds):
    fold = DriftFold([NUMBER, KIND])
    texts = Texts(np.asarray(kinds, np.int32), (b"a", b"b", b"new"))
    fold.add(DriftBatch({"x": np.asarray(numbers, np.float32), "k": texts}, len(kinds)))
    return drift.measured(fold.result(), LIMITS)


@pytest.mark.parametrize("rows", [1, 4, 20, 60, 400])
def test_samples_of_the_training_data_do_not_drift(rows):
    rng = np.random.default_rng(rows)
    found = [
        column
        for _ in range(60)
        for column in measured(
            rng.choice(TRAINED, rows), rng.choice(2, rows, p=[0.7, 0.3])
        ).values()
    ]
    assert not any(column.is_drifted for column in found)
    if rows <= 4:
        assert sum(column.is_chance for column in found) > 60


def test_few_rows_of_other_data_drift():
    found = measured([9.0] * 10, [2] * 10)
    assert found["x"].is_drifted
    assert found["k"].is_drifted
    # A single row that is new is as far as it can be.
    found = measured([9.0], [2])
    assert found["x"].is_chance
    assert found["k"].is_chance


def test_missing_values_are_no_rows():
    found = measured([9.0] * 5 + [float("nan")] * 500, [0] * 505)
    assert found["x"].is_chance
    assert found["k"].is_drifted


@settings(deadline=None, max_examples=50)
@given(
    shares=st.lists(st.integers(1, 20), min_size=2, max_size=12),
    others=st.lists(st.integers(1, 20), min_size=12, max_size=12),
)
def test_many_rows_of_other_data_are_further_than_chance(shares, others):
    trained = np.array(shares) / sum(shares)
    other = np.array(others[: len(shares)]) / sum(others[: len(shares)])
    counts = (other * 100_000).round().astype(int)
    for rows in (0, 100_000):
        far = float(np.abs(trained - other).max())
        assert far < 0.02 or not explains(far, SampledCounts(counts.tolist(), trained, rows, False))


def test_one_in_many_samples_is_taken_for_drift():
    trained = [0.5, 0.3, 0.15, 0.05]
    rng = np.random.default_rng(3)
    found = 0
    for drawn in rng.multinomial(50, trained, 300):
        far = float(np.abs(drawn / 50 - trained).max())
        found += not explains(far, SampledCounts(drawn.tolist(), trained, 0, is_number=False))
    assert found <= 2
