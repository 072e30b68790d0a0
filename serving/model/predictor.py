"""The loaded model: raw tensors in, named outputs out. Knows nothing of protocols."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import (
    FILE_NAME,
    SERVING_SIGNATURE,
    ModelSpec,
)
from kfp_tabular.components.common.artifacts.raw_features import SCHEMA_FILE, DType, read_schema
from kfp_tabular.components.common.errors import UserError
from kfp_tabular.components.common.prediction.instances import Decoder
from kfp_tabular.components.common.process.tensorflow import import_tensorflow
from kfp_tabular.serving.model.domain_rules import DomainRule, rules
from kfp_tabular.serving.model.packed_signature import packed
from kfp_tabular.serving.protocol.model_interface import Arrays, ModelInterface
from kfp_tabular.serving.protocol.request_error import RequestError

_logger = logging.getLogger(__name__)

_WARM_UP_ROWS = (1, 2, 32)
"""Batches of the sizes that requests commonly have, larger ones aside."""


def use_threads(threads: int) -> None:
    """Sets how many threads TensorFlow uses within an operation; those of a call come in turn.

    Calls run side by side already. To hand the operations of one from thread to thread costs a
    call with a single row 15 % of its time, and gains nothing with thousands.

    Args:
        threads: Usually the CPUs that the process may use.

    Raises:
        RuntimeError: Where this process has used TensorFlow already.
    """
    threading = import_tensorflow().config.threading
    threading.set_intra_op_parallelism_threads(threads)
    threading.set_inter_op_parallelism_threads(1)


@dataclass(frozen=True)
class Predictor:
    """A model in memory. Its methods may be called from several threads at once.

    Attributes:
        interface: The model's inputs and outputs.
        rules: What the schema says of the inputs' values.
    """

    interface: ModelInterface
    rules: tuple[DomainRule, ...]
    _tensorflow: Any
    _call: Callable[[Arrays], Any]
    # The signature's variables live only as long as the object that was loaded.
    _loaded: Any

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> "Predictor":
        """Loads a model.

        Args:
            directory: Holds `saved_model.pb`, `model.json` and, usually, `schema.pbtxt`.

        Raises:
            UserError: Where it is no model, cannot be loaded, or its parts do not fit together.
        """
        path = Path(directory)
        spec = ModelSpec.load(path)
        schema = read_schema(path) if (path / SCHEMA_FILE).is_file() else None
        columns = set() if schema is None else {feature.name for feature in schema.feature}
        tf = import_tensorflow()
        try:
            loaded = tf.saved_model.load(str(path))
        except (OSError, ValueError, LookupError, RuntimeError, tf.errors.OpError) as error:
            # A variable that is cut off is an IndexError, an operation that is not known a
            # RuntimeError, and a graph that was damaged may be a KeyError.
            reason = " ".join(str(error).split())
            raise UserError(f"{path}: not a SavedModel that can be loaded: {reason}") from error
        if SERVING_SIGNATURE not in loaded.signatures:
            raise UserError(
                f"{path}: the SavedModel has no signature {SERVING_SIGNATURE!r}; "
                f"it has {', '.join(map(repr, loaded.signatures)) or 'none'}."
            )
        signature = loaded.signatures[SERVING_SIGNATURE]
        ignored = frozenset(columns - {model_input.name for model_input in spec.inputs})
        interface = ModelInterface(spec, ignored, Decoder(spec.inputs, ignored))
        _check(path, interface, signature)
        return cls(
            interface=interface,
            rules=() if schema is None else rules(schema, spec.inputs),
            _tensorflow=tf,
            _call=packed(tf, signature, spec.inputs),
            _loaded=loaded,
        )

    def predict(self, tensors: Arrays) -> dict[str, "np.ndarray[Any, Any]"]:
        """Predicts a batch.

        Args:
            tensors: An array of shape `[batch]` for every input, by `ModelInput.input`.

        Returns:
            The outputs that `ModelInterface.outputs` names; strings are objects of type `bytes`.

        Raises:
            RequestError: Where the model's own graph refuses a value, as a preprocessing function
                of the user's may, or makes a number of it that is not finite.
        """
        tf = self._tensorflow
        try:
            outputs = self._call(tensors)
            arrays = {name: outputs[name].numpy() for name in self.interface.outputs}
        except tf.errors.InvalidArgumentError:
            # TensorFlow's message may hold the value.
            raise RequestError(
                "the model cannot process a value of this request.", reason="graph"
            ) from None
        for array in arrays.values():
            # JSON has no such numbers, and a class that is chosen by them means nothing.
            if array.dtype != object and not np.isfinite(array).all():
                row = int(np.argwhere(~np.isfinite(array))[0, 0])
                raise RequestError(
                    f"instance {row}: the model's answer is not a finite number.",
                    reason="graph",
                    row=row,
                )
        return arrays

    def warm_up(self, rows: Iterable[int] = ()) -> None:
        """Predicts made-up rows, so that no client waits for what TensorFlow does only once.

        Args:
            rows: Sizes of batches that are to be expected, besides a few small ones.
        """
        made_up = {rule.input: rule.example() for rule in self.rules}
        for size in sorted({*_WARM_UP_ROWS, *rows}):
            tensors = {
                model_input.input: np.full(
                    size,
                    made_up.get(model_input.input, b"" if model_input.dtype == "string" else 0),
                    dtype=_NUMPY_TYPES[model_input.dtype],
                )
                for model_input in self.interface.spec.inputs
            }
            try:
                self.predict(tensors)
            except RequestError:
                _logger.warning("the model refuses the made-up rows that were to warm it up")
                return


def _check(path: Path, interface: ModelInterface, signature: Any) -> None:
    """Check that `model.json` describes the SavedModel beside it."""
    spec = interface.spec
    taken = {
        name: tensor.dtype.name for name, tensor in signature.structured_input_signature[1].items()
    }
    described = {model_input.input: model_input.dtype for model_input in spec.inputs}
    wrong = sorted(
        name for name in taken.keys() | described.keys() if taken.get(name) != described.get(name)
    )
    if wrong:
        name = wrong[0]
        raise UserError(
            f"{path}: {FILE_NAME} does not describe this SavedModel: input {name!r} is "
            f"{described.get(name, 'absent')} in {FILE_NAME} and {taken.get(name, 'absent')} in "
            f"its {SERVING_SIGNATURE} signature ({len(wrong)} inputs differ)."
        )
    absent = sorted(set(interface.outputs) - set(signature.structured_outputs))
    if absent:
        raise UserError(
            f"{path}: a {spec.task} model's {SERVING_SIGNATURE} signature gives "
            f"{', '.join(map(repr, interface.outputs))}; {', '.join(map(repr, absent))} is absent."
        )


_NUMPY_TYPES: Mapping[DType, Any] = {"float32": np.float32, "int64": np.int64, "string": object}
