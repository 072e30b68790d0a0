"""Dataclasses as plain values that JSON can hold, for what travels between processes."""

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Kept = TypeVar("Kept")


def to_plain(value: Any) -> Any:
    """Return a value without the names of its fields.

    Args:
        value: A dataclass, dictionary, set, tuple, bytes or plain value, of such.

    Example:
        >>> to_plain({"a": (1, {2, 3})})
        [['a', [1, [2, 3]]]]
    """
    if dataclasses.is_dataclass(value):
        return [to_plain(getattr(value, part.name)) for part in dataclasses.fields(value)]
    if isinstance(value, dict):
        return [[to_plain(key), to_plain(entry)] for key, entry in value.items()]
    if isinstance(value, set):
        return sorted(to_plain(entry) for entry in value)
    if isinstance(value, tuple | list):
        return [to_plain(entry) for entry in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def from_plain(kind: type[Kept], plain: Any) -> Kept:
    """Return the value of a type that `to_plain` took apart.

    Args:
        kind: A dataclass, or a type with its arguments.
        plain: What `to_plain` returned.

    Example:
        >>> from_plain(dict[str, set[int]], [["a", [1, 2]]])
        {'a': {1, 2}}
        >>> from_plain(tuple[int, ...], [1, 2, 3])
        (1, 2, 3)
    """
    made: Any = _made(kind, plain)
    found: Kept = made
    return found


def _made(kind: Any, plain: Any) -> Any:
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if dataclasses.is_dataclass(kind) or hasattr(kind, "_fields"):
        parts = zip(_kinds(kind), plain, strict=True)
        return kind(*(_made(of_part, entry) for of_part, entry in parts))
    if NoneType in arguments:
        others = [argument for argument in arguments if argument is not NoneType]
        return _made(others[0], plain) if plain is not None and len(others) == 1 else plain
    if isinstance(origin, type) and issubclass(origin, Mapping):
        # The values of a Counter are numbers.
        of_key, of_entry = (*arguments, int)[:2]
        made = {_made(of_key, key): _made(of_entry, entry) for key, entry in plain}
        return origin(made) if issubclass(origin, dict) else made
    if origin in (set, list, Sequence):
        made_of = (_made(arguments[0], entry) for entry in plain)
        return set(made_of) if origin is set else list(made_of)
    if origin is tuple:
        is_long = arguments[1:] == (...,)
        kinds = arguments[:1] * len(plain) if is_long else arguments
        return tuple(_made(each, entry) for each, entry in zip(kinds, plain, strict=True))
    return base64.b64decode(plain) if origin is bytes else plain


@cache
def _kinds(kind: Any) -> list[Any]:
    hints = get_type_hints(kind)
    names = getattr(kind, "_fields", None) or [part.name for part in dataclasses.fields(kind)]
    return [hints[name] for name in names]
