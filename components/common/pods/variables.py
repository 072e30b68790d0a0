"""Environment variables of containers."""

import re
from collections.abc import Collection, Mapping

from kfp_tabular.components.common import documents

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def check_variable_name(name: str) -> None:
    """Check the name of an environment variable, as Kubernetes accepts it.

    Raises:
        ValueError: Where it does not fit.

    Example:
        >>> check_variable_name("1A")
        Traceback (most recent call last):
        ...
        ValueError: '1A' is not a valid name for an environment variable
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid name for an environment variable")


def check_variables(values: Mapping[str, str]) -> None:
    """Check the names of environment variables; their values are free.

    Raises:
        ValueError: For the first that does not fit.

    Example:
        >>> check_variables({"BATCH_SIZE": "any text"})
        >>> check_variables({"BATCH SIZE": "512"})
        Traceback (most recent call last):
        ...
        ValueError: 'BATCH SIZE' is not a valid name for an environment variable
    """
    for name in values:
        check_variable_name(name)


def not_reserved(reserved: Collection[str], owner: str) -> documents.Check:
    """Return a check of variables that must not include those that something else sets.

    Args:
        reserved: Names that are refused.
        owner: What sets them, for the message.

    Example:
        >>> check = not_reserved(["TF_CONFIG"], "the job's controller")
        >>> check({"BATCH_SIZE": "512"})
        >>> check({"TF_CONFIG": "{}"})
        Traceback (most recent call last):
        ...
        ValueError: TF_CONFIG is set by the job's controller; leave it out
    """

    def check(values: Mapping[str, str]) -> None:
        check_variables(values)
        for name in values:
            if name in reserved:
                raise ValueError(f"{name} is set by {owner}; leave it out")

    return check


def literal(text: str) -> str:
    """Return a text that Kubernetes passes on unchanged, without replacing `$(NAME)`.

    Applies to arguments and to values of variables.

    Example:
        >>> literal("$(HOME)/data")
        '$$(HOME)/data'
    """
    return text.replace("$(", "$$(")
