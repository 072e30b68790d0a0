"""What documents that ask for pods have in common: checks of values, and a toleration.

Kubernetes amounts, names and paths are checked before anything is created, because what a
controller finds wrong later shows up as an event that nobody reads.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from kfp_tabular.components.common import documents, images

_INT32 = 2**31 - 1
_MEBIBYTE = 2**20
_UNITS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000**power) for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(1024**power) for power, unit in enumerate("KMGTPE", 1)},
}
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def amount(text: str) -> Decimal:
    """Gives a Kubernetes quantity as a number: bytes or cores.

    Args:
        text: Such as `500m`, `2`, `4G` or `512Mi`.

    Raises:
        ValueError: For anything else.
    """
    documents.quantity(text)
    number = text.rstrip("mkKMGTPEi")
    unit = text[len(number) :]
    if unit not in _UNITS:
        raise ValueError(f"unknown unit {unit!r}; use m, k, M, G, T, P, E, or Ki, Mi, Gi, Ti")
    return Decimal(number) * _UNITS[unit]


def positive(value: str) -> None:
    """Checks an amount that is more than 0."""
    if amount(value) <= 0:
        raise ValueError("expected more than 0")


def memory(value: str) -> None:
    """Checks an amount of memory; `4` is four bytes and `512m` half a byte, nobody means that."""
    if amount(value) < _MEBIBYTE:
        raise ValueError("expected memory with its unit, such as 512Mi or 4Gi")


def image(value: str) -> None:
    """Checks an image reference."""
    if not images.is_reference(value):
        raise ValueError("expected an image reference such as registry.example.com/ml/train:1.0")


def between(least: float, most: float = _INT32) -> documents.Check:
    """Gives a check that a number is in a range, both ends included."""

    def check(value: Any) -> None:
        if not least <= value <= most:
            raise ValueError(f"expected {least} to {most}")

    return check


def extended_resource(value: str) -> None:
    """Checks the name of an extended resource, such as `nvidia.com/gpu`."""
    prefix, slash, name = value.partition("/")
    if not slash or not _LABEL_NAME.fullmatch(name):
        raise ValueError("expected the name of an extended resource, such as nvidia.com/gpu")
    documents.resource_name(prefix)


def qualified(key: str) -> None:
    """Checks the key of a label or an annotation."""
    prefix, slash, name = key.rpartition("/")
    if slash:
        documents.resource_name(prefix)
    if not _LABEL_NAME.fullmatch(name):
        raise ValueError(f"{key!r} is no label key, such as team or example.com/team")


def label_value(value: str) -> None:
    """Checks the value of a label."""
    if value and not _LABEL_NAME.fullmatch(value):
        raise ValueError(
            f"{value!r} is no label value: at most 63 letters, digits, '-', '_' and '.'"
        )


def labels(values: Mapping[str, str]) -> None:
    """Checks labels."""
    for key, value in values.items():
        qualified(key)
        label_value(value)


def annotations(values: Mapping[str, str]) -> None:
    """Checks the keys of annotations."""
    for key in values:
        qualified(key)


def names(values: tuple[str, ...]) -> None:
    """Checks names of resources, each given once."""
    for value in values:
        documents.resource_name(value)
    distinct(values, "name")


def distinct(values: tuple[Any, ...], what: str) -> None:
    """Checks that nothing is given twice."""
    repeated = [value for index, value in enumerate(values) if value in values[:index]]
    if repeated:
        raise ValueError(f"{what} {repeated[0]!r} is given twice")


def checked(check: documents.Check, default: Any = "") -> Any:
    """Gives a dataclass field with a default and a check."""
    return field(default=default, metadata={"check": check})


def required(check: documents.Check) -> Any:
    """Gives a dataclass field that must be given, with a check."""
    return field(metadata={"check": check})


def mapping(check: documents.Check) -> Any:
    """Gives a dataclass field for a mapping, empty by default, with a check."""
    return field(default_factory=dict, metadata={"check": check})


@dataclass(frozen=True)
class Toleration:
    """A taint that the pods tolerate, in Kubernetes' words.

    Attributes:
        key: The taint's key; empty for all.
        operator: `Equal` or `Exists`.
        value: The taint's value, for `Equal`.
        effect: `NoSchedule`, `PreferNoSchedule` or `NoExecute`; empty for all.
        seconds: How long `NoExecute` is tolerated; None for ever.
    """

    key: str = checked(qualified)
    operator: str = checked(documents.one_of("Equal", "Exists"), "Equal")
    value: str = checked(label_value)
    effect: str = checked(documents.one_of("NoSchedule", "PreferNoSchedule", "NoExecute"))
    seconds: int | None = None

    def __post_init__(self) -> None:
        if self.operator == "Exists" and self.value:
            raise ValueError("operator Exists takes no value")
        if self.operator == "Equal" and not self.key:
            raise ValueError("operator Equal needs a key")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError("seconds go with effect NoExecute")


def toleration(entry: Toleration) -> dict[str, Any]:
    """Gives a toleration as a pod has it."""
    fields = {
        "key": entry.key,
        "operator": entry.operator,
        "value": entry.value,
        "effect": entry.effect,
    }
    body: dict[str, Any] = {name: value for name, value in fields.items() if value}
    if entry.seconds is not None:
        body["tolerationSeconds"] = entry.seconds
    return body
