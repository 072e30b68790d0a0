"""Calls with one tensor per type return what calls with one tensor per feature return."""

import numpy as np
import pytest

from kfp_tabular.components.common.artifacts.model_document import ModelSpec
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.serving.model import predictor
from kfp_tabular.serving.model.packed_signature import pack_signature

MAKE = {
    "float32": lambda random, rows: random.normal(size=rows).astype(np.float32),
    "int64": lambda random, rows: random.integers(-(2**62), 2**62, rows),
    "string": lambda random, rows: np.array(
        [bytes(random.integers(0, 256, n, dtype=np.uint8)) for n in random.integers(0, 9, rows)],
        dtype=object,
    ),
}


@pytest.mark.parametrize("rows", [0, 1, 2, 33, 2000])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_packed_call_returns_identical_outputs(model_directory, task, rows):
    tf = import_tensorflow()
    directory = model_directory(task)
    loaded = tf.saved_model.load(str(directory))
    signature = loaded.signatures["serving_default"]
    inputs = ModelSpec.load(directory).inputs
    random = np.random.default_rng(rows)
    arrays = {item.input: MAKE[item.dtype](random, rows) for item in inputs}

    expected = signature(
        **{name: tf.constant(a, a.dtype.type) for name, a in arrays.items()}
        if rows
        else {item.input: tf.zeros([0], item.dtype) for item in inputs}
    )
    found = pack_signature(tf, signature, inputs)(arrays)

    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        np.testing.assert_array_equal(found[name].numpy(), tensor.numpy())


def test_the_predictor_makes_packed_calls(model_directory, monkeypatch):
    made = []
    original = predictor.pack_signature
    monkeypatch.setattr(predictor, "pack_signature", lambda *a: made.append(a) or original(*a))
    predictor.Predictor.load(model_directory("binary")).warm_up()
    assert len(made) == 1
