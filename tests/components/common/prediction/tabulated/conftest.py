"""Small models of functions that are known, and columns as the decoder gives them."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts.model_document import ModelInput, ModelSpec
from kfp_tabular.components.common.prediction.column_decoder import Texts
from kfp_tabular.components.common.process.tensorflow import import_tensorflow

INPUTS = (
    ModelInput("Fare", "float32", required=False, input="Fare"),
    ModelInput("miles", "float32", required=False, input="miles"),
    ModelInput("hour", "int64", required=False, input="hour"),
    ModelInput("area", "int64", required=False, input="area"),
    ModelInput("company", "string", required=False, input="company"),
    ModelInput("payment", "string", required=False, input="payment"),
)
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}


def columns(rows: int, seed: int, values: int = 5) -> dict:
    """Columns of few values each, some of them missing."""
    random = np.random.default_rng(seed)
    numbers = np.array([np.nan, *random.normal(size=values)], np.float32)
    whole = np.array([-(2**63), *range(values)])
    texts = (b"", *(f"value {number}".encode() for number in range(values)))
    return {
        "Fare": random.choice(numbers, rows),
        "miles": random.choice(numbers[1:], rows),
        "hour": random.choice(whole, rows),
        "area": random.choice(whole[1:], rows),
        "company": Texts(random.integers(0, len(texts), rows, np.int32), texts),
        "payment": Texts(random.integers(0, 2, rows, np.int32), texts[1:3]),
    }


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Return a function that exports a model of raw features to numbers `[rows]`, or logits."""
    tf = import_tensorflow()
    from kfp_tabular.components.common.prediction.saved_model import SavedModel

    types = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}
    count = itertools.count()

    def save(function, task="regression", kept=()):
        features = {i.input: tf.TensorSpec([None], types[i.dtype], name=i.input) for i in INPUTS}

        @tf.function(input_signature=[features])
        def serve(raw):
            found = function(tf, raw)
            if task == "regression":
                return {"prediction": found}
            shares = tf.nn.softmax(found)
            labels = tf.constant(CLASSES[task])
            return {"probabilities": shares, "classes": tf.gather(labels, tf.argmax(shares, 1))}

        module = tf.Module()
        module.kept = list(kept)
        folder = tmp_path_factory.mktemp("tabulated") / str(next(count))
        tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
        threshold = 0.5 if task == "binary" else None
        ModelSpec(task, "label", CLASSES[task], threshold, INPUTS, "").save(Path(folder))
        return SavedModel(folder)

    save.tf = tf
    return save
