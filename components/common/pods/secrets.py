"""Kubernetes Secrets that containers use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kfp_tabular.components.common import documents
from kfp_tabular.components.common.pods.variables import check_variable_name

_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")


def check_secret_key(value: str) -> None:
    """Check a key of a Secret.

    Raises:
        ValueError: Where it does not fit.

    Example:
        >>> check_secret_key("key.json")
        >>> check_secret_key("keys/key.json")
        Traceback (most recent call last):
        ...
        ValueError: expected a Secret's key: letters, digits, '-', '_' and '.'
    """
    if not _KEY.fullmatch(value):
        raise ValueError("expected a Secret's key: letters, digits, '-', '_' and '.'")


@dataclass(frozen=True)
class Secret:
    """A Kubernetes Secret that a pod uses, as variables or as files.

    Attributes:
        name: The Secret's name.
        env: The environment variable for each of its keys.
        mount_path: The directory in which its keys appear as files.
        optional: Whether the pod starts without the Secret, too.
    """

    name: str = documents.required(documents.resource_name)
    env: Mapping[str, str] = field(default_factory=dict)
    mount_path: str = documents.checked(documents.mount_path)
    optional: bool = False

    def __post_init__(self) -> None:
        if not self.env and not self.mount_path:
            raise ValueError("give env (variables by key) or mount_path")
        for key, variable in self.env.items():
            check_secret_key(key)
            check_variable_name(variable)
