"""JSON as Go's `encoding/json` writes it, which decides how large a document becomes."""

import json
from typing import Any


def text(value: Any) -> str:
    r"""Return a value as `json.Marshal` writes it.

    Whole numbers have no decimals, and `<`, `>` and `&` are escaped.

    Example:
        >>> text({"count": 3.0, "command": "a > b"})
        '{"count":3,"command":"a \\u003e b"}'
    """
    written = json.dumps(_whole(value), ensure_ascii=False, separators=(",", ":"))
    for character in "<>&":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written


def proto_text(value: Any) -> str:
    """Return a message as `protojson.Marshal` writes it.

    Some builds of it put a space after each comma; so does this.

    Example:
        >>> proto_text({"count": 3.0, "command": "a > b"})
        '{"count":3, "command":"a > b"}'
    """
    return json.dumps(_whole(value), ensure_ascii=False, separators=(", ", ":"))


def size(value: Any) -> int:
    """Return the bytes of a value as compact JSON.

    Example:
        >>> size({"name": "Zürich"})
        18
    """
    return len(text(value).encode())


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
