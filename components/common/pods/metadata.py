"""Labels and annotations."""

import re
from collections.abc import Mapping

from kfp_tabular.components.common import documents

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def is_label_name(text: str) -> bool:
    """Return whether a text has the form of a label's name, without a prefix.

    Example:
        >>> is_label_name("team_a"), is_label_name("example.com/team"), is_label_name("-team")
        (True, False, False)
    """
    return _NAME.fullmatch(text) is not None


def check_key(key: str) -> None:
    """Check the key of a label, an annotation or a taint.

    Raises:
        ValueError: Where it is not a name with an optional prefix.

    Example:
        >>> check_key("example.com/team")
        >>> check_key("team a")
        Traceback (most recent call last):
        ...
        ValueError: 'team a' is not a valid key; use one such as team or example.com/team
    """
    prefix, slash, name = key.rpartition("/")
    if slash:
        documents.resource_name(prefix)
    if not is_label_name(name):
        raise ValueError(f"{key!r} is not a valid key; use one such as team or example.com/team")


def check_label_value(value: str) -> None:
    """Check the value of a label or a taint, which may be empty.

    Raises:
        ValueError: Where it does not fit.

    Example:
        >>> check_label_value("")
        >>> check_label_value("team a")
        Traceback (most recent call last):
        ...
        ValueError: 'team a' is not a valid label value; use at most 63 letters, digits, ...
    """
    if value and not is_label_name(value):
        raise ValueError(
            f"{value!r} is not a valid label value; use at most 63 letters, digits, '-', '_' and "
            "'.', with a letter or digit first and last"
        )


def check_labels(values: Mapping[str, str]) -> None:
    """Check keys and values of labels.

    Raises:
        ValueError: For the first that does not fit.

    Example:
        >>> check_labels({"example.com/team": "ml"})
        >>> check_labels({"team": "ml team"})
        Traceback (most recent call last):
        ...
        ValueError: 'ml team' is not a valid label value; ...
    """
    for key, value in values.items():
        check_key(key)
        check_label_value(value)


def check_annotations(values: Mapping[str, str]) -> None:
    """Check keys of annotations; their values are free.

    Raises:
        ValueError: For the first that does not fit.

    Example:
        >>> check_annotations({"example.com/note": "any text: even this"})
        >>> check_annotations({"a note": ""})
        Traceback (most recent call last):
        ...
        ValueError: 'a note' is not a valid key; use one such as team or example.com/team
    """
    for key in values:
        check_key(key)
