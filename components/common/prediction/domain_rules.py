"""The values that a model's schema allows for each feature.

The rules are checked on decoded values, so they are the same for every protocol, and for files. A
missing value violates no rule: the decoder has already checked which values may be missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.artifacts.raw_features import DType
from kfp_tabular.components.common.prediction.column_decoder import Texts

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

Violation = Literal["domain", "range"]
"""`domain`: a value that the schema does not list. `range`: a number beyond the schema's range."""

_VECTORISED_FROM = 16


@dataclass(frozen=True)
class DomainRule:
    """The schema's rule for the values of one feature.

    Attributes:
        feature: The feature's name.
        input: The name of the signature's input.
        violation: What a value outside violates.
        allowed: The listed values, bytes or numbers; None for a range.
        low: The lowest value; None if there is no lower bound.
        high: The highest value; None if there is no upper bound.
        missing: The value that marks a missing one in an optional feature, which no schema allows
            otherwise: NaN, the smallest integer, or the empty text.

    Example:
        >>> rule = DomainRule("hour", "hour", "range", low=0, high=23)
        >>> rule.rows_outside(np.array([7, 24]))
        [1]
        >>> rule.expectation()
        'a number from 0 to 23'
    """

    feature: str
    input: str
    violation: Violation
    allowed: frozenset[Any] | None = None
    low: float | None = None
    high: float | None = None
    missing: Any = None

    def rows_outside(self, values: "np.ndarray[Any, Any]") -> Sequence[int]:
        """Return the rows whose value is outside, in ascending order."""
        if len(values) == 1:
            return () if self._allows(values.item()) else (0,)
        if self.allowed is None and len(values) >= _VECTORISED_FROM:
            return self._rows_beyond_range(values)
        return [row for row, value in enumerate(values.tolist()) if not self._allows(value)]

    def outside(self, values: "np.ndarray[Any, Any] | Texts") -> "np.ndarray[Any, Any]":
        """Return the rows of a decoded column whose value is outside, in ascending order.

        Example:
            >>> rule = DomainRule("payment", "payment", "domain", frozenset((b"cash", b"card")))
            >>> rule.outside(Texts(np.array([0, 1, 0], np.int32), (b"coin", b"cash"))).tolist()
            [0, 2]
        """
        codes: np.ndarray[Any, Any]
        if isinstance(values, Texts):
            distinct, codes = list(values.distinct), values.codes
        elif self.allowed is None:
            return np.array(self._rows_beyond_range(values), np.int64)
        else:
            found, codes = np.unique(values, return_inverse=True)
            distinct = found.tolist()
        is_outside = np.array([not self._allows(value) for value in distinct], np.bool_)
        return np.flatnonzero(is_outside[codes])

    def example(self) -> Any:
        """Return a value that the rule allows."""
        if self.allowed is not None:
            return min(self.allowed)
        return self.high if self.low is None else self.low

    def expectation(self) -> str:
        """Return what the rule allows, without values of the training data."""
        if self.allowed is not None:
            return f"one of the {len(self.allowed)} values that the schema lists"
        if self.low is None:
            return f"a number up to {self.high:g}"
        if self.high is None:
            return f"a number from {self.low:g}"
        return f"a number from {self.low:g} to {self.high:g}"

    def _allows(self, value: Any) -> bool:
        if self.allowed is not None:
            return value in self.allowed or self._is_missing(value)
        within = (self.low is None or value >= self.low) and (
            self.high is None or value <= self.high
        )
        return within or self._is_missing(value)

    def _rows_beyond_range(self, values: "np.ndarray[Any, Any]") -> Sequence[int]:
        # NaN compares as False with everything, so a missing float is never beyond the range.
        beyond = np.zeros(len(values), dtype=bool)
        if self.low is not None:
            beyond |= values < self.low
        if self.high is not None:
            beyond |= values > self.high
        if self.missing is not None:
            beyond &= values != self.missing
        rows: list[int] = np.flatnonzero(beyond).tolist()
        return rows

    def _is_missing(self, value: Any) -> bool:
        return bool(value == self.missing or value != value)  # noqa: PLR0124  NaN


def build_rules(
    schema: "schema_pb2.Schema", inputs: Sequence[ModelInput]
) -> tuple[DomainRule, ...]:
    """Return the rules for a model's inputs that follow from a schema.

    A domain that does not fit its feature's type, such as an `int_domain` for text, is ignored.

    Args:
        schema: A TensorFlow Metadata schema.
        inputs: The features that the model takes; other features of the schema get no rule.

    Example:
        >>> from google.protobuf import text_format
        >>> from tensorflow_metadata.proto.v0 import schema_pb2
        >>> text = 'feature { name: "hour" type: INT int_domain { min: 0 max: 23 } }'
        >>> schema = text_format.Parse(text, schema_pb2.Schema())
        >>> build_rules(schema, [ModelInput("hour", "int64", required=True, input="hour")])
        (DomainRule(feature='hour', input='hour', violation='range', allowed=None, low=0, high=23,
        missing=None),)
    """
    features = {feature.name: feature for feature in schema.feature}
    shared = {domain.name: domain for domain in schema.string_domain}
    found = []
    for model_input in inputs:
        feature = features.get(model_input.name)
        rule = None if feature is None else _rule(feature, shared, model_input)
        if rule is not None:
            found.append(rule)
    return tuple(found)


def _rule(
    feature: "schema_pb2.Feature",
    shared: "Mapping[str, schema_pb2.StringDomain]",
    model_input: ModelInput,
) -> DomainRule | None:
    """Return the rule that follows from a feature's domain; None if it has no domain."""
    makers: Mapping[DType, Callable[..., dict[str, Any]]] = {
        "string": _text_domain,
        "int64": _integer_domain,
        "float32": _number_domain,
    }
    parts = makers[model_input.dtype](feature, shared)
    if not parts:
        return None
    missing: Any = None
    if not model_input.required and model_input.dtype != "float32":
        given = model_input.missing
        missing = given.encode("utf-8") if isinstance(given, str) else given
    return DomainRule(feature=model_input.name, input=model_input.input, missing=missing, **parts)


def _text_domain(
    feature: "schema_pb2.Feature", shared: "Mapping[str, schema_pb2.StringDomain]"
) -> dict[str, Any]:
    if feature.HasField("string_domain"):
        texts = list(feature.string_domain.value)
    elif feature.HasField("domain") and feature.domain in shared:
        texts = list(shared[feature.domain].value)
    elif feature.HasField("bool_domain"):
        texts = [feature.bool_domain.true_value, feature.bool_domain.false_value]
        texts = [text for text in texts if text]
    else:
        return {}
    if not texts:
        return {}
    return {"violation": "domain", "allowed": frozenset(text.encode("utf-8") for text in texts)}


def _integer_domain(feature: "schema_pb2.Feature", _: object) -> dict[str, Any]:
    if feature.HasField("bool_domain"):
        return {"violation": "domain", "allowed": frozenset((0, 1))}
    if not feature.HasField("int_domain"):
        return {}
    domain = feature.int_domain
    return _range(domain, "domain" if domain.is_categorical else "range")


def _number_domain(feature: "schema_pb2.Feature", _: object) -> dict[str, Any]:
    if feature.HasField("bool_domain"):
        return {"violation": "domain", "allowed": frozenset((0.0, 1.0))}
    return _range(feature.float_domain, "range") if feature.HasField("float_domain") else {}


def _range(domain: Any, violation: Violation) -> dict[str, Any]:
    """Return a range's bounds. Those of a `float_domain` are float32, like the model's values."""
    low = domain.min if domain.HasField("min") else None
    high = domain.max if domain.HasField("max") else None
    return (
        {} if low is None and high is None else {"violation": violation, "low": low, "high": high}
    )
