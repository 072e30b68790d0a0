"""A model that predicts from raw features: its SavedModel's `serving_default` signature, loaded."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kfp_tabular.components.common.artifacts.model_document import (
    CLASSES,
    PREDICTION,
    PROBABILITIES,
    SERVING_SIGNATURE,
    ModelSpec,
)
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.process.tensorflow import import_tensorflow

Predictions = npt.NDArray[np.float32]
"""Probabilities of shape `[rows, classes]`, or predictions of shape `[rows]`."""


class SavedModel:
    """A loaded model.

    Args:
        path: A model artifact's directory.

    Attributes:
        spec: Its `model.json`.

    Raises:
        UserError: Where the directory holds no such model.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.spec = ModelSpec.load(path)
        self._tensorflow = import_tensorflow()
        if not (Path(path) / "saved_model.pb").is_file():
            raise UserError(f"{path}: no saved_model.pb here; train_model writes one.")
        try:
            # Kept: its variables live no longer than the loaded object.
            self._loaded = self._tensorflow.saved_model.load(os.fspath(path))
        except (OSError, ValueError, self._tensorflow.errors.OpError) as error:
            raise UserError(f"{path}: not a SavedModel that can be loaded here: {error}") from error
        signature = self._loaded.signatures.get(SERVING_SIGNATURE)
        if signature is None:
            raise UserError(f"{path}: the SavedModel has no signature {SERVING_SIGNATURE!r}.")
        self._signature = signature
        self._check(path)

    def predict(self, tensors: Mapping[str, "np.ndarray[Any, Any]"]) -> dict[str, Any]:
        """Answers for some rows.

        Args:
            tensors: A dense array of shape `[rows]` for each input, by `ModelInput.input`.

        Returns:
            The signature's outputs by name, as tensors; `.numpy()` gives their values.
        """
        constant = self._tensorflow.constant
        outputs: dict[str, Any] = self._signature(
            **{name: constant(values) for name, values in tensors.items()}
        )
        return outputs

    def _check(self, path: str | os.PathLike[str]) -> None:
        takes = set(self._signature.structured_input_signature[1])
        described = {entry.input for entry in self.spec.inputs}
        if takes != described:
            raise UserError(
                f"{path}: model.json and the signature {SERVING_SIGNATURE!r} name different "
                f"inputs: {', '.join(sorted(takes ^ described))}."
            )
        gives = set(self._signature.structured_outputs)
        wanted = {PREDICTION} if self.spec.task == "regression" else {PROBABILITIES, CLASSES}
        if not wanted <= gives:
            raise UserError(
                f"{path}: the signature {SERVING_SIGNATURE!r} gives "
                f"{', '.join(sorted(gives))}; a {self.spec.task} model gives "
                f"{', '.join(sorted(wanted))}."
            )
