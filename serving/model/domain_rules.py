"""The values that a model's schema gives each feature, and what to do about others.

What is checked is what the model is about to see, the decoded tensors, so every protocol is held
to the same rules. A missing value breaks none: whether one may be missing is decided before.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kfp_tabular.components.common.artifacts.model_document import ModelInput
from kfp_tabular.components.common.artifacts.raw_features import DType
from kfp_tabular.serving.protocol.request_error import RequestError
from kfp_tabular.serving.settings.server_settings import ValuePolicies

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

Breach = Literal["domain", "range"]
"""`domain`: not among the values that the schema lists. `range`: beyond its ends."""

Outside = Callable[[str, int], None]
"""Told of a feature's name, and how many rows of a request hold a value outside."""

_VECTORISED_FROM = 16


@dataclass(frozen=True)
class DomainRule:
    """What the schema says of one feature's values.

    Attributes:
        feature: The feature's name.
        input: The name of the signature's input.
        breach: What a value outside is called.
        allowed: The values, bytes or numbers, where the schema lists them.
        low: The lowest value, where there is one and nothing is listed.
        high: The highest.
        missing: What stands for a missing value of an optional feature. It equals nothing that the
            schema could mean: NaN, the smallest integer, or the empty text.
    """

    feature: str
    input: str
    breach: Breach
    allowed: frozenset[Any] | None = None
    low: float | None = None
    high: float | None = None
    missing: Any = None

    def outside(self, values: "np.ndarray[Any, Any]") -> Sequence[int]:
        """Gives the rows whose value is not one of the schema's, in order."""
        if len(values) == 1:
            return () if self._admits(values.item()) else (0,)
        if self.allowed is None and len(values) >= _VECTORISED_FROM:
            return self._beyond(values)
        return [row for row, value in enumerate(values.tolist()) if not self._admits(value)]

    def example(self) -> Any:
        """Gives a value that breaks no rule."""
        if self.allowed is not None:
            return min(self.allowed)
        return self.high if self.low is None else self.low

    def expectation(self) -> str:
        """Says what a value may be, without listing values of the training data."""
        if self.allowed is not None:
            return f"one of the {len(self.allowed)} values that the schema lists"
        if self.low is None:
            return f"a number up to {self.high:g}"
        if self.high is None:
            return f"a number from {self.low:g}"
        return f"a number from {self.low:g} to {self.high:g}"

    def _admits(self, value: Any) -> bool:
        if self.allowed is not None:
            return value in self.allowed or self._is_missing(value)
        within = (self.low is None or value >= self.low) and (
            self.high is None or value <= self.high
        )
        return within or self._is_missing(value)

    def _beyond(self, values: "np.ndarray[Any, Any]") -> Sequence[int]:
        # NaN compares as False with everything, so a missing float is never beyond.
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


def rules(schema: "schema_pb2.Schema", inputs: Sequence[ModelInput]) -> tuple[DomainRule, ...]:
    """Gives the rules that a schema makes for a model's inputs.

    Domains that do not fit a feature's type, such as an `int_domain` of a text, make none.

    Args:
        schema: A TensorFlow Metadata schema.
        inputs: The features that the model takes. Others are ignored, whatever their values.
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


def check(
    tensors: Mapping[str, "np.ndarray[Any, Any]"],
    checked: Sequence[DomainRule],
    policies: ValuePolicies,
    outside: Outside,
) -> None:
    """Holds a request's values against the schema.

    Args:
        tensors: A request's values, by the signature's inputs.
        checked: The model's rules.
        policies: What to do about values outside.
        outside: Told of those there are, whether they are let through or not.

    Raises:
        RequestError: For the first feature with a value that is to be refused. It names the first
            such row.
    """
    for rule in checked:
        rows = rule.outside(tensors[rule.input])
        if not rows:
            continue
        outside(rule.feature, len(rows))
        policy = policies.unseen if rule.breach == "domain" else policies.out_of_range
        if policy == "reject":
            raise RequestError(
                f"instance {rows[0]}: feature {rule.feature!r}: expected {rule.expectation()}.",
                reason=rule.breach,
                feature=rule.feature,
                row=rows[0],
            )


def _rule(
    feature: "schema_pb2.Feature",
    shared: "Mapping[str, schema_pb2.StringDomain]",
    model_input: ModelInput,
) -> DomainRule | None:
    """Gives the rule that a feature's domain makes; None where it has none."""
    makers: Mapping[DType, Callable[..., dict[str, Any]]] = {
        "string": _of_text,
        "int64": _of_integer,
        "float32": _of_number,
    }
    parts = makers[model_input.dtype](feature, shared)
    if not parts:
        return None
    missing: Any = None
    if not model_input.required and model_input.dtype != "float32":
        given = model_input.missing
        missing = given.encode("utf-8") if isinstance(given, str) else given
    return DomainRule(feature=model_input.name, input=model_input.input, missing=missing, **parts)


def _of_text(
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
    return {"breach": "domain", "allowed": frozenset(text.encode("utf-8") for text in texts)}


def _of_integer(feature: "schema_pb2.Feature", _: object) -> dict[str, Any]:
    if feature.HasField("bool_domain"):
        return {"breach": "domain", "allowed": frozenset((0, 1))}
    if not feature.HasField("int_domain"):
        return {}
    domain = feature.int_domain
    return _ends(domain, "domain" if domain.is_categorical else "range")


def _of_number(feature: "schema_pb2.Feature", _: object) -> dict[str, Any]:
    if feature.HasField("bool_domain"):
        return {"breach": "domain", "allowed": frozenset((0.0, 1.0))}
    return _ends(feature.float_domain, "range") if feature.HasField("float_domain") else {}


def _ends(domain: Any, breach: Breach) -> dict[str, Any]:
    """Gives a range's ends. Those of a `float_domain` are float32, as the model's values are."""
    low = domain.min if domain.HasField("min") else None
    high = domain.max if domain.HasField("max") else None
    return {} if low is None and high is None else {"breach": breach, "low": low, "high": high}
