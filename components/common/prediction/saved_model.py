"""A loaded SavedModel that predicts from raw features, by its `serving_default` signature."""

import functools
import os
import threading
from collections.abc import Callable, Mapping
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
from kfp_tabular.components.common.artifacts.sent_directory import SentDirectory
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.packed_columns import Columns, pack_columns
from kfp_tabular.components.common.process.tensorflow import import_tensorflow_runtime

Predictions = npt.NDArray[np.float32]
"""Probabilities of shape `[rows, classes]`, or predictions of shape `[rows]`."""


def loaded(path: str | os.PathLike[str]) -> "SavedModel":
    """Return a model that this process has loaded, or load it.

    Raises:
        UserError: If the directory does not hold a model that can be loaded here.
    """
    graph = Path(path) / "saved_model.pb"
    version = graph.stat().st_mtime_ns if graph.is_file() else 0
    return _loaded(os.fspath(path), version)


def loaded_from(directory: SentDirectory) -> "SavedModel":
    """Return a model that may come from another process; each process loads it once.

    Raises:
        UserError: If the directory does not hold a model that can be loaded here.
    """
    return _received(directory) if directory.is_received else loaded(directory.path)


class SavedModel:
    """A loaded model.

    Args:
        path: Directory of a model artifact.

    Attributes:
        spec: The content of its `model.json`.

    Raises:
        UserError: If the directory does not hold a model that can be loaded here.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.spec = ModelSpec.load(path)
        self._tensorflow = import_tensorflow_runtime()
        if not (Path(path) / "saved_model.pb").is_file():
            raise UserError(f"{path}: no saved_model.pb here; train_model writes one.")
        try:
            # Kept, because its variables live as long as the loaded object.
            self._loaded = self._tensorflow.saved_model.load(os.fspath(path))
        except (OSError, ValueError, self._tensorflow.errors.OpError) as error:
            raise UserError(f"{path}: not a SavedModel that can be loaded here: {error}") from error
        signature = self._loaded.signatures.get(SERVING_SIGNATURE)
        if signature is None:
            raise UserError(f"{path}: the SavedModel has no signature {SERVING_SIGNATURE!r}.")
        self._signature = signature
        self._packed: Callable[[Columns], dict[str, Any]] | None = None
        self._packing = threading.Lock()
        self._check(path)

    def predict(self, tensors: Mapping[str, "np.ndarray[Any, Any]"]) -> dict[str, Any]:
        """Predict for some rows.

        Args:
            tensors: A dense array of shape `[rows]` for each input, by `ModelInput.input`.

        Returns:
            The outputs of the signature by name, as tensors; `.numpy()` returns their values.
        """
        constant = self._tensorflow.constant
        outputs: dict[str, Any] = self._signature(
            **{name: constant(values) for name, values in tensors.items()}
        )
        return outputs

    def predict_columns(self, columns: Columns) -> dict[str, Any]:
        """Predict for columns as `ColumnDecoder` returns them, which is faster than `predict`.

        Args:
            columns: The values by `ModelInput.input`.

        Returns:
            The outputs, as `predict` returns them.
        """
        with self._packing:
            if self._packed is None:
                self._packed = pack_columns(self._tensorflow, self._signature, self.spec.inputs)
        return self._packed(columns)

    def answers(self, columns: Columns) -> dict[str, "np.ndarray[Any, Any]"]:
        """Predict for columns as `predict_columns` does; return what the model's task asks for.

        Raises:
            ValueError: If the graph fails on a value, as a user's preprocessing function may.
        """
        try:
            outputs = self.predict_columns(columns)
            return {name: outputs[name].numpy() for name in self.outputs}
        except self._tensorflow.errors.InvalidArgumentError as error:
            raise ValueError(str(error)) from error

    @property
    def tensorflow(self) -> Any:
        """The TensorFlow module that the model was loaded with."""
        return self._tensorflow

    @property
    def graph(self) -> Any:
        """The model, as `tf.saved_model.load` returns it."""
        return self._loaded

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the outputs that predictions are made of."""
        return (PREDICTION,) if self.spec.task == "regression" else (PROBABILITIES, CLASSES)

    def _check(self, path: str | os.PathLike[str]) -> None:
        takes = set(self._signature.structured_input_signature[1])
        described = {entry.input for entry in self.spec.inputs}
        if takes != described:
            raise UserError(
                f"{path}: model.json and the signature {SERVING_SIGNATURE!r} have different "
                f"inputs: {', '.join(sorted(takes ^ described))}."
            )
        returned = set(self._signature.structured_outputs)
        wanted = {PREDICTION} if self.spec.task == "regression" else {PROBABILITIES, CLASSES}
        if not wanted <= returned:
            raise UserError(
                f"{path}: the signature {SERVING_SIGNATURE!r} returns "
                f"{', '.join(sorted(returned))}; a {self.spec.task} model returns "
                f"{', '.join(sorted(wanted))}."
            )


@functools.lru_cache(maxsize=2)
def _loaded(path: str, _version: int) -> SavedModel:
    """Load a model; a new version of its file is another model."""
    return SavedModel(path)


@functools.lru_cache(maxsize=2)
def _received(directory: SentDirectory) -> SavedModel:
    """Load a model that was sent here."""
    with directory.opened() as path:
        return SavedModel(path)
