"""The head of an HTTP/1.1 request, as RFC 9112 defines it, and no more leniently.

A head is parsed when it is complete, so the result cannot depend on how TCP cut it. Whatever two
implementations could read differently is rejected: a proxy in front must see the same request.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import unquote

LARGEST_HEAD_BYTES = 64 * 1024
"""The largest request line and headers together, as in h11 and most proxies."""

MOST_HEADERS = 256
"""The most headers of a request: a header costs a hundred bytes of memory even if it is short."""

Headers = list[tuple[bytes, bytes]]

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_HOST = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]++\]|(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})++)(?::[0-9]{0,5})?"
)
_REQUEST_LINE = re.compile(rb"(%s) ([\x21-\x7e]++) HTTP/([0-9])\.([0-9])" % _TOKEN)
_HEADER_LINES = re.compile(rb"(?:%s:[\t\x20-\x7e\x80-\xff]*+\r\n)*+" % _TOKEN)
_ORIGIN_FORM = re.compile(
    rb"(/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*+)(?:\?([^#]*+))?"
)
_ABSOLUTE_FORM = re.compile(rb"https?://([^/?#]++)([^#]*+)", re.IGNORECASE)
_HIDDEN = re.compile(rb"%(?:2f|0[0-9a-f]|1[0-9a-f]|7f)", re.IGNORECASE)
"""What no path of this server contains, and what makes proxies and servers disagree on a path."""
_LONE_CR_OR_LF = re.compile(rb"(?<!\r)\n|\r[^\n]")
_MOST_LENGTH_DIGITS = 20

_METHODS = frozenset(
    (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT")
)
_FRAMING = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"))


class HttpError(Exception):
    """A request that is answered with an error before the application sees it.

    Attributes:
        status: The response's status.
        message: What is wrong; quotes nothing that the client sent.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class RequestHead(NamedTuple):
    """The head of a valid request.

    Attributes:
        method: The method.
        path: The target's path, decoded. `*` for `OPTIONS *`.
        raw_path: The target's path as it was sent.
        query: The target's query, without the question mark.
        version: `1.1` or `1.0`.
        headers: Names in lower case, and values.
        length: The body's length in bytes; 0 without a body; None for a chunked body.
        keep_alive: Whether the connection may remain open after the response.
        expects_continue: Whether the client waits for `100 Continue` before it sends the body.
    """

    method: str
    path: str
    raw_path: bytes
    query: bytes
    version: str
    headers: Headers
    length: int | None
    keep_alive: bool
    expects_continue: bool


def bad_request(what: str) -> HttpError:
    """Return the error for a request that is not valid HTTP/1.1.

    Args:
        what: What is wrong.
    """
    return HttpError(HTTPStatus.BAD_REQUEST, f"not a valid HTTP/1.1 request: {what}.")


def lone_cr_or_lf() -> HttpError:
    """Return the error for a line that does not end with CR and LF."""
    return bad_request("CR and LF must end a line together")


def head_too_large() -> HttpError:
    """Return the error for a head beyond the limits."""
    return HttpError(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        f"URL and headers are larger than {LARGEST_HEAD_BYTES} bytes or {MOST_HEADERS} headers, "
        "the limits of this server.",
    )


def find_head_end(data: bytes | bytearray, searched: int = 0) -> int:
    r"""Return the length of the head at the start of data, or -1 if its end has not arrived.

    A head without an end that can no longer become valid is an error at once: a client that ends
    its lines with LF alone would wait for an answer in vain.

    Args:
        data: What has arrived, from the request line on.
        searched: How many bytes of it were searched before.

    Raises:
        HttpError: If the head is too large, or a CR or LF is alone.

    Example:
        >>> find_head_end(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody")
        27
        >>> find_head_end(b"GET / HTTP/1.1\r\nHost: a\r\n")
        -1
    """
    end = data.find(b"\r\n\r\n", max(0, searched - 3), LARGEST_HEAD_BYTES)
    if end >= 0:
        return end + 4
    if _LONE_CR_OR_LF.search(data, max(0, searched - 1), LARGEST_HEAD_BYTES):
        raise lone_cr_or_lf()
    if len(data) >= LARGEST_HEAD_BYTES:
        raise head_too_large()
    return -1


def parse_head(head: bytes | bytearray) -> RequestHead:
    r"""Parse a complete head.

    Args:
        head: The request line and the headers, with the empty line that ends them.

    Raises:
        HttpError: If the request is not valid, or of a kind that this server does not have.

    Example:
        >>> parsed = parse_head(b"GET /v2?a=1 HTTP/1.1\r\nHost: x\r\nB: c \r\n\r\n")
        >>> parsed.path, parsed.query, parsed.headers, parsed.length
        ('/v2', b'a=1', [(b'host', b'x'), (b'b', b'c')], 0)
    """
    head = bytes(head)
    if not head.count(b"\n") == head.count(b"\r") == head.count(b"\r\n"):
        # First, as `find_head_end` may find this before the head is complete.
        raise lone_cr_or_lf()
    line, _, fields = head[:-2].partition(b"\r\n")
    start = _REQUEST_LINE.fullmatch(line)
    if start is None:
        raise bad_request("expected a method, a target and HTTP/1.1 in the first line")
    method, target, major, minor = start.groups()
    if major != b"1":
        raise HttpError(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "this server speaks HTTP/1.1 and HTTP/1.0."
        )
    if _HEADER_LINES.fullmatch(fields) is None:
        raise bad_request("a header needs a name, a colon, and a value without control characters")
    headers, framing = _read_headers(fields)
    version = "1.0" if minor == b"0" else "1.1"
    host = _read_host(framing.get(b"host", ()), version)
    if method not in _METHODS:
        raise HttpError(HTTPStatus.NOT_IMPLEMENTED, "this server does not know the method.")
    raw_path, query = _read_target(method, target, host)
    path = raw_path.decode("ascii")
    connection = b",".join(framing.get(b"connection", ())).lower()
    return RequestHead(
        method.decode("ascii"),
        unquote(path) if "%" in path else path,
        raw_path,
        query,
        version,
        headers,
        _read_length(framing, version),
        version == "1.1"
        and not (connection and b"close" in [part.strip() for part in connection.split(b",")]),
        version == "1.1" and _read_expectation(framing.get(b"expect", ())),
    )


def _read_headers(lines: bytes) -> tuple[Headers, dict[bytes, list[bytes]]]:
    """Return all headers, and by name the values of those that concern the connection."""
    headers: Headers = []
    framing: dict[bytes, list[bytes]] = {}
    for line in lines.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        headers.append((name, value))
        if name in _FRAMING:
            framing.setdefault(name, []).append(value)
    if len(headers) > MOST_HEADERS:
        raise head_too_large()
    return headers, framing


def _read_host(hosts: Sequence[bytes], version: str) -> bytes | None:
    """Check the Host header (RFC 9112, 3.2)."""
    if len(hosts) > 1 or (not hosts and version == "1.1"):
        raise bad_request("it needs exactly one Host header")
    if hosts and _HOST.fullmatch(hosts[0]) is None:
        raise bad_request("header Host: expected a host name or an address, and perhaps a port")
    return hosts[0] if hosts else None


def _read_target(method: bytes, target: bytes, host: bytes | None) -> tuple[bytes, bytes]:
    """Return the path and the query of a request's target (RFC 9112, 3.2)."""
    if target == b"*" and method == b"OPTIONS":
        return target, b""
    if method == b"CONNECT":
        # What follows CONNECT is for another host, and this server is not a proxy.
        raise bad_request("this server is not a proxy")
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE_FORM.fullmatch(target)
        if absolute is None:
            raise bad_request("expected a path as the target")
        if host is not None and absolute[1].lower() != host.lower():
            raise bad_request("its target and its Host header name different hosts")
        if _HOST.fullmatch(absolute[1]) is None:
            raise bad_request("its target names no valid host")
        target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    origin = _ORIGIN_FORM.fullmatch(target)
    if origin is None:
        raise bad_request("the path contains a character that must be percent-encoded")
    if _HIDDEN.search(origin[1]):
        raise bad_request("the path contains an encoded slash or control character")
    return origin[1], origin[2] or b""


def _read_length(framing: dict[bytes, list[bytes]], version: str) -> int | None:
    """Return the body's length, or None for a chunked body (RFC 9112, 6)."""
    codings, lengths = framing.get(b"transfer-encoding"), framing.get(b"content-length")
    if codings is not None:
        if version == "1.0":
            raise bad_request("HTTP/1.0 has no Transfer-Encoding")
        if lengths is not None:
            raise bad_request("it has both Transfer-Encoding and Content-Length")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise bad_request("header Transfer-Encoding: expected chunked, once")
        return None
    if lengths is None:
        return 0
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > _MOST_LENGTH_DIGITS:
        raise bad_request("header Content-Length: expected a number of bytes, once")
    return int(lengths[0])


def _read_expectation(expectations: Sequence[bytes]) -> bool:
    """Return whether the client expects `100 Continue` (RFC 9110, 10.1.1)."""
    if not expectations:
        return False
    if [value.lower() for value in expectations] != [b"100-continue"]:
        raise HttpError(
            HTTPStatus.EXPECTATION_FAILED, "header Expect: this server knows 100-continue only."
        )
    return True
