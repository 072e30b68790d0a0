"""An HTTP request, as the handlers see it."""

from typing import TYPE_CHECKING, NamedTuple

from kfp_tabular.serving.protocol.request_error import too_large
from kfp_tabular.serving.protocol.routes import Route

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

_MOST_LENGTH_DIGITS = 20
"""Python refuses to parse a number with thousands of digits."""
_READ_TO_END_FACTOR = 8
"""A body up to this many times the limit is read to its end before it is rejected: a client whose
connection is closed while it sends sees a broken connection instead of the response."""


class ClientDisconnectedError(Exception):
    """The client disconnected before its request was complete."""


class HttpRequest(NamedTuple):
    """A request.

    Attributes:
        route: What its path addresses.
        scope: Its head, as ASGI passes it.
        receive: Returns the next part of its body.
    """

    route: Route
    scope: "Scope"
    receive: "Receive"

    def header(self, name: bytes) -> str | None:
        """Return the value of a header, or None if the request lacks it.

        Args:
            name: The header's name in lower case.
        """
        for found, value in self.scope["headers"]:
            if found == name:
                return str(value, "latin-1")
        return None

    def headers(self, name: bytes) -> list[str]:
        """Return the values of a header that must not be repeated, all of them.

        Args:
            name: The header's name in lower case.
        """
        return [str(value, "latin-1") for found, value in self.scope["headers"] if found == name]

    async def body(self, max_bytes: int) -> bytes:
        """Read the body.

        Args:
            max_bytes: The largest body that is accepted.

        Raises:
            RequestError: If the body is larger.
            ClientDisconnectedError: If the client disconnects.
        """
        declared = parse_length(self.header(b"content-length") or "")
        rejected = declared is not None and declared > max_bytes
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnectedError
            part = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(part)
            rejected = rejected or size > max_bytes
            if not rejected:
                parts.append(part)
                continue
            parts.clear()
            if size > max_bytes * _READ_TO_END_FACTOR:
                break
        if rejected:
            raise too_large(max_bytes)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def parse_length(text: str) -> int | None:
    """Return a number of bytes, or None if the text is not a plausible one.

    Example:
        >>> parse_length("42"), parse_length("-1"), parse_length("9" * 5000)
        (42, None, None)
    """
    plausible = text.isascii() and text.isdecimal() and len(text) <= _MOST_LENGTH_DIGITS
    return int(text) if plausible else None
