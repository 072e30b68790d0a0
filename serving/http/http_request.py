"""An HTTP request, as handlers see it."""

from typing import TYPE_CHECKING, NamedTuple

from kfp_tabular.serving.protocol.request_error import too_large
from kfp_tabular.serving.protocol.routes import Route

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

_MOST_DIGITS = 20
"""Of a length. Python refuses to read a number of thousands of them."""
_DRAINED = 8
"""A body of up to so many times the limit is read to its end before it is refused: a client that
is cut off while sending sees a broken connection, not the answer."""


class ClientDisconnectedError(Exception):
    """The client left before its request was whole."""


class HttpRequest(NamedTuple):
    """A request.

    Attributes:
        route: What its path addresses.
        scope: Its head, as ASGI gives it.
        receive: Gives its body.
    """

    route: Route
    scope: "Scope"
    receive: "Receive"

    def header(self, name: bytes) -> str | None:
        """Gives the value of a header; None where there is none.

        Args:
            name: Its name in lower case.
        """
        for found, value in self.scope["headers"]:
            if found == name:
                return str(value, "latin-1")
        return None

    async def body(self, most: int) -> bytes:
        """Reads the body.

        Args:
            most: The largest size, in bytes.

        Raises:
            RequestError: Where it is larger.
            ClientDisconnectedError: Where the client leaves.
        """
        declared = length_of(self.header(b"content-length") or "")
        refused = declared is not None and declared > most
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnectedError
            part = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(part)
            refused = refused or size > most
            if not refused:
                parts.append(part)
                continue
            parts.clear()
            if size > most * _DRAINED:
                break
        if refused:
            raise too_large(most)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def length_of(text: str) -> int | None:
    """Reads a number of bytes; None where it is none, or has more digits than any that can be."""
    plain = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if plain else None
