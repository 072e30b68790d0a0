"""Small models in the export format, of functions that are known."""

from pathlib import Path

import pytest

from kfp_tabular.components.common.artifacts.model_document import (
    SERVING_SIGNATURE,
    ModelInput,
    ModelSpec,
)
from kfp_tabular.components.common.process.tensorflow import import_tensorflow

CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}


def numbers(*names):
    """Return inputs of numbers."""
    return tuple(ModelInput(name, "float32", required=False, input=name) for name in names)


@pytest.fixture
def made(tmp_path: Path):
    """Return a function that makes the explainer of a function of raw features."""
    from kfp_tabular.components.common.explanation.explainer import Explainer

    tf = import_tensorflow()
    types = {"float32": tf.float32, "int64": tf.int64, "string": tf.string}
    count = iter(range(99))

    def make(function, inputs, task="regression", variables=(), **hyperparameters):
        """Make it; the function takes tensors and returns numbers `[rows]` or logits."""
        features = {i.input: tf.TensorSpec([None], types[i.dtype], name=i.input) for i in inputs}

        @tf.function(input_signature=[features])
        def serve(raw):
            found = function(tf, raw)
            if task == "regression":
                return {"prediction": found}
            shares = tf.nn.softmax(found)
            labels = tf.constant(CLASSES[task])
            return {"probabilities": shares, "classes": tf.gather(labels, tf.argmax(shares, 1))}

        module = tf.Module()
        module.serve = serve
        module.variables_ = list(variables)
        directory = tmp_path / f"model-{next(count)}"
        tf.saved_model.save(module, str(directory), signatures={SERVING_SIGNATURE: serve})
        threshold = 0.5 if task == "binary" else None
        spec = ModelSpec(
            task, "label", CLASSES[task], threshold, tuple(inputs), "", {}, hyperparameters
        )
        return Explainer(tf, tf.saved_model.load(str(directory)), spec)

    make.tf = tf
    make.numbers = numbers
    return make
