"""Where the body of a request ends: by its length, or by its chunks (RFC 9112, 6 and 7.1)."""

import re
from http import HTTPStatus
from typing import Protocol

from kfp_tabular.serving.http.request_head import (
    HttpError,
    bad_request,
    head_too_large,
    lone_cr_or_lf,
)

LONGEST_CHUNK_LINE = 256
"""Bytes of a chunk's size with its extensions, which nothing here uses."""

LARGEST_TRAILER_BYTES = 8 * 1024
"""The trailers of a body. They are checked and dropped."""

CHUNKS_PER_TURN = 500
"""How many chunks are decoded before other connections get their turn: about 1 ms."""

MOST_SMALL_CHUNKS = 10_000
SMALL_CHUNK_BYTES = 64
"""A body with more chunks than that must have this many bytes in each on average. One byte in each
would cost this server a hundred times what it costs the client."""

_CHUNK_LINE = re.compile(
    # The size, then extensions: token[=token|quoted string] (RFC 9112, 7.1.1).
    rb"([0-9A-Fa-f]{1,16})"
    rb"(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
    rb"(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++|"
    rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+"))?)*+'
)
_TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+")
_FORBIDDEN_IN_LINE = re.compile(rb"(?<!\r)\n|\r[^\n]")


class BodyDecoder(Protocol):
    """Finds the end of a body in what arrives."""

    complete: bool
    """Whether the body's end was found."""

    def decode(self, data: bytes) -> tuple[bytes, int]:
        """Return content, and how many bytes of data were used.

        If data was not used up and the body is not complete, either more data is needed, or, if
        `pending` is true, `decode` can go on.

        Raises:
            HttpError: If the body is malformed.
        """

    @property
    def pending(self) -> bool:
        """Whether `decode` stopped to give others their turn."""


class LengthDecoder:
    """A body of a known length.

    Example:
        >>> LengthDecoder(3).decode(b"abcGET")
        (b'abc', 3)
    """

    pending = False

    def __init__(self, length: int) -> None:
        self._left = length
        self.complete = length == 0

    def decode(self, data: bytes) -> tuple[bytes, int]:
        """Return the content in data, and its length."""
        content = data if len(data) <= self._left else data[: self._left]
        self._left -= len(content)
        self.complete = self._left == 0
        return content, len(content)


class ChunkedDecoder:
    r"""A chunked body.

    The content of a chunk is passed on as it arrives. Lines are read when they are complete, so
    the result does not depend on how TCP cut them.

    Example:
        >>> ChunkedDecoder().decode(b"3\r\nabc\r\n0\r\n\r\nGET")
        (b'abc', 13)
    """

    def __init__(self) -> None:
        self.complete = False
        self.pending = False
        self._left = 0
        self._closes_chunk = False
        self._in_trailers = False
        self._trailer_bytes = 0
        self._chunks = 0
        self._content_bytes = 0

    def decode(self, data: bytes) -> tuple[bytes, int]:
        """Return the content of the chunks in data, and how many bytes were used."""
        contents: list[bytes] = []
        position, turns = 0, CHUNKS_PER_TURN
        self.pending = False
        while not self.complete:
            if self._left:
                content = data[position : position + self._left]
                if not content:
                    break
                contents.append(content)
                position += len(content)
                self._left -= len(content)
                self._closes_chunk = self._left == 0
                continue
            if turns == 0:
                self.pending = True
                break
            turns -= 1
            used = self._read_line(data, position)
            if used == 0:
                break
            position += used
        return contents[0] if len(contents) == 1 else b"".join(contents), position

    def _read_line(self, data: bytes, position: int) -> int:
        """Read the next line between contents; return its length, or 0 if it is not complete."""
        if self._closes_chunk:
            end = data[position : position + 2]
            if end != b"\r\n"[: len(end)]:
                raise bad_request("a chunk is longer than its size")
            if len(end) < 2:
                return 0
            self._closes_chunk = False
            return 2
        most = LARGEST_TRAILER_BYTES if self._in_trailers else LONGEST_CHUNK_LINE
        end_at = data.find(b"\r\n", position, position + most + 2)
        line = data[position : end_at if end_at >= 0 else position + most + 2]
        if _FORBIDDEN_IN_LINE.search(line):
            raise lone_cr_or_lf()
        if end_at < 0:
            if len(line) >= most + 2:
                raise self._too_long()
            return 0
        if self._in_trailers:
            self._read_trailer(line)
        else:
            self._read_size(line)
        return len(line) + 2

    def _too_long(self) -> HttpError:
        return head_too_large() if self._in_trailers else bad_request("a chunk's line is too long")

    def _read_size(self, line: bytes) -> None:
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise bad_request("expected the size of a chunk in hexadecimal digits")
        self._left = int(match[1], 16)
        self._chunks += 1
        self._content_bytes += self._left
        if self._content_bytes < self._chunks * SMALL_CHUNK_BYTES and (
            self._chunks > MOST_SMALL_CHUNKS
        ):
            raise HttpError(
                HTTPStatus.BAD_REQUEST,
                f"the body has more than {MOST_SMALL_CHUNKS} chunks of less than "
                f"{SMALL_CHUNK_BYTES} bytes on average: send larger chunks.",
            )
        self._in_trailers = self._left == 0

    def _read_trailer(self, line: bytes) -> None:
        """Check a trailer and drop it: it must never act as a header (RFC 9110, 6.5.1)."""
        if not line:
            self.complete = True
            return
        self._trailer_bytes += len(line) + 2
        if self._trailer_bytes > LARGEST_TRAILER_BYTES:
            raise head_too_large()
        if _TRAILER_LINE.fullmatch(line) is None:
            raise bad_request("a trailer needs a name, a colon and a value")
