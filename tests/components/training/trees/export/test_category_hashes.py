"""Hashes of ids are those by which CatBoost keeps categories."""

import catboost
import numpy as np
import pandas as pd

from kfp_tabular.components.training.trees.export import catboost_document, category_hashes


def test_ids_of_every_length_have_catboosts_hashes():
    ids = [0, 7, 42, 999, 1234, 54321, 123456]
    table = pd.DataFrame({"id": np.repeat(ids, 5)})
    pool = catboost.Pool(table, np.random.default_rng(0).normal(size=len(table)), cat_features=[0])
    model = catboost.CatBoost(
        {"iterations": 60, "depth": 3, "one_hot_max_size": 255, "learning_rate": 0.9,
         "allow_writing_files": False, "logging_level": "Silent", "thread_count": 1}
    ).fit(pool)  # fmt: skip

    document = catboost_document.read(model)

    found = {condition.category for tree in document.trees for condition in tree.conditions}
    hashes = category_hashes.id_hashes(max(ids) + 1)[ids]
    assert found == set(hashes.astype(np.int32).tolist())


def test_no_ids_have_no_hashes():
    assert category_hashes.id_hashes(0).shape == (0,)
