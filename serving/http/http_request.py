"""An HTTP request, as the handlers see it."""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from kfp_tabular.serving.http.content_encoding import PIECE_BYTES, decompress, is_compressed
from kfp_tabular.serving.model.large_requests import FREE_BYTES, Hold
from kfp_tabular.serving.model.overload import OverloadedError
from kfp_tabular.serving.protocol.request_error import RequestError, too_large
from kfp_tabular.serving.protocol.routes import Route

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

_MOST_LENGTH_DIGITS = 20
"""Python refuses to parse a number with thousands of digits."""
_READ_TO_END_FACTOR = 8
"""A body up to this many times the limit is read to its end before it is rejected: a client whose
connection is closed while it sends sees a broken connection instead of the response."""

LONGEST_BODY_SECONDS = 60.0
"""Seconds within which a body must arrive as a whole. What has arrived is in memory, so a client
that sends a byte now and then would keep it there."""


class ClientDisconnectedError(Exception):
    """The client disconnected before its request was complete."""


class HttpRequest(NamedTuple):
    """A request.

    Attributes:
        route: What its path addresses.
        scope: Its head, as ASGI passes it.
        receive: Returns the next part of its body.
        hold: What it holds in memory. The body is added, and released after the response.
    """

    route: Route
    scope: "Scope"
    receive: "Receive"
    hold: Hold

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

    async def body(self, max_bytes: int) -> bytes | bytearray:
        """Read the body, and decompress it if the client has compressed it.

        Args:
            max_bytes: The largest body that is accepted, compressed and decompressed.

        Raises:
            RequestError: If the body is larger, does not arrive in time, or has an unknown
                encoding.
            OverloadedError: If bodies of all requests take too much memory.
            ClientDisconnectedError: If the client disconnects.
        """
        compressed = is_compressed(self.headers(b"content-encoding"))
        received = await self._received(max_bytes)
        return await self._decompressed(received, max_bytes) if compressed else received

    async def _decompressed(self, body: bytes | bytearray, max_bytes: int) -> bytearray:
        content = bytearray()
        for piece in decompress(body):
            if len(content) + len(piece) > max_bytes:
                raise too_large(max_bytes)
            self.hold.add(len(piece))
            content += piece
            if len(piece) in (0, PIECE_BYTES):
                # Others get their turn.
                await asyncio.sleep(0)
        return content

    async def _received(self, max_bytes: int) -> bytes | bytearray:
        part, more = await self._next_part()
        if not more and len(part) <= min(max_bytes, FREE_BYTES):
            return part
        try:
            async with asyncio.timeout(LONGEST_BODY_SECONDS):
                return await self._rest_of_body(part, more, max_bytes)
        except TimeoutError:
            raise RequestError(
                f"the body did not arrive within {LONGEST_BODY_SECONDS:g} seconds.", status=408
            ) from None

    async def _rest_of_body(self, part: bytes, more: bool, max_bytes: int) -> bytearray:
        declared = parse_length(self.header(b"content-length") or "") or 0
        rejection: Exception | None = None
        if declared > max_bytes:
            rejection = too_large(max_bytes)
        elif not self.hold.large.fits(declared):
            rejection = self.hold.large.overloaded()
        body = bytearray()
        size = 0
        while True:
            size += len(part)
            if rejection is None and size > max_bytes:
                rejection = too_large(max_bytes)
            if rejection is None:
                try:
                    self.hold.add(len(part))
                except OverloadedError as error:
                    rejection = error
            if rejection is None:
                body += part
            else:
                body.clear()
                self.hold.release()
            if not more or size > max_bytes * _READ_TO_END_FACTOR:
                break
            part, more = await self._next_part()
        if rejection is not None:
            raise rejection
        return body

    async def _next_part(self) -> tuple[bytes, bool]:
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        return message.get("body", b""), message.get("more_body", False)


def parse_length(text: str) -> int | None:
    """Return a number of bytes, or None if the text is not a plausible one.

    Example:
        >>> parse_length("42"), parse_length("-1"), parse_length("9" * 5000)
        (42, None, None)
    """
    plausible = text.isascii() and text.isdecimal() and len(text) <= _MOST_LENGTH_DIGITS
    return int(text) if plausible else None
