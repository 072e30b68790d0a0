"""Packed rows as CatBoost takes them."""

import numpy as np

from kfp_tabular.components.training.input.packed_rows import PackedRows
from kfp_tabular.components.training.trees import pool
from kfp_tabular.components.training.trees.export import TreeColumns, from_catboost


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
