"""Small models in the export format, of functions that are known."""

from pathlib import Path

import pytest

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from tests.components.common.exported_function import export


def numbers(*names):
    """Return inputs of numbers."""
    return tuple(ModelInput(name, "float32", required=False, input=name) for name in names)


@pytest.fixture
def made(tmp_path: Path):
    """Return a function that makes the explainer of a function of raw features."""
    from kfp_tabular.components.common.explanation.explainer import Explainer

    tf = import_tensorflow()
    count = iter(range(99))

    def make(function, inputs, task="regression", variables=(), **hyperparameters):
        """Make it; the function takes tensors and returns numbers `[rows]` or logits."""
        directory = tmp_path / f"model-{next(count)}"
        spec = export(tf, directory, function, inputs, task, variables, **hyperparameters)
        return Explainer(tf, tf.saved_model.load(str(directory)), spec)

    make.tf = tf
    make.numbers = numbers
    return make
