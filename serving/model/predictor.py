"""A model in memory: raw feature arrays in, named outputs out, whatever the protocol."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import (
    CLASSES,
    FILE_NAME,
    PROBABILITIES,
    SERVING_SIGNATURE,
    ModelSpec,
)
from kfp_tabular.components.common.artifacts.raw_features import SCHEMA_FILE, DType, read_schema
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.explanation.explainer import Explainer
from kfp_tabular.components.common.prediction.domain_rules import DomainRule, build_rules
from kfp_tabular.components.common.prediction.instances import Decoder
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.serving.model.packed_signature import pack_signature
from kfp_tabular.serving.protocol.model_interface import Arrays, ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError

_logger = logging.getLogger(__name__)

_WARM_UP_ROWS = (1, 2, 32)
"""Common batch sizes. The configured one is added."""


def use_threads(threads: int) -> None:
    """Set how many threads TensorFlow uses within an operation; operations run one by one.

    Calls already run in parallel. Distributing the operations of one call over threads makes a call
    with one row 15% slower, and one with thousands of rows no faster.

    Args:
        threads: Usually the number of CPUs that the process may use.

    Raises:
        RuntimeError: If this process has used TensorFlow already.
    """
    threading = import_tensorflow().config.threading
    threading.set_intra_op_parallelism_threads(threads)
    threading.set_inter_op_parallelism_threads(1)


@dataclass(frozen=True)
class Predictor:
    """A model in memory. Several threads may call its methods at once.

    Attributes:
        interface: The model's inputs and outputs.
        rules: The schema's rules for the inputs' values.
        explainer: Explains predictions; None where explanations are off.
    """

    interface: ModelInterface
    rules: tuple[DomainRule, ...]
    _tensorflow: Any
    _call: Callable[[Arrays], Any]
    # Keeps the signature's variables alive.
    _loaded: Any
    explainer: Explainer | None = None

    @classmethod
    def load(cls, directory: str | os.PathLike[str], *, explains: bool = False) -> "Predictor":
        """Load a model.

        Args:
            directory: Holds `saved_model.pb`, `model.json` and, usually, `schema.pbtxt`.
            explains: Whether it explains predictions, too.

        Raises:
            UserError: If it is not a model, cannot be loaded, or its parts do not match.
        """
        path = Path(directory)
        spec = ModelSpec.load(path)
        schema = read_schema(path) if (path / SCHEMA_FILE).is_file() else None
        columns = set() if schema is None else {feature.name for feature in schema.feature}
        tf = import_tensorflow()
        try:
            loaded = tf.saved_model.load(str(path))
        except (OSError, ValueError, LookupError, RuntimeError, tf.errors.OpError) as error:
            # A truncated variable raises IndexError, an unknown operation RuntimeError, and a
            # damaged graph may raise KeyError.
            reason = " ".join(str(error).split())
            raise UserError(f"{path}: cannot load this SavedModel: {reason}") from error
        if SERVING_SIGNATURE not in loaded.signatures:
            raise UserError(
                f"{path}: the SavedModel has no signature {SERVING_SIGNATURE!r}; "
                f"it has {', '.join(map(repr, loaded.signatures)) or 'none'}."
            )
        signature = loaded.signatures[SERVING_SIGNATURE]
        ignored = frozenset(columns - {model_input.name for model_input in spec.inputs})
        interface = ModelInterface(spec, ignored, Decoder(spec.inputs, ignored))
        _check(path, interface, signature)
        # Before the signature is called: it replaces functions of the graph.
        explainer = Explainer(tf, loaded, spec) if explains else None
        return cls(
            interface=interface,
            rules=() if schema is None else build_rules(schema, spec.inputs),
            explainer=explainer,
            _tensorflow=tf,
            _call=pack_signature(tf, signature, spec.inputs),
            _loaded=loaded,
        )

    def predict(self, arrays: Arrays) -> dict[str, "np.ndarray[Any, Any]"]:
        """Predict a batch.

        Args:
            arrays: An array of shape `[batch]` for every input, by `ModelInput.input`.

        Returns:
            The outputs by name, those of `ModelInterface.outputs`; strings are `bytes` objects.

        Raises:
            RequestError: If the model's graph fails on a value, as a user's preprocessing function
                may.
        """
        tf = self._tensorflow
        try:
            outputs = self._call(arrays)
            return {name: outputs[name].numpy() for name in self.interface.outputs}
        except tf.errors.InvalidArgumentError:
            # TensorFlow's message may quote the value.
            raise RequestError(
                "the model cannot process a value of this request.", reason="graph"
            ) from None

    @staticmethod
    def check(outputs: Arrays) -> None:
        """Check outputs: JSON has no NaN, and a class that is chosen by it is meaningless.

        Raises:
            RequestError: If a number is not finite; it names the first such row.
        """
        for array in outputs.values():
            if array.dtype != object and not np.isfinite(array).all():
                row = int(np.argwhere(~np.isfinite(array))[0, 0])
                raise RequestError(
                    f"instance {row}: the model's prediction is not a finite number.",
                    reason="graph",
                    row=row,
                )

    def warm_up(self, rows: Iterable[int] = ()) -> None:
        """Predict example rows, so that no client waits for TensorFlow's one-time work.

        Args:
            rows: Expected batch sizes, besides a few small ones.

        Raises:
            UserError: If the predictions do not fit the model's description.
        """
        examples = {rule.input: rule.example() for rule in self.rules}
        for size in sorted({*_WARM_UP_ROWS, *rows}):
            arrays = {
                model_input.input: np.full(
                    size,
                    examples.get(model_input.input, b"" if model_input.dtype == "string" else 0),
                    dtype=_NUMPY_TYPES[model_input.dtype],
                )
                for model_input in self.interface.spec.inputs
            }
            try:
                outputs = self.predict(arrays)
            except RequestError:
                _logger.warning(
                    "warm-up ended early: the model fails on example rows, so the first requests "
                    "will be slower"
                )
                return
            _check_outputs(self.interface.spec, outputs, size)


def _check(path: Path, interface: ModelInterface, signature: Any) -> None:
    """Check that `model.json` describes the SavedModel beside it."""
    spec = interface.spec
    for what, names in (
        ("classes", spec.classes),
        ("inputs", [model_input.name for model_input in spec.inputs]),
    ):
        if len(set(names)) < len(names):
            raise UserError(f"{path}: {FILE_NAME}: two {what} have the same name.")
    if not spec.inputs:
        raise UserError(f"{path}: {FILE_NAME} describes no inputs.")
    actual = {
        name: tensor.dtype.name for name, tensor in signature.structured_input_signature[1].items()
    }
    described = {model_input.input: model_input.dtype for model_input in spec.inputs}
    wrong = sorted(
        name for name in actual.keys() | described.keys() if actual.get(name) != described.get(name)
    )
    if wrong:
        name = wrong[0]
        raise UserError(
            f"{path}: {FILE_NAME} does not describe this SavedModel: input {name!r} is "
            f"{described.get(name, 'absent')} in {FILE_NAME} and {actual.get(name, 'absent')} in "
            f"its {SERVING_SIGNATURE} signature ({len(wrong)} inputs differ)."
        )
    absent = sorted(set(interface.outputs) - set(signature.structured_outputs))
    if absent:
        raise UserError(
            f"{path}: a {spec.task} model's {SERVING_SIGNATURE} signature returns "
            f"{', '.join(map(repr, interface.outputs))}; this one lacks "
            f"{', '.join(map(repr, absent))}."
        )
    if PROBABILITIES in interface.outputs:
        shape = signature.structured_outputs[PROBABILITIES].shape
        if shape.rank is not None and (
            shape.rank != 2 or shape[1] not in (None, len(spec.classes))
        ):
            raise UserError(
                f"{path}: {FILE_NAME} lists {len(spec.classes)} classes, and {PROBABILITIES!r} has "
                f"the shape {shape}."
            )


def _check_outputs(
    spec: ModelSpec, outputs: Mapping[str, "np.ndarray[Any, Any]"], rows: int
) -> None:
    """Check the shapes of predictions, and their classes."""
    for name, array in outputs.items():
        expected = (rows, len(spec.classes)) if name == PROBABILITIES else (rows,)
        if array.shape != expected:
            raise UserError(
                f"the model's {name!r} has the shape {array.shape} for {rows} rows; "
                f"{len(spec.classes)} classes in {FILE_NAME} need {expected}."
            )
    known = {name.encode("utf-8") for name in spec.classes}
    other = set(outputs[CLASSES].tolist()) - known if CLASSES in outputs else set()
    if other:
        raise UserError(
            f"the model predicts a class that {FILE_NAME} does not list: {min(other)!r}."
        )


_NUMPY_TYPES: Mapping[DType, Any] = {"float32": np.float32, "int64": np.int64, "string": object}
