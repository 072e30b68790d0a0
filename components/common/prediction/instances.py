"""Decoding of instances, as clients send them, into the input tensors of a model.

An instance is a JSON object of raw values by feature name. Serving decodes requests with this
module and deployment the golden examples, so both give the model the same tensors as evaluation.
Messages name the feature, the row and the type that was found, never the value: they appear in logs
and responses, and a value may be personal data.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT, DType
from kfp_tabular.components.common.errors import UserError, closest

_LONGEST_NAME = 100
_WORTH_IT_FROM = 5


class InstanceError(UserError):
    """An instance that does not fit the model.

    Attributes:
        reason: `unknown` if the model has no such feature, `missing` if a required feature is
            missing, `type` if a value has the wrong type.
        feature: The feature at fault; None if the instance itself is.
        row: Position of the instance in the request, from 0.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: Literal["unknown", "missing", "type"],
        feature: str | None,
        row: int,
    ) -> None:
        super().__init__(message)
        self.reason: Literal["unknown", "missing", "type"] = reason
        self.feature = feature
        self.row = row


class _Feature(NamedTuple):
    name: str
    input: str
    required: bool
    missing: float | int | bytes


class Decoder:
    """A decoder of instances into the dense tensors of a model's `serving_default` signature.

    Args:
        inputs: The inputs of the model.
        ignored: Names of further keys that an instance may have; their values are ignored.
    """

    def __init__(self, inputs: Sequence[ModelInput], ignored: Collection[str] = ()) -> None:
        self._inputs = tuple(inputs)
        self._names = frozenset(model_input.name for model_input in inputs)
        self._known = self._names.union(ignored)
        self._by_type: dict[DType, list[_Feature]] = {}
        for model_input in inputs:
            self._by_type.setdefault(model_input.dtype, []).append(
                _Feature(
                    model_input.name,
                    model_input.input,
                    model_input.required,
                    _sentinel(model_input),
                )
            )

    def tensors(self, instances: Sequence[Mapping[str, Any]]) -> dict[str, "np.ndarray[Any, Any]"]:
        """Decode instances.

        Args:
            instances: Objects of raw values by feature name; see `column` for the values. A feature
                that an instance leaves out is missing, like null.

        Returns:
            An array of shape `[instances]` for each input, by `ModelInput.input`.

        Raises:
            InstanceError: If an instance is not an object, has an unknown feature, lacks a
                required feature, or has a value of the wrong type.
        """
        self._check_names(instances)
        if len(instances) < _WORTH_IT_FROM:
            plain = self._plain(instances)
            if plain is not None:
                return plain
        return {
            model_input.input: column(
                [instance.get(model_input.name) for instance in instances], model_input
            )
            for model_input in self._inputs
        }

    def _check_names(self, instances: Sequence[Mapping[str, Any]]) -> None:
        for row, instance in enumerate(instances):
            if not isinstance(instance, Mapping):
                raise InstanceError(
                    f"instance {row}: expected an object of values by feature name, "
                    f"found {described(instance)}.",
                    reason="type",
                    feature=None,
                    row=row,
                )
            if not instance.keys() <= self._known:
                name = next(str(name) for name in instance if name not in self._known)
                name = name[:_LONGEST_NAME]
                raise InstanceError(
                    f"instance {row}: feature {name!r} is unknown to this model."
                    + closest(name, self._names),
                    reason="unknown",
                    feature=name,
                    row=row,
                )

    def _plain(
        self, instances: Sequence[Mapping[str, Any]]
    ) -> dict[str, "np.ndarray[Any, Any]"] | None:
        """Decode a few instances whose values have the usual types; return None for others.

        One array for each type, split into those of the features, takes half the time of one array
        for each feature.
        """
        rows = len(instances)
        decoded: dict[str, np.ndarray[Any, Any]] = {}
        for kind, features in self._by_type.items():
            types, convert = _PLAIN_TYPES[kind], _CONVERTERS[kind]
            values: list[float | int | bytes] = []
            for feature in features:
                for instance in instances:
                    value = instance.get(feature.name)
                    if type(value) in types:
                        try:
                            values.append(convert(value))
                        except (ValueError, OverflowError):
                            return None
                    elif value is None and not feature.required:
                        values.append(feature.missing)
                    else:
                        return None
            array = np.array(values, dtype=_NUMPY_TYPES[kind])
            for place, feature in enumerate(features):
                decoded[feature.input] = array[place * rows : (place + 1) * rows]
        return decoded


def tensors(
    instances: Sequence[Mapping[str, Any]], inputs: Sequence[ModelInput]
) -> dict[str, "np.ndarray[Any, Any]"]:
    """Decode instances; see `Decoder.tensors`.

    Example:
        >>> fare = ModelInput(name="fare", dtype="float32", required=False, input="fare")
        >>> tensors([{"fare": 12.5}, {}], [fare])
        {'fare': array([12.5,  nan], dtype=float32)}
    """
    return Decoder(inputs).tensors(instances)


def column(values: Sequence[Any], model_input: ModelInput) -> "np.ndarray[Any, Any]":
    """Decode the values of one feature.

    The values that each type accepts, in JSON terms:

    - `float32`: a finite number within float32's range.
    - `int64`: a whole number (also written `3.0`, as JavaScript and pandas do) above -2**63,
      or true and false for 1 and 0.
    - `string`: text. A number is not accepted: `7` and `"7"` may be different categories.

    None is a missing value.

    Args:
        values: The value of each row.
        model_input: The feature.

    Returns:
        An array of shape `[values]` with the feature's type; strings are objects of type `bytes`.
        A missing value of an optional feature becomes the feature's missing-value marker.

    Raises:
        InstanceError: For the first value that has the wrong type, or is missing although it is
            required.

    Example:
        >>> rooms = ModelInput(name="rooms", dtype="int64", required=True, input="rooms")
        >>> column([3, 4.0, True], rooms)
        array([3, 4, 1])
        >>> column([3, 4.5], rooms)
        Traceback (most recent call last):
        ...
        kfp_tabular.components.common.prediction.instances.InstanceError: instance 1:
        feature 'rooms': expected a whole number of 64 bits, found a number with a fraction.
    """
    array = _at_once(values, model_input) if len(values) >= _WORTH_IT_FROM else None
    return _one_by_one(values, model_input) if array is None else array


def _at_once(values: Sequence[Any], model_input: ModelInput) -> "np.ndarray[Any, Any] | None":
    """Decode values of the usual types, many times faster than one by one; None for others."""
    types = set(map(type, values))
    gaps = 0
    if type(None) in types:
        if model_input.required:
            return None
        gaps = sum(value is None for value in values)
        types.remove(type(None))
    if not types <= _PLAIN_TYPES[model_input.dtype]:
        return None
    missing = _sentinel(model_input)
    try:
        if model_input.dtype == "string":
            encoded = [missing if value is None else value.encode() for value in values]
            return np.array(encoded, dtype=object)
        filled = [missing if value is None else value for value in values] if gaps else values
        if model_input.dtype == "int64":
            integers = np.array(filled, dtype=np.int64)
            return integers if np.count_nonzero(integers == MISSING_INT) == gaps else None
        doubles = np.array(filled, dtype=np.float64)
        fitting = np.count_nonzero(np.abs(doubles) <= _LARGEST_FLOAT)
        return doubles.astype(np.float32) if fitting == len(values) - gaps else None
    except (OverflowError, UnicodeEncodeError):
        return None


def _one_by_one(values: Sequence[Any], model_input: ModelInput) -> "np.ndarray[Any, Any]":
    convert = _CONVERTERS[model_input.dtype]
    array = np.empty(len(values), dtype=_NUMPY_TYPES[model_input.dtype])
    for row, value in enumerate(values):
        if value is None:
            if model_input.required:
                raise InstanceError(
                    f"instance {row}: feature {model_input.name!r} is required and missing; "
                    f"give {EXPECTED[model_input.dtype]}.",
                    reason="missing",
                    feature=model_input.name,
                    row=row,
                )
            array[row] = _sentinel(model_input)
            continue
        try:
            array[row] = convert(value)
        except (ValueError, TypeError, OverflowError):
            # Without the cause, whose message holds the value.
            raise InstanceError(
                f"instance {row}: feature {model_input.name!r}: expected "
                f"{EXPECTED[model_input.dtype]}, found {described(value)}.",
                reason="type",
                feature=model_input.name,
                row=row,
            ) from None
    return array


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


def described(value: Any) -> str:
    """Return the type of a JSON value for a message, without the value.

    Example:
        >>> described(1.5)
        'a number with a fraction'
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return _described_number(value)
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, Sequence) else f"a value of type {type(value).__name__}"


def _described_number(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    if value != int(value):
        return "a number with a fraction"
    return "a number" if MISSING_INT < value < 2**63 else "a number out of range"


EXPECTED: Mapping[DType, str] = {
    "float32": "a finite number in float32's range",
    "int64": "a whole number of 64 bits",
    "string": "text",
}
"""The values that a feature of each type accepts, for messages."""

FLOAT32_OVERFLOW = 2.0**128 - 2.0**103
"""The least number that rounds to infinity in float32."""

_LARGEST_FLOAT = math.nextafter(FLOAT32_OVERFLOW, 0.0)
"""The largest number that rounds to a finite float32.

It exceeds the largest float32, whose shortest decimal form, `3.4028235e38`, is slightly larger."""
_CONVERTERS: Mapping[DType, Callable[[Any], float | int | bytes]] = {
    "float32": _float,
    "int64": _int,
    "string": _text,
}
_PLAIN_TYPES: Mapping[DType, frozenset[type]] = {
    "float32": frozenset((int, float)),
    "int64": frozenset((int, bool)),
    "string": frozenset((str,)),
}
_NUMPY_TYPES: Mapping[DType, Any] = {"float32": np.float32, "int64": np.int64, "string": object}
