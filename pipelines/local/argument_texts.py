"""The texts among the arguments of a run or a task, nested as they may be."""

from collections.abc import Iterator, Mapping
from typing import Any


def named_texts(arguments: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each text with its name, in which dots lead into mappings and lists.

    Example:
        >>> list(named_texts({"data_uri": "a.csv", "options": {"tables": ["b.csv"]}, "seed": 7}))
        [('data_uri', 'a.csv'), ('options.tables.0', 'b.csv')]
    """
    for name, value in arguments.items():
        yield from _below(str(name), value)


def texts(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield each text."""
    for _, text in named_texts(arguments):
        yield text


def _below(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _below(f"{name}.{key}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _below(f"{name}.{index}", inner)
