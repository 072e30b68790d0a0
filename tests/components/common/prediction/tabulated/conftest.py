"""Small models of functions that are known, and columns as the decoder gives them."""

import itertools

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.prediction.column_decoder import Texts
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from tests.components.common.exported_function import export

INPUTS = (
    ModelInput("Fare", "float32", required=False, input="Fare"),
    ModelInput("miles", "float32", required=False, input="miles"),
    ModelInput("hour", "int64", required=False, input="hour"),
    ModelInput("area", "int64", required=False, input="area"),
    ModelInput("company", "string", required=False, input="company"),
    ModelInput("payment", "string", required=False, input="payment"),
)


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

    count = itertools.count()

    def save(function, task="regression", kept=()):
        folder = tmp_path_factory.mktemp("tabulated") / str(next(count))
        export(tf, folder, function, INPUTS, task, kept)
        return SavedModel(folder)

    save.tf = tf
    return save
