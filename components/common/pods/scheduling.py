"""Where pods run: tolerations and extended resources."""

from dataclasses import dataclass
from typing import Any

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.pods.metadata import (
    check_key,
    check_label_value,
    is_label_name,
)


def check_extended_resource(value: str) -> None:
    """Check the name of an extended resource, such as `nvidia.com/gpu`.

    Raises:
        ValueError: Where it does not fit.

    Example:
        >>> check_extended_resource("amd.com/gpu")
        >>> check_extended_resource("gpu")
        Traceback (most recent call last):
        ...
        ValueError: expected the name of an extended resource, such as nvidia.com/gpu
    """
    prefix, slash, name = value.partition("/")
    if not slash or not is_label_name(name):
        raise ValueError("expected the name of an extended resource, such as nvidia.com/gpu")
    documents.resource_name(prefix)


@dataclass(frozen=True)
class Toleration:
    """A taint of nodes that a pod tolerates.

    Attributes:
        key: The taint's key; empty for all.
        operator: `Equal` or `Exists`.
        value: The taint's value, for `Equal`.
        effect: `NoSchedule`, `PreferNoSchedule` or `NoExecute`; empty for all.
        seconds: How long `NoExecute` is tolerated; None for no limit.
    """

    key: str = documents.checked(check_key)
    operator: str = documents.checked(documents.one_of("Equal", "Exists"), "Equal")
    value: str = documents.checked(check_label_value)
    effect: str = documents.checked(documents.one_of("NoSchedule", "PreferNoSchedule", "NoExecute"))
    seconds: int | None = None

    def __post_init__(self) -> None:
        if self.operator == "Exists" and self.value:
            raise ValueError("operator Exists takes no value")
        if self.operator == "Equal" and not self.key:
            raise ValueError("operator Equal needs a key")
        if self.seconds is not None and self.effect != "NoExecute":
            raise ValueError("seconds go with effect NoExecute")

    def body(self) -> dict[str, Any]:
        """Return the toleration as a pod's specification writes it.

        Example:
            >>> Toleration(key="gpu", operator="Exists", effect="NoSchedule").body()
            {'key': 'gpu', 'operator': 'Exists', 'effect': 'NoSchedule'}
        """
        fields = {
            "key": self.key,
            "operator": self.operator,
            "value": self.value,
            "effect": self.effect,
        }
        body: dict[str, Any] = {name: value for name, value in fields.items() if value}
        if self.seconds is not None:
            body["tolerationSeconds"] = self.seconds
        return body
