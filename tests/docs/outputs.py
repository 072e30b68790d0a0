"""Compares what a page shows as output with what a command printed: in shape, not in figures."""

import json
import re
from collections.abc import Iterator
from typing import Any

_NUMBER = re.compile(r"((?<!\w)[-+])?\d[\d,]*(\.\d+)?([eE][-+]?\d+)?")
_DIGEST = re.compile(r"-[0-9a-f]{10}\b")
"""The end of a resource's name, which follows from what the resource asks for."""

_ELIDED = "..."


def problems(shown: str, printed: str) -> Iterator[str]:
    """Yield what is shown and was not printed.

    JSON has the same keys and types, `...` stands for what is left out. Of text, each line
    occurs in this order, with any numbers and any spaces between the words.

    Args:
        shown: The page's block.
        printed: The command's output.
    """
    expected, found = parse(shown), parse(printed)
    if expected is not None and found is not None:
        yield from _differences(expected, found, "")
        return
    rest = _plain(printed)
    for line in shown.splitlines():
        if line.strip() in ("", _ELIDED):
            continue
        pattern = re.escape(_plain(line)).replace(re.escape(_ELIDED), ".*?")
        match = re.search(pattern, rest, re.DOTALL)
        if match is None:
            yield f"not printed: {line.strip()!r}; printed was:\n{printed}"
            return
        rest = rest[match.end() :]


def _plain(text: str) -> str:
    return " ".join(_NUMBER.sub("0", _DIGEST.sub("-0", text)).split())


def parse(text: str) -> Any:
    """Return JSON in which `...` may take the place of the last entries; None where it is not."""
    text = re.sub(r",\s*\.\.\.(?=\s*[\]}])", "", text)
    text = re.sub(r"(?<=[\[{,])(\s*)\.\.\.(?=\s*[\]}])", r"\1", text)
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _differences(expected: Any, found: Any, path: str) -> Iterator[str]:
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if key not in found:
                yield f"{path}.{key} is not in the output"
            else:
                yield from _differences(value, found[key], f"{path}.{key}")
    elif isinstance(expected, list) and isinstance(found, list):
        if expected and not found:
            yield f"{path} is empty in the output"
        for position, (one, other) in enumerate(zip(expected, found, strict=False)):
            yield from _differences(one, other, f"{path}[{position}]")
    elif isinstance(expected, bool) or isinstance(found, bool):
        if type(expected) is not type(found):
            yield f"{path}: {expected!r} is shown, {found!r} was printed"
    elif isinstance(expected, int | float) and isinstance(found, int | float):
        return
    elif type(expected) is not type(found):
        yield f"{path}: {expected!r} is shown, {found!r} was printed"
