"""Instances, as a client sends them, turned into the tensors that a model takes.

An instance is a JSON object of raw values by feature name. Serving decodes requests with this and
deployment the golden examples, so both give the model what evaluation gave it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.features import MISSING_INT, DType
from kfp_tabular.components.common.model import ModelInput

_SHOWN = 40


class InstanceError(UserError):
    """An instance that the model cannot take.

    Attributes:
        feature: The feature at fault; None where the instance as a whole is.
        row: The instance's position in the request, from 0.
    """

    def __init__(self, message: str, *, feature: str | None, row: int) -> None:
        super().__init__(message)
        self.feature = feature
        self.row = row


def tensors(
    instances: Sequence[Mapping[str, Any]], inputs: Sequence[ModelInput]
) -> dict[str, "np.ndarray[Any, Any]"]:
    """Decodes instances into the dense tensors of a model's `serving_default` signature.

    What a feature's type takes, in JSON terms:

    - `float32`: a number that is finite and within float32's range.
    - `int64`: a whole number (also written `3.0`, as JavaScript and pandas do) above -2**63,
      or true and false for 1 and 0.
    - `string`: text. A number is not taken for text: `7` and `"7"` may not be the same category.

    Null is a missing value, and so is a feature that the instance leaves out.

    Args:
        instances: Objects of raw values by feature name.
        inputs: The features that the model takes.

    Returns:
        An array of shape `[instances]` for each input, by `ModelInput.input`; strings are objects
        of type `bytes`. A missing value of an optional feature is the feature's sentinel.

    Raises:
        InstanceError: For the first instance that is no object, has an unknown feature, lacks a
            required one, or has a value of the wrong type.
    """
    _check_names(instances, inputs)
    return {model_input.input: _column(instances, model_input) for model_input in inputs}


def _check_names(instances: Sequence[Mapping[str, Any]], inputs: Sequence[ModelInput]) -> None:
    known = {model_input.name for model_input in inputs}
    for row, instance in enumerate(instances):
        if not isinstance(instance, Mapping):
            raise InstanceError(
                f"instance {row}: expected an object of values by feature name, "
                f"found {_described(instance)}.",
                feature=None,
                row=row,
            )
        if not instance.keys() <= known:
            name = next(str(name) for name in instance if name not in known)
            raise InstanceError(
                f"instance {row}: feature {name!r} is unknown to this model.{closest(name, known)}",
                feature=name,
                row=row,
            )


def _column(
    instances: Sequence[Mapping[str, Any]], model_input: ModelInput
) -> "np.ndarray[Any, Any]":
    convert = _CONVERTERS[model_input.dtype]
    column = np.empty(len(instances), dtype=_NUMPY_TYPES[model_input.dtype])
    for row, instance in enumerate(instances):
        value = instance.get(model_input.name)
        if value is None:
            if model_input.required:
                raise InstanceError(
                    f"instance {row}: feature {model_input.name!r} is required and missing; "
                    f"give {_EXPECTED[model_input.dtype]}.",
                    feature=model_input.name,
                    row=row,
                )
            column[row] = _sentinel(model_input)
            continue
        try:
            column[row] = convert(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise InstanceError(
                f"instance {row}: feature {model_input.name!r}: expected "
                f"{_EXPECTED[model_input.dtype]}, found {_described(value)}.",
                feature=model_input.name,
                row=row,
            ) from error
    return column


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    number = float(value)
    if not abs(number) <= _LARGEST_FLOAT:
        raise ValueError
    return number


def _int(value: Any) -> int:
    if not isinstance(value, (int, float)):
        raise TypeError
    number = int(value)
    if number != value or not MISSING_INT < number < 2**63:
        raise ValueError
    return number


def _text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError
    return value.encode("utf-8")


def _sentinel(model_input: ModelInput) -> float | int | bytes:
    missing = model_input.missing
    return missing.encode("utf-8") if isinstance(missing, str) else missing


def _described(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return f"the text {_shortened(repr(value))}"
    if isinstance(value, (int, float)):
        return f"the number {_number(value)}"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, Sequence) else f"a value of type {type(value).__name__}"


def _number(value: float) -> str:
    # Python refuses to print an integer of more than 4,300 digits.
    if isinstance(value, int) and value.bit_length() > 128:
        return "that has more than 38 digits"
    return repr(value)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


_LARGEST_FLOAT = float(np.finfo(np.float32).max)
_CONVERTERS: Mapping[DType, Callable[[Any], float | int | bytes]] = {
    "float32": _float,
    "int64": _int,
    "string": _text,
}
_NUMPY_TYPES: Mapping[DType, Any] = {"float32": np.float32, "int64": np.int64, "string": object}
_EXPECTED: Mapping[DType, str] = {
    "float32": "a finite number in float32's range",
    "int64": "a whole number of 64 bits",
    "string": "text",
}
