"""Decoding of instances, as clients send them, into the input tensors of a model.

An instance is a JSON object of raw values by feature name. Serving decodes requests with this
module and deployment the golden examples, so both give the model the same tensors as evaluation.
Messages name the feature, the row and the type that was found, never the value: they appear in logs
and responses, and a value may be personal data.
"""

import copy
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.artifacts.raw_features import MISSING_INT, DType
from kfp_tabular.components.common.errors import UserError, closest
from kfp_tabular.components.common.prediction import lenient_values, spellings
from kfp_tabular.components.common.prediction.spellings import Value

CountUnreadable = Callable[[str, int], None]
"""Called with a feature's name and the number of a request's values that cannot be read."""

_LONGEST_NAME = 100
_WORTH_IT_FROM = 5


class InstanceError(UserError):
    """An instance that does not fit the model.

    Args:
        problem: What is wrong, without the instance's position.

    Attributes:
        problem: What is wrong, without the instance's position.
        reason: `unknown` if the model has no such feature, `missing` if a required feature is
            missing, `type` if a value has the wrong type.
        feature: The feature at fault; None if the instance itself is.
        row: Position of the instance in the request, from 0.
    """

    def __init__(
        self,
        problem: str,
        *,
        reason: Literal["unknown", "missing", "type"],
        feature: str | None,
        row: int,
    ) -> None:
        super().__init__(f"instance {row}: {problem}")
        self.problem = problem
        self.reason: Literal["unknown", "missing", "type"] = reason
        self.feature = feature
        self.row = row


class Feature:
    """A feature of a model, and how its values are converted.

    Attributes:
        name: The feature's name.
        input: The name of the signature's input.
        dtype: The type of its tensor.
        required: Whether each row needs a value.
        missing: What stands for a missing value in the tensor.
        types: The Python types of plain values.
        convert: Converts a plain value. Text of a column with a format may be missing: None.
        odd_is_missing: Whether training took unreadable text as missing, and flagged it.
    """

    def __init__(self, model_input: ModelInput) -> None:
        self.name = model_input.name
        self.input = model_input.input
        self.dtype: DType = model_input.dtype
        self.required = model_input.required
        missing = model_input.missing
        self.missing: Value = missing.encode("utf-8") if isinstance(missing, str) else missing
        self.types = _PLAIN_TYPES[self.dtype]
        self.format = model_input.format
        self.odd_is_missing = False
        plain = _CONVERTERS[self.dtype]
        self.read: spellings.Reader = plain
        if self.format is not None:
            self.read = spellings.reader(self.dtype, self.format, plain)
        self.convert = self.read if self.dtype == "string" else plain

    def value(self, given: Any, *, tolerant: bool = False) -> Value | None:
        """Return a plain value for the model; None where it is missing.

        Args:
            given: What a client sends.
            tolerant: Whether text that cannot be read is missing, as it is where training flagged
                such text.

        Raises:
            UnreadableError: For text that cannot be read.
            InstanceError: For a value of the wrong type, as of the first instance.
        """
        try:
            return None if given is None else self.read(given)
        except spellings.UnreadableError:
            if not (tolerant or self.odd_is_missing):
                raise
            return None
        except (ValueError, TypeError, OverflowError):
            raise self.wrong(given, 0) from None

    def plain(self, value: Any) -> Any:
        """Return a value of a lenient client as a strict one would send it."""
        kind = "" if self.format is None else self.format.kind
        return lenient_values.plain(value, self.dtype, kind)

    def absent(self, row: int) -> "InstanceError":
        """Return the error for an instance that lacks a required feature."""
        return InstanceError(
            f"feature {self.name!r} is required and missing; give {EXPECTED[self.dtype]}.",
            reason="missing",
            feature=self.name,
            row=row,
        )

    def wrong(self, value: Any, row: int) -> "InstanceError":
        """Return the error for a value of the wrong type."""
        is_bag = self.format is not None and self.format.kind == "bag"
        found = "a list of other items" if is_bag and isinstance(value, list) else described(value)
        wanted = spellings.expected(self.format) if self.format and is_bag else EXPECTED[self.dtype]
        return InstanceError(
            f"feature {self.name!r}: expected {wanted}, found {found}.",
            reason="type",
            feature=self.name,
            row=row,
        )

    def unreadable(self, row: int) -> "InstanceError":
        """Return the error for text that cannot be read."""
        wanted = EXPECTED[self.dtype] if self.format is None else spellings.expected(self.format)
        return InstanceError(
            f"feature {self.name!r}: expected {wanted}, found other text.",
            reason="type",
            feature=self.name,
            row=row,
        )


class Decoder:
    """A decoder of instances into the dense tensors of a model's `serving_default` signature.

    Args:
        inputs: The inputs of the model.
        ignored: Names of further keys that an instance may have; their values are ignored.

    Attributes:
        sources: Columns that the model does not take, but that some of its features are derived
            from; an instance may have them.
        features: The features, in the order of the inputs.
        derived: The name of each feature that ingestion derived from the text of another column,
            its own format, and that of the other column.
    """

    def __init__(self, inputs: Sequence[ModelInput], ignored: Collection[str] = ()) -> None:
        self._names = frozenset(model_input.name for model_input in inputs)
        self.features = [Feature(model_input) for model_input in inputs]
        self.derived = [
            (model_input.name, model_input.format, model_input.source)
            for model_input in inputs
            if model_input.format is not None and model_input.source is not None
        ]
        self.sources = frozenset(
            given.derived_from for _, given, _ in self.derived if given.derived_from
        ).difference(self._names)
        self._known = self._names.union(ignored, self.sources)
        flagged = {given.derived_from for _, given, _ in self.derived if given.part == "odd"}
        self._by_type: dict[DType, list[Feature]] = {}
        for feature in self.features:
            feature.odd_is_missing = feature.name in flagged
            self._by_type.setdefault(feature.dtype, []).append(feature)
        self._unreadable: CountUnreadable | None = None
        self._is_lenient = False

    def lenient(self) -> "Decoder":
        """Return a decoder that takes values as `csv.DictReader` and pandas give them.

        See `lenient_values`. What is no spelling of a value of the feature is refused all the same.

        Example:
            >>> fare = ModelInput("fare", "float32", required=False, input="fare")
            >>> Decoder([fare]).lenient().tensors([{"fare": "12.5"}, {"fare": ""}])
            {'fare': array([12.5,  nan], dtype=float32)}
        """
        found = copy.copy(self)
        found._is_lenient = True
        return found

    def tolerating(self, count: "CountUnreadable") -> "Decoder":
        """Return a decoder that takes text that it cannot read as missing.

        Args:
            count: Called with a feature's name and how many of a request's values are unreadable.

        Example:
            >>> from kfp_tabular.components.common.values.column_format import ColumnFormat
            >>> plain = ColumnFormat("number")
            >>> fare = ModelInput("fare", "float32", required=False, input="fare", format=plain)
            >>> Decoder([fare]).tolerating(print).tensors([{"fare": "12.5"}, {"fare": "free"}])
            fare 1
            {'fare': array([12.5,  nan], dtype=float32)}
        """
        tolerant = copy.copy(self)
        tolerant._unreadable = count
        return tolerant

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
        if self._is_lenient:
            instances = [self._plain_values(instance) for instance in instances]
        if self.derived:
            instances = [self._completed(instance) for instance in instances]
        if len(instances) < _WORTH_IT_FROM:
            plain = self._plain(instances)
            if plain is not None:
                return plain
        return {
            feature.input: self._column(
                [instance.get(feature.name) for instance in instances], feature
            )
            for feature in self.features
        }

    def columns(
        self, given: Mapping[str, Sequence[Any]], rows: int
    ) -> dict[str, "np.ndarray[Any, Any]"]:
        """Decode values by feature.

        Args:
            given: The value of each row, by feature. A feature that is left out is missing.
            rows: The number of rows.

        Returns:
            An array of shape `[rows]` for each input, by `ModelInput.input`.

        Raises:
            InstanceError: A required feature is missing, or a value has the wrong type.
        """
        if self._is_lenient:
            given = {
                feature.name: [feature.plain(value) for value in given[feature.name]]
                for feature in self.features
                if feature.name in given
            } | {name: given[name] for name in self.sources if name in given}
        absent = [None] * rows
        derived = {
            name: [
                spellings.part(value, source, form)
                for value in given.get(form.derived_from, absent)
            ]
            for name, form, source in self.derived
            if name not in given
        }
        return {
            feature.input: self._column(
                derived.get(feature.name) or given.get(feature.name, absent), feature
            )
            for feature in self.features
        }

    def _plain_values(self, instance: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an instance with its values as a strict client would send them."""
        plain = {
            feature.name: feature.plain(instance[feature.name])
            for feature in self.features
            if feature.name in instance
        }
        return {**instance, **plain}

    def _completed(self, instance: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an instance with the features that are derived from the text of others."""
        derived = {
            name: spellings.part(instance.get(given.derived_from), source, given)
            for name, given, source in self.derived
            if name not in instance
        }
        return {**instance, **derived}

    def _check_names(self, instances: Sequence[Mapping[str, Any]]) -> None:
        for row, instance in enumerate(instances):
            if not isinstance(instance, Mapping):
                raise InstanceError(
                    f"expected an object of values by feature name, found {described(instance)}.",
                    reason="type",
                    feature=None,
                    row=row,
                )
            if not instance.keys() <= self._known:
                name = next(str(name) for name in instance if name not in self._known)
                name = name[:_LONGEST_NAME]
                raise InstanceError(
                    f"feature {name!r} is unknown to this model." + closest(name, self._names),
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
            values: list[Value] = []
            for feature in features:
                types, convert = feature.types, feature.convert
                for instance in instances:
                    value = instance.get(feature.name)
                    if type(value) in types:
                        try:
                            value = convert(value)
                        except (ValueError, OverflowError):
                            return None
                    elif value is not None:
                        return None
                    if value is None:
                        if feature.required:
                            return None
                        value = feature.missing
                    values.append(value)
            array = np.array(values, dtype=_NUMPY_TYPES[kind])
            for place, feature in enumerate(features):
                decoded[feature.input] = array[place * rows : (place + 1) * rows]
        return decoded

    def _column(self, values: Sequence[Any], feature: Feature) -> "np.ndarray[Any, Any]":
        array = _at_once(values, feature) if len(values) >= _WORTH_IT_FROM else None
        return _one_by_one(values, feature, self._unreadable) if array is None else array


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

    None is a missing value. A feature with a format also takes text: every spelling that ingestion
    accepted in training (`spellings`).

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
    return Decoder([model_input])._column(values, Feature(model_input))


def _at_once(values: Sequence[Any], feature: Feature) -> "np.ndarray[Any, Any] | None":
    """Decode values of the usual types, many times faster than one by one; None for others."""
    types = set(map(type, values))
    gaps = 0
    if type(None) in types:
        if feature.required:
            return None
        gaps = sum(value is None for value in values)
        types.remove(type(None))
    if not types <= feature.types:
        return None
    try:
        if feature.dtype == "string":
            return _texts_at_once(values, feature)
        missing = feature.missing
        filled = [missing if value is None else value for value in values] if gaps else values
        if feature.dtype == "int64":
            integers = np.array(filled, dtype=np.int64)
            return integers if np.count_nonzero(integers == MISSING_INT) == gaps else None
        doubles = np.array(filled, dtype=np.float64)
        fitting = np.count_nonzero(np.abs(doubles) <= _LARGEST_FLOAT)
        return doubles.astype(np.float32) if fitting == len(values) - gaps else None
    except (OverflowError, ValueError):
        return None


def _texts_at_once(values: Sequence[Any], feature: Feature) -> "np.ndarray[Any, Any] | None":
    convert = feature.convert
    found = [None if value is None else convert(value) for value in values]
    if None in found:
        if feature.required:
            return None
        found = [feature.missing if value is None else value for value in found]
    return np.array(found, dtype=object)


def _one_by_one(
    values: Sequence[Any], feature: Feature, count: "CountUnreadable | None"
) -> "np.ndarray[Any, Any]":
    array = np.empty(len(values), dtype=_NUMPY_TYPES[feature.dtype])
    unreadable = 0
    for row, value in enumerate(values):
        try:
            found = None if value is None else feature.read(value)
        except spellings.UnreadableError:
            # Errors are without the cause, whose traceback holds the value.
            if not feature.odd_is_missing:
                if count is None:
                    raise feature.unreadable(row) from None
                unreadable += 1
            found = None
        except (ValueError, TypeError, OverflowError):
            raise feature.wrong(value, row) from None
        if found is None:
            if feature.required:
                raise feature.absent(row)
            found = feature.missing
        array[row] = found
    if unreadable and count is not None:
        count(feature.name, unreadable)
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
