"""An exported model as a function from inputs to answers, in batches that fit its width."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import PREDICTION, PROBABILITIES
from kfp_tabular.components.common.prediction import predicted_batches
from kfp_tabular.components.common.prediction.saved_model import Predictions, SavedModel


class ModelAnswers:
    """A model as a function.

    Args:
        model: The model.
    """

    def __init__(self, model: SavedModel) -> None:
        self._model = model
        regression = model.spec.task == "regression"
        self._output = PREDICTION if regression else PROBABILITIES
        self._rows = predicted_batches.batch_rows([model.spec])

    def __call__(self, inputs: Mapping[str, Any]) -> Predictions:
        """Return the answers for rows; see `permutation_importance.Predict`."""
        rows = len(next(iter(inputs.values())))
        parts: list[Predictions] = [
            self._model.predict(
                {name: values[start : start + self._rows] for name, values in inputs.items()}
            )[self._output].numpy()
            for start in range(0, rows, self._rows)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
