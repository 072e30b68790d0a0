"""Packed rows as CatBoost takes them."""

import numpy as np
import pytest

from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.trees import pool
from kfp_tabular.components.training.trees.export import TreeColumns, from_catboost
from tests.components.training.trees.export import random_tables


@pytest.mark.parametrize(
    "columns",
    [
        TreeColumns((0, 2), (1, 2), (600, 12), ordered=(2, 0)),
        TreeColumns((), (), (), ordered=(2,)),
        TreeColumns((), (1, 0), (600, 4), ordered=(2,)),
        TreeColumns((1,), (), (), ordered=(0, 1, 2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("complexity", [1, 2])
def test_ordered_ids_are_numbers_of_the_exported_trees(columns, complexity):
    table = random_tables.rows(2000, seed=1)
    label = random_tables.labels("binary", table, 2)
    rows = PackedRows(table.numeric, table.categorical, label)
    model = random_tables.fit(
        "binary", pool.build(rows, columns), max_ctr_complexity=complexity, nan_mode="Max"
    )
    other = random_tables.rows(500, seed=3)
    expected = model.predict(
        pool.build(PackedRows(other.numeric, other.categorical, np.zeros(500)), columns),
        prediction_type="RawFormulaVal",
    )
    logits = from_catboost(model, columns)(other.inputs)
    np.testing.assert_allclose(logits.numpy()[:, 0], expected, rtol=1e-6, atol=1e-6)
    assert len(np.unique(expected)) > 2


def test_infinite_numbers_can_be_exported():
    import catboost

    numeric = np.resize(np.float32([-np.inf, 0, 1, np.inf, np.nan]), (200, 1))
    rows = PackedRows(numeric, np.zeros((200, 0), np.int32), np.resize([0, 1, 0, 1, 1], 200))
    table = pool.build(rows, TreeColumns((0,)))
    options = {"loss_function": "Logloss", "iterations": 20, "logging_level": "Silent"}

    model = catboost.CatBoost({**options, "allow_writing_files": False}).fit(table)

    logits = from_catboost(model, TreeColumns((0,)))(
        {"numeric": rows.numeric, "categorical": rows.categorical}
    )
    expected = model.predict(rows.numeric, prediction_type="RawFormulaVal")
    np.testing.assert_allclose(logits.numpy()[:, 0], expected, rtol=1e-6, atol=1e-6)
    assert len(np.unique(expected)) > 2
