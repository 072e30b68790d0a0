"""Explanations of trained models whose features are bags, hashes, crosses, and a user's own."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from kfp_tabular.components.common.artifacts.hyperparameters import Hyperparameters
from kfp_tabular.components.common.explanation.explainer import SHAPLEY_VALUES
from kfp_tabular.components.common.prediction.saved_model import SavedModel
from kfp_tabular.components.feature_engineering.preprocessing import category, fill_missing
from kfp_tabular.components.training.worker import training_process
from kfp_tabular.components.training.worker_settings import WorkerSettings
from tests import explained_models
from tests.components.feature_engineering.conftest import transformer

COUNTRIES = ("DE", "FR", "IT")
TAGS = np.array([f"tag{number}" for number in range(12)])
FUNCTION = f"{__name__}:preprocess"
CONFIGURED = {
    "user": {"kind": "hash", "buckets": 64},
    "tags": {"kind": "bag", "separator": ";"},
    "country": {"equal_to": ["card_country"]},
    "subject": {"kind": "text", "words": 16, "characters": 0},
}


def preprocess(inputs):
    """Use hashes, a vector and a cross, all made by hand."""
    import tensorflow_transform as tft

    amount = fill_missing(inputs["amount"], 0.0)
    length = tf.cast(tf.strings.length(inputs["subject"]), tf.float32)
    return {
        "amount": tft.scale_to_z_score(tf.math.log1p(amount)),
        "bucket": tft.bucketize(amount, 5),
        "user": category(tft.hash_strings(inputs["user"], 64), 64),
        "country": tft.compute_and_apply_vocabulary(inputs["country"], num_oov_buckets=1),
        "same": tf.cast(inputs["country"] == inputs["card_country"], tf.float32),
        "length": length[:, tf.newaxis] * tf.constant([[0.01, 0.1]]),
    }


def table(rows, seed):
    random = np.random.default_rng(seed)
    country = random.choice(COUNTRIES, rows)
    card = np.where(random.random(rows) < 0.7, country, random.choice(COUNTRIES, rows))
    tags = [random.choice(TAGS, random.integers(0, 5), replace=False) for _ in range(rows)]
    amount = random.lognormal(3, 1, rows)
    score = 2.0 * (country != card) + [2.0 * ("tag1" in bag) for bag in tags] + np.log(amount) - 4
    return pa.table(
        {
            "user": [f"user {number}" for number in random.integers(0, 300, rows)],
            "country": country,
            "card_country": card,
            "tags": [";".join(bag) for bag in tags],
            "subject": [" ".join(random.choice(TAGS, 4)) for _ in range(rows)],
            "amount": [None if gone else x for gone, x in zip(amount > 90, amount, strict=True)],
            "y": (score + random.normal(0, 0.3, rows) > 0).astype(np.int64),
        }
    )


@pytest.mark.parametrize(
    ("features", "model_type"),
    [({"feature_config": CONFIGURED}, "tabm"), ({"preprocessing_fn": FUNCTION}, "dnn")],
)
def test_attributions_add_up(tmp_path, features, model_type):
    splits = {"train": table(600, 0), "eval": table(100, 1)}
    done = transformer(tmp_path)(splits, **features)
    settings = WorkerSettings(
        done.request.transformed_examples,
        done.graph,
        tmp_path / "model",
        tmp_path / "logs",
        hyperparameters=Hyperparameters(
            model_type=model_type, hidden_units="16", learning_rate=0.01, epochs=2
        ),
    )
    training_process.run(settings)

    inputs = SavedModel(tmp_path / "model").spec.inputs
    given = splits["eval"].to_pydict()
    kinds = {"float32": np.float32, "string": object}
    rows = {
        entry.name: np.array(
            [value.encode() if isinstance(value, str) else value for value in given[entry.name]],
            kinds[entry.dtype],
        )
        for entry in inputs
    }
    found = explained_models.check(tmp_path / "model", rows)

    moved = np.abs(found.values).max(axis=0)
    assert {entry.name for entry, most in zip(inputs, moved, strict=True) if most} >= {
        "country",
        "card_country",
        "amount",
    }
    # Whether two countries are the same has no gradient between the baseline's and the row's.
    assert SHAPLEY_VALUES in found.methods
