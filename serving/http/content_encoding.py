"""Bodies that the client has compressed (RFC 9110, 8.4): with gzip, and with nothing else."""

import zlib
from collections.abc import Iterator, Sequence

from kfp_tabular.serving.protocol.request_error import RequestError

ACCEPTED = "gzip, identity"
"""What a client may use."""

_GZIP = frozenset(("gzip", "x-gzip"))
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_INPUT_BYTES = 64 * 1024

PIECE_BYTES = 256 * 1024
"""The most content in a piece. It takes a millisecond."""


def is_compressed(encodings: Sequence[str]) -> bool:
    """Return whether a body is compressed.

    Args:
        encodings: The values of all `Content-Encoding` headers.

    Raises:
        RequestError: With status 415, if this server does not know the encoding, or there are
            several.

    Example:
        >>> is_compressed(["gzip"]), is_compressed(["identity"]), is_compressed([])
        (True, False, False)
    """
    found = [coding.strip().lower() for value in encodings for coding in value.split(",")]
    codings = [coding for coding in found if coding not in ("identity", "")]
    if not codings:
        return False
    if len(codings) > 1 or codings[0] not in _GZIP:
        raise RequestError(
            f"header Content-Encoding: this server accepts one of {ACCEPTED}.", status=415
        )
    return True


def decompress(body: bytes | bytearray) -> Iterator[bytes]:
    """Return the content of a gzip body, in pieces, an empty one after each 64 KiB of the body.

    The caller bounds the sum: a megabyte of gzip can hold a gigabyte of zeros. It can also hold
    fifty thousand members without content, so between empty pieces others get their turn.

    Args:
        body: The compressed body.

    Raises:
        RequestError: If the body is not valid gzip or is cut off.

    Example:
        >>> import gzip
        >>> list(decompress(gzip.compress(b"abc")))
        [b'abc', b'']
    """
    decoder = zlib.decompressobj(_GZIP_WINDOW)
    ended = False
    for place in range(0, len(body), _INPUT_BYTES):
        rest = bytes(body[place : place + _INPUT_BYTES])
        while rest:
            if ended:
                # A gzip file may have several members.
                decoder, ended = zlib.decompressobj(_GZIP_WINDOW), False
            try:
                content = decoder.decompress(rest, PIECE_BYTES)
            except zlib.error:
                raise _broken() from None
            if content:
                yield content
            ended = decoder.eof
            rest = decoder.unused_data if ended else decoder.unconsumed_tail
        yield b""
    while not ended:
        # zlib may hold back content of which it has taken the input.
        try:
            content = decoder.decompress(b"", PIECE_BYTES)
        except zlib.error:
            raise _broken() from None
        if not content and not decoder.eof:
            raise _broken()
        if content:
            yield content
        ended = decoder.eof


def _broken() -> RequestError:
    return RequestError("the body is not valid gzip, as its Content-Encoding says, or is cut off.")
